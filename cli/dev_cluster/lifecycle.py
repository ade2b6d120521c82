"""How a cluster of our own comes to be, and how it goes.

A cluster has an index, by which its addresses and names are its own; whoever holds the lock of an
index has it. The lock is the guard's (`guard`), so it is free when nothing of the cluster is left.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dev_cluster import addresses as address_plan
from dev_cluster import cache, configs, debris, images, machine, pki, volumes
from dev_cluster.addresses import Addresses
from dev_cluster.built import END_WITHIN_S, READY_WITHIN_S, BuiltCluster, ClusterFailed, wait
from dev_cluster.components import LINK, daemons, network_setup
from dev_cluster.layout import Layout
from dev_cluster.plan import Plan

_LOCKS = Path("/run/stratops")
_NOBODY = -1  # owns a cluster that stays
# Percent: with few objects a control plane spends more on collecting than it saves in memory.
_GOGC = "400"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KERNEL_SETTINGS = {"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1"}


@contextmanager
def started(programs: Path) -> Iterator[BuiltCluster]:
    """A cluster that goes at the end of the block, and whenever this process ends."""
    reading, writing = os.pipe()
    guard = None
    try:
        cluster, guard = _start(programs, "", reading)
        yield cluster
    finally:
        os.close(writing)  # the guard sees the end of the pipe
        os.close(reading)
        if guard is not None:
            guard.wait(END_WITHIN_S)


def start_to_stay(programs: Path, name: str) -> BuiltCluster:
    """A cluster that stays when this process ends; `end` ends it."""
    cluster, _ = _start(programs, name, _NOBODY)
    return cluster


def end(cluster: BuiltCluster) -> None:
    """Ends one that was started to stay."""
    os.kill(int(cluster.layout.guard_pid.read_text()), signal.SIGTERM)
    wait(lambda: not cluster.layout.folder.exists(), END_WITHIN_S, "the cluster does not end")


def named(name: str) -> BuiltCluster | None:
    """The one that was started to stay under this name, if it runs."""
    for facts in _running().glob("*/cluster.json"):
        found = json.loads(facts.read_text())
        if found["name"] == name and not _lock_is_free(found["index"]):
            return BuiltCluster.at(facts.parent)
    return None


def sweep() -> None:
    """Removes what is left of clusters whose guards were killed."""
    for folder in _running().glob("*/"):
        index = int(folder.name)
        lock = _lock(index)
        if lock is not None:
            debris.remove(Addresses(index), folder)
            os.close(lock)


def _running() -> Path:
    """Where the folders of running clusters are, by their indexes."""
    return cache.root() / "running"


def _start(programs: Path, name: str, owner: int) -> tuple[BuiltCluster, subprocess.Popen[bytes]]:
    sweep()
    addresses, lock = _take_index()
    try:
        layout = Layout(_running() / str(addresses.index), programs)
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
    for index in address_plan.candidates(machine.routes()):
        lock = _lock(index)
        if lock is not None:
            return Addresses(index), lock
    raise ClusterFailed(f"all {address_plan.COUNT} address ranges are taken")


def _lock(index: int) -> int | None:
    """An open file that holds the lock of the index as long as any process has it open."""
    _LOCKS.mkdir(exist_ok=True)
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
        daemons={str(name): command for name, command in daemons(layout, addresses).items()},
        # Nothing of the caller's: its proxies least of all.
        environment={
            "PATH": f"{layout.programs}:{_SYSTEM_PATH}",
            "HOME": str(layout.data),
            "GOGC": _GOGC,
        },
        logs=layout.logs,
        control=layout.control,
        folders=[layout.folder, layout.programs],
    )


def _start_guard(
    layout: Layout, addresses: Addresses, lock: int, owner: int
) -> subprocess.Popen[bytes]:
    arguments = [str(layout.folder), str(addresses.index), str(lock), str(owner)]
    kept = [descriptor for descriptor in (lock, owner) if descriptor != _NOBODY]
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
    wait(lambda: _loaded(cluster, pause, guard), READY_WITHIN_S, "containerd takes no image")
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


def _last_words(layout: Layout) -> str:
    """The end of each log, for who has to find out what went wrong."""
    tails = {log.name: _tail(log) for log in sorted(layout.logs.glob("*.log"))}
    return "\n".join(f"--- {name}\n{tail}" for name, tail in tails.items() if tail)


def _tail(log: Path, size: int = 1500) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read().decode(errors="replace").strip()
