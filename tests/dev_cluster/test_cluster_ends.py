"""Whatever ends a cluster's owner, nothing of the cluster stays on the machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_driver import wait_for
from dev_cluster import debris, lifecycle
from dev_cluster.addresses import Addresses
from dev_cluster.built import BuiltCluster

pytestmark = pytest.mark.cluster

# Starts a cluster with a pod, names its folder, and stays.
OWNER = """
import signal
import time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background has none
from dev_cluster.configs import PAUSE
from dev_cluster.provide import provide_own
with provide_own() as cluster:
    cluster.kubectl("run", "here", f"--image={PAUSE}", "--image-pull-policy=Never")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/here", "--timeout=110s")
    print(cluster.layout.folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def cluster_of(owner: subprocess.Popen[str]) -> BuiltCluster:
    assert owner.stdout is not None
    cluster = BuiltCluster.at(Path(owner.stdout.readline().strip()))
    words = " ".join(remains(cluster))
    assert all(kind in words for kind in ("process", "cgroup", "/sys/class/net"))  # it is seen
    return cluster


def remains(cluster: BuiltCluster) -> list[str]:
    """What there still is of it, in words."""
    folder, addresses = cluster.layout.folder, cluster.addresses
    found = [f"process {pid}" for pid in processes(folder)]
    found += [f"cgroup {group}" for group in debris.cgroups(addresses)]
    found += [f"mount {line}" for line in mounts() if str(folder) in line]
    found += [str(path) for path in (folder, interface(addresses)) if path.exists()]
    return found


def interface(addresses: Addresses) -> Path:
    return Path("/sys/class/net", addresses.interface)


def mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


def processes(folder: Path) -> list[int]:
    """Daemons name the folder in their arguments, and so does who watches over them."""
    return [
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _names(pid, folder)
    ]


def _names(pid: int, folder: Path) -> bool:
    try:
        return os.fsencode(folder) + b"/" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return False


def test_nothing_stays_when_the_owner_ends_in_order(
    owner: subprocess.Popen[str], cluster_of: BuiltCluster
) -> None:
    owner.send_signal(signal.SIGINT)
    owner.wait(180)
    assert remains(cluster_of) == []


def test_nothing_stays_when_the_owner_is_killed(
    owner: subprocess.Popen[str], cluster_of: BuiltCluster
) -> None:
    owner.kill()
    wait_for(lambda: not remains(cluster_of))


def test_nothing_runs_when_the_guard_is_killed_and_the_next_start_removes_the_rest(
    cluster_of: BuiltCluster,
) -> None:
    os.kill(int(cluster_of.layout.guard_pid.read_text()), signal.SIGKILL)
    wait_for(lambda: not processes(cluster_of.layout.folder))
    lifecycle.sweep()
    assert remains(cluster_of) == []
