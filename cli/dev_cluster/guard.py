"""Holds one cluster, and takes it away when its owner ends, by whatever means.

    python -m dev_cluster.guard FOLDER INDEX LOCK OWNER

LOCK is an open file whose lock says that the index is taken: it is free again when this process
has ended. OWNER is the reading end of a pipe whose other end the owner holds open, or -1 for a
cluster that stays until SIGTERM. If this process itself is killed, the kernel ends the cluster
(PDEATHSIG, twice); folders that remain are removed by the next cluster with that index.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from dev_cluster import debris
from dev_cluster.addresses import Addresses
from dev_cluster.components import LINK
from dev_cluster.machine import control_groups

POLL_S = 0.2
_PR_SET_PDEATHSIG = 1
_UNSHARE = ["unshare", "-m", "-n", "-p", "-u", "-i", "--fork", "--mount-proc", "--kill-child"]


class Stop(Exception):
    """SIGTERM: the cluster is to go."""


def main(folder: Path, index: int, owner: int) -> None:
    addresses = Addresses(index)
    signal.signal(signal.SIGTERM, _stop)
    try:
        for group in control_groups(addresses):
            group.mkdir(exist_ok=True)
        node = start(folder)
        try:
            connect(addresses, first_child(node))
            (folder / "init.pid").write_text(str(first_child(node)))
            wait(node, owner)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # taking away is not interrupted
            end(node)
    except Stop:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        debris.remove(addresses, folder)


def start(folder: Path) -> subprocess.Popen[bytes]:
    supervisor = [sys.executable, "-P", "-m", "dev_cluster.supervisor", str(folder / "plan.json")]
    return subprocess.Popen(  # noqa: S603  # from this package
        [*_UNSHARE, *supervisor],
        stdin=subprocess.DEVNULL,
        stdout=(folder / "logs" / "supervisor.log").open("ab"),
        stderr=subprocess.STDOUT,
        preexec_fn=_die_with_parent,
    )


def first_child(node: subprocess.Popen[bytes]) -> int:
    """The supervisor, as the host sees it."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children")
    while node.poll() is None:
        found = children.read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.01)
    raise Stop


def connect(addresses: Addresses, node: int) -> None:
    """One pair of interfaces; the node's end takes the host's with it when it goes."""
    link = ["type", "veth", "peer", "name", LINK, "netns", str(node)]
    _ip("link", "add", addresses.interface, *link)
    _ip(
        "address", "add", f"{addresses.host}/{addresses.link.prefixlen}", "dev", addresses.interface
    )
    _ip("link", "set", addresses.interface, "up")
    _ip("route", "add", str(addresses.range), "via", str(addresses.node))


def wait(node: subprocess.Popen[bytes], owner: int) -> None:
    """Until the owner or the node ends. Nothing is ever written to the owner's pipe."""
    ends = [owner] if owner >= 0 else []
    while node.poll() is None:
        readable, _, _ = select.select(ends, [], [], POLL_S)
        if readable:
            return


def end(node: subprocess.Popen[bytes]) -> None:
    """Killing the first process of a PID namespace ends all of it, at once."""
    node.kill()
    node.wait()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)  # noqa: S603, S607  # iproute2, wherever it is


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stop


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[3]), False)
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4]))
