"""The first process of a cluster's namespaces: prepares the node, then keeps its daemons running.

    python -m dev_cluster.supervisor PLAN

When it dies the kernel ends everything else in the namespaces. It does what files in the control
folder ask for: `kill-NAME` ends a daemon with SIGKILL, which then starts again; while there is
`hold-NAME`, it does not. Only the standard library: this starts with each cluster.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev_cluster.plan import Plan

POLL_S = 0.05
RESTART_AFTER_S = 0.2
LINK_WITHIN_S = 30

_MS_BIND, _MS_REC, _MS_SHARED = 4096, 16384, 1 << 20


def main(path: Path) -> None:
    plan = Plan.from_json(json.loads(path.read_text()))
    make_private(plan)
    socket.sethostname(plan.hostname)
    set_up_network(plan)
    Supervisor(plan).run()


def make_private(plan: Plan) -> None:
    """A /run and a /var of the node's own: nothing there of the host's is touched.

    Below /var everything stays readable; folders of the cluster that would be hidden are
    put back in place.
    """
    kept = {folder: os.open(folder, os.O_PATH) for folder in plan.folders}
    _mount("none", "/", "none", _MS_REC | _MS_SHARED)  # kubelet and containerd share mounts
    _mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    for part in ("upper", "work"):
        Path("/run/var", part).mkdir(parents=True)
    layers = "lowerdir=/var,upperdir=/run/var/upper,workdir=/run/var/work"
    _mount("overlay", "/var", "overlay", 0, layers)
    for folder, descriptor in kept.items():
        if folder.is_relative_to("/var") or folder.is_relative_to("/run"):
            folder.mkdir(parents=True, exist_ok=True)
            _mount(f"/proc/self/fd/{descriptor}", str(folder), "none", _MS_BIND | _MS_REC)
        os.close(descriptor)


def set_up_network(plan: Plan) -> None:
    deadline = time.monotonic() + LINK_WITHIN_S
    while plan.link not in (name for _, name in socket.if_nameindex()):
        if time.monotonic() > deadline:
            sys.exit(f"{plan.link}: not there within {LINK_WITHIN_S} s")
        time.sleep(0.01)
    for command in plan.setup:
        subprocess.run(command, check=True)  # noqa: S603  # from the plan
    for name, value in plan.kernel_settings.items():
        Path("/proc/sys", name).write_text(value)


@dataclass(slots=True)
class Supervisor:
    plan: Plan
    pids: dict[str, int] = field(default_factory=dict)
    not_before: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        while True:
            self.reap()
            self.obey()
            self.start_missing()
            time.sleep(POLL_S)

    def reap(self) -> None:
        """Every process without a parent in these namespaces becomes a child of this one."""
        while pid := _ended_child():
            for name in [name for name, its in self.pids.items() if its == pid]:
                del self.pids[name]
                self.not_before[name] = time.monotonic() + RESTART_AFTER_S

    def obey(self) -> None:
        for request in self.plan.control.glob("kill-*"):
            pid = self.pids.get(request.name.removeprefix("kill-"))
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                self._wait_for_end(pid)
            request.unlink(missing_ok=True)  # the answer: it is done

    def _wait_for_end(self, pid: int) -> None:
        while pid in self.pids.values():
            self.reap()
            time.sleep(0.005)

    def start_missing(self) -> None:
        for name, command in self.plan.daemons.items():
            due = time.monotonic() >= self.not_before.get(name, 0)
            if name not in self.pids and due and not self._is_held(name):
                log = self.plan.logs / f"{name}.log"
                self.pids[name] = _spawn(command, self.plan.environment, log)

    def _is_held(self, name: str) -> bool:
        return (self.plan.control / f"hold-{name}").exists()


def _ended_child() -> int:
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def _spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(
        command[0], list(command), environment, file_actions=files, setsigdef=[signal.SIGPIPE]
    )


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    names = (text.encode() for text in (source, target, kind))
    if libc.mount(*names, ctypes.c_ulong(flags), options.encode() or None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
