"""A cluster of our own programs: how it starts, what can be asked of it, how it ends."""

import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from dev_cluster import addresses as address_plan
from dev_cluster import cache, configs, debris, images, machine, pki, volumes
from dev_cluster.addresses import Addresses
from dev_cluster.api import Api, ApiError
from dev_cluster.cluster import Cluster
from dev_cluster.components import LINK, Component, daemons, network_setup
from dev_cluster.layout import CONTAINERD_SOCKET, Layout
from dev_cluster.plan import Plan

READY_WITHIN_S = 120.0
END_WITHIN_S = 60.0
_POLL_S = 0.05
_LOCKS = Path("/run/stratops")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KERNEL_SETTINGS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}


class ClusterFailed(Exception):
    """It did not come up, or did not go; the message has what its daemons said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCluster(Cluster):
    layout: Layout
    addresses: Addresses

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The one that has its files there."""
        facts = json.loads((folder / "cluster.json").read_text())
        layout, addresses = Layout(folder, Path(facts["programs"])), Addresses(facts["index"])
        return cls(
            kubeconfig=layout.kubeconfig,
            kubectl_program=layout.programs / "kubectl",
            no_proxy=addresses.no_proxy,
            layout=layout,
            addresses=addresses,
        )

    @property
    def audit_log(self) -> Path:
        """A JSON document per line: audit.k8s.io/v1 Event, level Metadata."""
        return self.layout.audit_log

    def load(self, archive: Path) -> None:
        self._ctr("images", "import", str(archive.absolute()))

    def _ctr(self, *arguments: str) -> str:
        program = str(self.layout.programs / "ctr")
        where = (f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io")
        return self.inside(program, *where, *arguments)

    def inside(self, *command: str) -> str:
        """Runs it in the node's namespaces."""
        enter = ["nsenter", "-t", self.layout.init_pid.read_text(), "-m", "-n", "-p", "-u", "-i"]
        done = subprocess.run(  # noqa: S603  # a test's own command
            [*enter, *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterFailed(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def kill(self, component: Component) -> None:
        """With SIGKILL; it is gone when this returns, and starts again by itself."""
        request = self.layout.control / f"kill-{component}"
        request.touch()
        _wait(lambda: not request.exists(), END_WITHIN_S, f"{component} does not end")

    @contextmanager
    def stopped(self, component: Component) -> Iterator[None]:
        """Killed, and not started again before the end of the block."""
        hold = self.layout.control / f"hold-{component}"
        hold.touch()
        try:
            self.kill(component)
            yield
        finally:
            hold.unlink()

    def images(self) -> list[str]:
        """By name; Kubernetes' own names for what has none are left out."""
        listed = self._ctr("images", "list", "-q").splitlines()
        return [name for name in listed if "@sha256:" not in name and "sha256:" not in name[:8]]

    def is_ready(self) -> bool:
        with self.api() as api:
            return _is_ready(api) and _node_is_ready(api)

    def api(self) -> Api:
        return Api(self.addresses.api, self.layout.pki, "admin")

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """The API server answers, the node runs pods, and `default` admits them."""
        with self.api() as api:
            _wait(lambda: _is_ready(api), within_s, "the API server is not ready")
            _wait(lambda: _node_is_ready(api), within_s, "the node is not Ready")
            _wait(lambda: _admits(api), within_s, "there is no default ServiceAccount")


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster and what holds it."""

    cluster: BuiltCluster
    guard: subprocess.Popen[bytes]
    owner: int  # our end of the guard's pipe

    def stop(self) -> None:
        """Nothing of it is left when this returns."""
        os.close(self.owner)
        self.guard.wait(END_WITHIN_S)


def running_folder() -> Path:
    """Where the folders of running clusters are."""
    return cache.root() / "running"


def start(programs: Path, running: Path) -> Running:
    """A cluster that ends with this process, or before by `stop`."""
    reading, writing = os.pipe()
    try:
        cluster, guard = _start(programs, running, "", reading)
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return Running(cluster, guard, writing)


def start_to_stay(programs: Path, running: Path, name: str) -> BuiltCluster:
    """A cluster that stays when this process ends; `end` ends it."""
    cluster, _ = _start(programs, running, name, owner=-1)
    return cluster


def end(cluster: BuiltCluster) -> None:
    """Ends one that was started to stay."""
    guard = int(cluster.layout.guard_pid.read_text())
    os.kill(guard, signal.SIGTERM)
    _wait(lambda: not cluster.layout.folder.exists(), END_WITHIN_S, "the cluster does not end")


def named(running: Path, name: str) -> BuiltCluster | None:
    """The one that was started to stay under this name, if it runs."""
    for facts in running.glob("*/cluster.json"):
        found = json.loads(facts.read_text())
        if found["name"] == name and not _lock_is_free(found["index"]):
            return BuiltCluster.at(facts.parent)
    return None


def sweep(running: Path) -> None:
    """Removes what is left of clusters whose guards were killed."""
    for folder in running.glob("*/"):
        index = int(folder.name)
        lock = _lock(index)
        if lock is not None:
            debris.remove(Addresses(index), folder)
            os.close(lock)


def _start(
    programs: Path, running: Path, name: str, owner: int
) -> tuple[BuiltCluster, subprocess.Popen[bytes]]:
    sweep(running)
    addresses, lock = _take_index()
    try:
        layout = Layout(running / str(addresses.index), programs)
        _write_files(layout, addresses, name)
        guard = _start_guard(layout, addresses, lock, owner)
    finally:
        os.close(lock)  # the guard has it
    cluster = BuiltCluster.at(layout.folder)
    try:
        _prepare(cluster, guard)
    except BaseException as error:
        said = _last_words(layout)
        guard.terminate()
        guard.wait(END_WITHIN_S)
        if isinstance(error, Exception):
            raise ClusterFailed(f"{error}\n{said}") from error
        raise
    return cluster, guard


def _take_index() -> tuple[Addresses, int]:
    """The first index that nobody on this machine has, with its lock."""
    _LOCKS.mkdir(exist_ok=True)
    for index in address_plan.candidates(machine.routes()):
        lock = _lock(index)
        if lock is not None:
            return Addresses(index), lock
    raise ClusterFailed(f"all {address_plan.COUNT} address ranges are taken")


def _lock(index: int) -> int | None:
    """An open file that holds the lock of the index as long as any process has it open."""
    lock = os.open(_LOCKS / f"cluster-{index}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _lock_is_free(index: int) -> bool:
    lock = _lock(index)
    if lock is not None:
        os.close(lock)
    return lock is not None


def _write_files(layout: Layout, addresses: Addresses, name: str) -> None:
    for folder in (layout.pki, layout.network, layout.logs, layout.data, layout.control):
        folder.mkdir(parents=True)
    layout.pki.chmod(0o700)
    for file, content in pki.files(addresses, datetime.now(UTC)).items():
        (layout.pki / file).write_bytes(content)
    for file, text in configs.files(layout, addresses).items():
        (layout.configs / file).write_text(text)
    layout.plan.write_text(json.dumps(_plan(layout, addresses).to_json(), indent=2))
    facts = {
        "name": name,
        "index": addresses.index,
        "api": addresses.api,
        "node": pki.NODE,
        "programs": str(layout.programs),
    }
    layout.facts.write_text(json.dumps(facts, indent=2))


def _plan(layout: Layout, addresses: Addresses) -> Plan:
    return Plan(
        hostname=pki.NODE,
        link=LINK,
        setup=network_setup(addresses),
        kernel_settings=_KERNEL_SETTINGS,
        daemons={str(name): argv for name, argv in daemons(layout, addresses).items()},
        # Nothing of the caller's: its proxies least of all.
        environment={"PATH": f"{layout.programs}:{_SYSTEM_PATH}", "HOME": str(layout.data)},
        logs=layout.logs,
        control=layout.control,
        folders=[layout.folder, layout.programs],
    )


def _start_guard(
    layout: Layout, addresses: Addresses, lock: int, owner: int
) -> subprocess.Popen[bytes]:
    arguments = [str(layout.folder), str(addresses.index), str(lock), str(owner)]
    kept = [descriptor for descriptor in (lock, owner) if descriptor >= 0]
    with (layout.logs / "guard.log").open("ab") as log:
        guard = subprocess.Popen(  # noqa: S603  # from this package
            [sys.executable, "-P", "-m", "dev_cluster.guard", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=kept,
            start_new_session=True,  # Ctrl-C is for the owner
        )
    layout.guard_pid.write_text(str(guard.pid))
    return guard


def _prepare(cluster: BuiltCluster, guard: subprocess.Popen[bytes]) -> None:
    """What a cluster has before it is anybody's: the pause image and a storage class."""
    pause = cluster.layout.data / "pause.tar"
    content = (cluster.layout.programs / "pause").read_bytes()
    pause.write_bytes(images.of_one_file(configs.PAUSE, "pause", content))
    _wait(lambda: _loaded(cluster, pause, guard), READY_WITHIN_S, "containerd takes no image")
    cluster.wait_until_ready()
    with cluster.api() as api:
        api.post("/apis/storage.k8s.io/v1/storageclasses", volumes.storage_class())


def _loaded(cluster: BuiltCluster, archive: Path, guard: subprocess.Popen[bytes]) -> bool:
    if guard.poll() is not None:
        raise ClusterFailed("the cluster ended while it started")
    try:
        cluster.load(archive)
    except (ClusterFailed, FileNotFoundError):  # no namespaces yet, or no containerd
        return False
    return True


def _is_ready(api: Api) -> bool:
    return bool(_asked(lambda: api.text("/readyz")))


def _node_is_ready(api: Api) -> bool:
    node = _asked(lambda: api.get(f"/api/v1/nodes/{pki.NODE}"))
    conditions = node["status"]["conditions"] if node else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _admits(api: Api) -> bool:
    return bool(_asked(lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default")))


def _asked(question: Callable[[], Any]) -> Any:
    """None as long as the API server does not answer it."""
    try:
        return question()
    except (OSError, http.client.HTTPException, ApiError):
        return None


def _last_words(layout: Layout) -> str:
    """The end of each log, for who has to find out what went wrong."""
    return "\n".join(
        f"--- {log.name}\n{_tail(log)}" for log in sorted(layout.logs.glob("*.log")) if _tail(log)
    )


def _tail(log: Path, size: int = 1500) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read().decode(errors="replace").strip()


def _wait(fact: Callable[[], bool], within_s: float, failure: str) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            raise ClusterFailed(f"{failure} within {within_s:.0f} s")
        time.sleep(_POLL_S)
