"""A gateway that knows its callers by a cluster's tokens: over TLS, by pods, and on its own."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from desk_driver import content
from gateway_driver import RunnerClient, Stack, until
from held_ports import free_port
from identity_driver import (
    NAMESPACE,
    OPERATOR,
    RUNNER,
    KeyServer,
    Signer,
    claims_of,
    document,
    write_bundle,
)
from pages_reader import metric, page
from risk_gateway.authority import make
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.audience import SHARED, audience_of
from stratops_wire.gateway_client import (
    GatewayClient,
    GatewayRefused,
    GatewayUnavailable,
    LowerTerm,
)

pytestmark = pytest.mark.servers

SIGNER, STRANGER = Signer(), Signer("strange")
CURVED = Signer("curved", "ES256")
ELSEWHERE = audience_of("desk-b")
THEIR_RUNNER = "system:serviceaccount:desk-b:stratops-runner"
ANA, BO = "system:serviceaccount:people:ana", "system:serviceaccount:people:bo"


class Desk(Stack):
    """A gateway with a cluster's keys and certificate, and nothing else of a cluster."""

    def operator(self) -> str:
        return SIGNER.token(OPERATOR)

    def runner_of(self, pod: str, **more: Any) -> RunnerClient:
        """The runner in a pod; its token and names can be changed."""
        token = more.pop("token", SIGNER.token(RUNNER, pod))
        return self.runner(more.pop("instance", f"{pod}.0123abcd"), token=token, **more)

    def client(self, token: Any = None, **more: Any) -> GatewayClient:
        ca = more.pop("ca", self.gateway.ca)
        return GatewayClient(self.gateway.address, token or self.operator, ca, **more)

    def refusals(self) -> Counter[str]:
        found = metric(self.gateway, "strategy_engine_unknown_callers_total")
        return Counter({labels["reason"]: int(value) for labels, value in found})


def desk_with(
    folder: Path, ports: Callable[[], int], server: KeyServer, redis_: Any, nats: Any
) -> Desk:
    access = server.access
    return Desk(
        folder, ports, redis_, nats, server.bundle.ca,
        IDENTITY="cluster", OPERATORS=OPERATOR, RISK_OFFICERS=ANA,
        READERS="system:serviceaccounts:people", NAMESPACE=NAMESPACE,
        API_SERVER=access.server, API_CA=str(access.ca), API_TOKEN_FILE=str(access.token_file),
        TLS_DIR=str(server.folder), METRICS_PORT=str(ports()), METRICS_HOST="127.0.0.1",
    )  # fmt: skip


@pytest.fixture
async def server(tmp_path: Path, port: Callable[[], int]) -> AsyncIterator[KeyServer]:
    started = KeyServer(tmp_path / "api", port(), SIGNER)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def desk(
    tmp_path: Path, port: Callable[[], int], redis_server: Any, nats_server: Any, server: KeyServer
) -> AsyncIterator[Desk]:
    # Beside the loop, which answers for the API server.
    started = await asyncio.to_thread(desk_with, tmp_path, port, server, redis_server, nats_server)
    yield started
    await started.hang_up()
    started.close()


@pytest.fixture(scope="module")
def long_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One with nothing but the keys that it kept: no API server, no Redis, no NATS."""
    folder = tmp_path_factory.mktemp("shared")
    away = SimpleNamespace(url="redis://127.0.0.1:1", port=1)
    (folder / "gateway").mkdir()
    (folder / "gateway" / "cluster-keys.json").write_text(json.dumps(document(SIGNER, CURVED)))
    server = KeyServer(folder / "api", 1, SIGNER)
    bus = SimpleNamespace(url="nats://127.0.0.1:1")
    started = desk_with(folder, free_port, server, away, bus)
    yield started
    started.close()


@pytest.fixture
async def lone_desk(long_running: Desk) -> AsyncIterator[Desk]:
    """For what changes nothing that another test would see."""
    yield long_running
    await long_running.hang_up()


async def refused(stub: Any, token: str) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.GetDesk(pb.GetDeskRequest(token=token))
    return error.value.code()


# ---- operators


async def test_the_operator_is_let_in_by_its_subject(lone_desk: Desk) -> None:
    async with lone_desk.client() as client:
        term = await client.begin_term("leader")
        assert (await client.get_desk()).term == term


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        ("", grpc.StatusCode.UNAUTHENTICATED, "malformed"),
        (SIGNER.token(RUNNER, "s-1"), grpc.StatusCode.PERMISSION_DENIED, "missing_role"),
        (SIGNER.token(OPERATOR, aud=["api"]), grpc.StatusCode.UNAUTHENTICATED, "audience"),
        (SIGNER.token(OPERATOR, aud=[ELSEWHERE]), grpc.StatusCode.UNAUTHENTICATED, "audience"),
        (SIGNER.token(OPERATOR, aud=[SHARED]), grpc.StatusCode.UNAUTHENTICATED, "audience"),
        (
            CURVED.sign(claims_of(OPERATOR), kid=SIGNER.kid),
            grpc.StatusCode.UNAUTHENTICATED,
            "algorithm",
        ),
        (SIGNER.token(OPERATOR, x="x" * 700_000), grpc.StatusCode.UNAUTHENTICATED, "malformed"),
        (SIGNER.token(OPERATOR, nbf=2**40), grpc.StatusCode.UNAUTHENTICATED, "not_yet_valid"),
        (SIGNER.token(OPERATOR, iss="me"), grpc.StatusCode.UNAUTHENTICATED, "issuer"),
        (SIGNER.token(OPERATOR, exp=1), grpc.StatusCode.UNAUTHENTICATED, "expired"),
        (STRANGER.token(OPERATOR), grpc.StatusCode.UNAUTHENTICATED, "unknown_key"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." not in value else "",
)
async def test_every_other_caller_is_refused_and_counted(
    lone_desk: Desk, token: str, code: grpc.StatusCode, reason: str
) -> None:
    before = lone_desk.refusals()
    assert await refused(lone_desk.stub(), token) is code
    assert lone_desk.refusals() - before == {reason: 1}


async def test_people_are_known_by_subject_and_group_and_by_any_kind_of_key(
    lone_desk: Desk,
) -> None:
    ana, bo = CURVED.token(ANA), CURVED.token(BO)
    async with lone_desk.client(lambda: ana) as officer, lone_desk.client(lambda: bo) as reader:
        await officer.halt("drill")
        assert (await reader.get_desk()).halted == "drill"
        with pytest.raises(GatewayRefused, match=f"needs role operator; {ANA} has reader, risk"):
            await officer.begin_term("ana")
        with pytest.raises(GatewayRefused, match=f"or risk-officer; {BO} has reader$"):
            await reader.resume("")
        await officer.resume("")


async def test_a_lower_term_is_told_from_other_refusals(lone_desk: Desk) -> None:
    async with lone_desk.client() as first, lone_desk.client() as second:
        with pytest.raises(LowerTerm, match="term 0, "):
            await first.deploy("lower", "r1", content())
        late = await first.begin_term("one")
        await second.begin_term("two")
        with pytest.raises(LowerTerm, match=f"term {late}, the last one begun is {late + 1}"):
            await first.deploy("lower", "r1", content())
        with pytest.raises(GatewayRefused, match="content") as refusal:
            await second.deploy("lower", "r1", "{}")
        assert not isinstance(refusal.value, LowerTerm)


async def test_a_shared_token_is_nothing_here(lone_desk: Desk) -> None:
    async with lone_desk.client() as client:
        await client.begin_term("leader")
        with pytest.raises(GatewayRefused, match="runner_token_sha256"):
            await client.deploy("shared", "r1", content(), "a token")


# ---- runners


async def test_a_pod_runs_what_it_was_named_for(desk: Desk) -> None:
    await desk.deploy(runner_pods=["uid-of-s-1"])
    runner = desk.runner_of("s-1")
    await runner.connect()
    assert await runner.armed() == 1
    (status,) = (await desk.desk()).strategies
    assert list(status.runner_pods) == ["uid-of-s-1"]


async def test_a_pod_made_before_audiences_were_told_apart_goes_on(desk: Desk) -> None:
    await desk.deploy(runner_pods=["uid-of-s-1"])
    runner = desk.runner_of("s-1", token=SIGNER.token(RUNNER, "s-1", aud=SHARED))
    await runner.connect()
    assert await runner.armed() == 1


@pytest.mark.parametrize(
    ("pod", "changes", "reason"),
    [
        pytest.param("s-2", {}, "wrong_pod", id="a pod that was not named"),
        pytest.param("s-1", {"instance": "s-2.0"}, "wrong_instance", id="another pod's name"),
        pytest.param("s-1", {"token": SIGNER.token(RUNNER)}, "no_pod", id="no pod"),
        pytest.param(
            "s-1", {"token": SIGNER.token(OPERATOR, "s-1")}, "not_runner", id="another account"
        ),
        pytest.param("s-1", {"revision": "r2"}, "unknown_strategy", id="another revision"),
        pytest.param("s-1", {"name": "t"}, "wrong_pod", id="another strategy"),
        pytest.param("s-1", {"token": STRANGER.token(RUNNER, "s-1")}, "unknown_key", id="forged"),
        pytest.param(
            "s-1",
            {"token": SIGNER.token(RUNNER, "s-1", aud=ELSEWHERE)},
            "audience",
            id="for the gateway of another desk",
        ),
        pytest.param(
            "s-1",
            {"token": SIGNER.token(THEIR_RUNNER, "s-1", aud=SHARED)},
            "audience",
            id="another desk's, for all gateways",
        ),
    ],
)
async def test_any_other_runner_is_refused(
    lone_desk: Desk, pod: str, changes: dict[str, Any], reason: str
) -> None:
    async with lone_desk.client() as client:
        await client.begin_term("leader")
        await client.deploy("s", "r1", content(), runner_pods=["uid-of-s-1"])
        await client.deploy("t", "r1", content(), runner_pods=["uid-of-t-1"])
    before = lone_desk.refusals()
    runner = lone_desk.runner_of(pod, **changes)
    await runner.connect()
    expected = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    assert (await runner.status())[0] in expected
    assert lone_desk.refusals() - before == {reason: 1}


async def test_a_pod_that_is_named_no_more_is_hung_up_on(desk: Desk) -> None:
    await desk.deploy(runner_pods=["uid-of-s-1"])
    runner = desk.runner_of("s-1")
    await runner.connect()
    await runner.armed()
    await desk.deploy(runner_pods=["uid-of-s-2"])
    code, why = await runner.status()
    assert code is grpc.StatusCode.ABORTED
    assert why == "pod s-1 (uid-of-s-1) is not named for this revision"
    await runner.connect()
    assert (await runner.status())[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_a_pod_whose_revision_was_replaced_is_told_so_by_name(desk: Desk) -> None:
    await desk.deploy(runner_pods=["uid-of-s-1"])
    runner = desk.runner_of("s-1")
    await runner.connect()
    await runner.armed()
    runner.leave()
    await desk.deploy(revision="r2", runner_pods=["uid-of-s-2"])
    successor = desk.runner_of("s-2", revision="r2")
    await successor.connect()
    await successor.armed(epoch_above=1)
    await runner.connect()
    assert (await runner.status())[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert (await runner.trailing())["stratops-refusal"] == "not-wanted"


async def test_a_pod_may_be_named_after_it_has_knocked(lone_desk: Desk) -> None:
    async with lone_desk.client() as client:
        await client.begin_term("leader")
        await client.deploy("late", "r1", content())
        runner = lone_desk.runner_of("late-1", name="late")
        await runner.connect()
        assert (await runner.status())[0] is grpc.StatusCode.PERMISSION_DENIED
        await client.deploy("late", "r1", content(), runner_pods=["uid-of-late-1"])
        await runner.connect()
        assert await runner.armed()


# ---- on its own


async def test_a_restart_without_the_api_server_changes_nothing(
    desk: Desk, server: KeyServer
) -> None:
    await desk.deploy(runner_pods=["uid-of-s-1"])
    await server.stop()
    desk.gateway.kill()
    await desk.gateway.start_again()
    runner = desk.runner_of("s-1")
    await runner.connect()
    assert await runner.armed()
    assert await refused(desk.stub(), STRANGER.token(OPERATOR)) is grpc.StatusCode.UNAUTHENTICATED


async def test_before_it_ever_saw_the_keys_it_asks_to_wait(desk: Desk, server: KeyServer) -> None:
    desk.gateway.kill()
    await server.stop()
    (desk.gateway.folder / "cluster-keys.json").unlink(missing_ok=True)
    await desk.gateway.start_again()
    async with desk.client() as client:
        with pytest.raises(GatewayUnavailable, match="keys"):
            await client.get_desk()
        await server.start()
        await until(lambda: answers(client))


async def answers(client: GatewayClient) -> bool:
    try:
        await client.get_desk()
    except GatewayUnavailable:
        return False
    return True


async def test_until_it_has_read_policies_it_only_closes(lone_desk: Desk) -> None:
    async with lone_desk.client() as client:
        await client.begin_term("leader")
        await client.deploy("bound", "r1", content())
        (status,) = [s for s in (await client.get_desk()).strategies if s.strategy == "bound"]
    assert status.closing_only == "risk policies were never read"


# ---- TLS


async def test_without_tls_nobody_gets_through(lone_desk: Desk) -> None:
    async with lone_desk.client(ca=None) as client:
        with pytest.raises(GatewayUnavailable):
            await client.get_desk()


async def test_a_gateway_of_another_ca_is_not_believed(lone_desk: Desk) -> None:
    another = make(["127.0.0.1"], datetime.now(UTC))
    async with lone_desk.client(ca=another.ca) as client:
        with pytest.raises(GatewayUnavailable):
            await client.get_desk()


async def test_a_new_certificate_needs_no_restart(desk: Desk, server: KeyServer) -> None:
    fresh = make(["127.0.0.1"], datetime.now(UTC))
    write_bundle(server.folder, fresh)
    async with desk.client(ca=fresh.ca) as client:
        await until(lambda: answers(client))


async def test_without_its_certificate_it_does_not_start(lone_desk: Desk, tmp_path: Path) -> None:
    environment = lone_desk.gateway.environment | {
        "STRATOPS_TLS_DIR": str(tmp_path), "STRATOPS_STATE_DIR": str(tmp_path / "state"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "risk_gateway"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "STRATOPS_TLS_DIR" in done.stderr.splitlines()[-1]


# ---- pages


async def test_it_is_ready_with_everything_away_but_its_journal(lone_desk: Desk) -> None:
    assert page(lone_desk.gateway, "ready") == (200, "ready\n")
    assert page(lone_desk.gateway, "health")[0] == 200
