"""A runner as a pod has it: the desk is a folder that changes under it, the gateway speaks TLS."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from handover.messages import Batch, Hello
from kube_probe import page
from risk_gateway.authority import Bundle, make

pytestmark = pytest.mark.servers

POD = "btc-momentum-0123456789-1"
SPEC = {"source": {"builtin": "momentum"}, "redis_url": ""}


def bundle(name: str = "localhost") -> Bundle:
    return make([name], datetime.now(UTC))


def credentials(of: Bundle) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(of.key, of.certificate)])


class DeskFolder:
    """As kubelet projects it: all files change at once, behind a link."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, str] = {}
        self._written = 0
        path.mkdir()

    def write(self, **files: str) -> None:
        self._files |= {name.replace("_", "."): text for name, text in files.items()}
        self._written += 1
        fresh = self.path / f"..{self._written}"
        fresh.mkdir()
        for name, text in self._files.items():
            (fresh / name).write_text(text)
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        (self.path / "..new").symlink_to(fresh.name)
        (self.path / "..new").rename(self.path / "..data")
        shutil.rmtree(self.path / f"..{self._written - 1}", ignore_errors=True)


class Pod:
    def __init__(self, process: Any, folder: Path, gateway: Any, feed: str) -> None:
        self.process = process
        self.gateway = gateway
        self.desk = DeskFolder(folder)
        self.desk.write(gateway=gateway.address, token="t-1", feed=feed)

    def start(self, **environment: str) -> None:
        told = {"STRATOPS_DESK_DIR": str(self.desk.path), "STRATOPS_POD": POD} | environment
        self.process.start(SPEC, **told)

    async def armed(self) -> None:
        self.start()
        await self.gateway.until(lambda: self.gateway.of(Batch))

    def said(self, words: str) -> Callable[[], bool]:
        return lambda: words in self.process.log.read_text()


@pytest.fixture
def tls() -> Bundle:
    return bundle()


@pytest.fixture
async def pod(gateway: Any, process: Any, redis_server: Any, tmp_path: Path, tls: Bundle) -> Pod:
    """Its gateway speaks TLS."""
    await gateway.stop()
    await gateway.start(credentials=credentials(tls))
    made = Pod(process, tmp_path / "desk", gateway, redis_server.url)
    made.desk.write(ca_crt=tls.ca.decode())
    return made


async def test_it_is_armed_over_tls_by_what_the_folder_says(pod: Pod) -> None:
    await pod.armed()
    (hello,) = pod.gateway.of(Hello)
    assert hello.token == "t-1"
    pod_name, _, life = hello.instance.rpartition(".")
    assert (pod_name, len(life)) == (POD, 8)


async def test_a_rotated_token_is_shown_at_the_next_connection(pod: Pod, tls: Bundle) -> None:
    await pod.armed()
    pod.desk.write(token="t-2")
    address = pod.gateway.address
    await pod.gateway.stop()
    await pod.gateway.start(address, credentials(tls))
    await pod.gateway.until(lambda: len(pod.gateway.of(Hello)) == 2)
    before, after = pod.gateway.of(Hello)
    assert (after.token, after.instance) == ("t-2", before.instance)


async def test_a_gateway_that_moved_is_found(pod: Pod, tls: Bundle) -> None:
    await pod.armed()
    await pod.gateway.stop()
    await pod.gateway.start(credentials=credentials(tls))
    pod.desk.write(gateway=pod.gateway.address)
    await pod.gateway.until(lambda: pod.gateway.sessions == 2)


async def test_a_rotated_ca_is_believed_and_no_other(pod: Pod) -> None:
    await pod.armed()
    address, fresh = pod.gateway.address, bundle()
    await pod.gateway.stop()
    await pod.gateway.start(address, credentials(fresh))
    await pod.gateway.until(pod.said("CERTIFICATE_VERIFY_FAILED"))
    assert pod.gateway.sessions == 1
    pod.desk.write(ca_crt=fresh.ca.decode())
    await pod.gateway.until(lambda: pod.gateway.sessions == 2)


async def test_a_certificate_for_another_name_is_not_believed(pod: Pod) -> None:
    other = bundle("other.trading.svc")
    await pod.gateway.stop()
    await pod.gateway.start(credentials=credentials(other))
    pod.desk.write(gateway=pod.gateway.address, ca_crt=other.ca.decode())
    pod.start()
    await pod.gateway.until(pod.said("gateway_lost"))
    assert pod.gateway.sessions == 0


async def test_a_feed_that_moved_is_found(pod: Pod, redis_server: Any, other_redis: Any) -> None:
    await pod.armed()
    pod.desk.write(feed=other_redis.url)
    redis_server.kill()
    await pod.gateway.until(pod.said('"subscription":2'))


@pytest.fixture
def other_redis(redis_server: Any, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "other").mkdir()
    server = type(redis_server)(tmp_path / "other")
    yield server
    server.kill()


async def test_a_desk_that_is_not_there_yet_is_waited_for(pod: Pod, port: Any) -> None:
    number = port()
    (pod.desk.path / "token").unlink()
    pod.start(STRATOPS_METRICS_PORT=str(number))
    await pod.gateway.until(pod.said("gateway_lost"))
    missing = ""
    while "token: No such file or directory, expected a token" not in missing:
        status, missing = await page(number, "/ready")
        assert status == 503
    (pod.desk.path / "token").symlink_to("..data/token")
    await pod.gateway.until(lambda: pod.gateway.of(Batch))


async def test_what_a_laptop_says_goes_on_without_a_folder(
    gateway: Any, process: Any, redis_server: Any
) -> None:
    process.start(
        {"redis_url": redis_server.url},
        STRATOPS_GATEWAY=gateway.address,
        STRATOPS_POD=POD,
        STRATOPS_INSTANCE="life-1",
    )
    await gateway.until(lambda: gateway.of(Batch))
    assert gateway.of(Hello)[0].instance == "life-1"


async def test_without_any_feed_it_does_not_start(process: Any) -> None:
    process.start({"redis_url": ""}, STRATOPS_GATEWAY="127.0.0.1:1")
    assert await process.ended(30) == 2
    assert process.last_words == (
        "strategy_runner: STRATOPS_DESK_DIR: not set, expected it where no redis_url is"
    )


async def test_memory_stays_small_with_tls_and_pages(pod: Pod, port: Any) -> None:
    number = port()
    pod.start(STRATOPS_METRICS_PORT=str(number))
    await pod.gateway.until(lambda: pod.gateway.of(Batch))
    for _ in range(20):
        await page(number, "/metrics")
    assert psutil.Process(pod.process.pid).memory_info().rss < 60 * 2**20
