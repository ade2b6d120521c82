"""A cluster of our own programs, while it runs: what can be asked of it, and done to it."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dev_cluster import pki
from dev_cluster.addresses import Addresses
from dev_cluster.api import Api, ApiError
from dev_cluster.cluster import Cluster
from dev_cluster.components import Component
from dev_cluster.layout import CONTAINERD_SOCKET, Layout

READY_WITHIN_S = 240.0  # seconds on a machine with nothing else to do
END_WITHIN_S = 60.0
_POLL_S = 0.05


class ClusterFailed(Exception):
    """It did not come up, did not go, or did not do what was asked."""


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

    def images(self) -> list[str]:
        """By name, without those that containerd names by their digest."""
        listed = self._ctr("images", "list", "-q").splitlines()
        return [name for name in listed if "sha256:" not in name]

    def inside(self, *command: str) -> str:
        """Runs it in the node's namespaces."""
        enter = ["nsenter", "-t", self.layout.init_pid.read_text(), "-m", "-n", "-p", "-u", "-i"]
        done = subprocess.run(  # noqa: S603  # a test's own command
            [*enter, *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterFailed(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def processes(self, pod_uid: str) -> list[int]:
        """Of a pod's containers, as the host numbers them: they may be stopped, or killed."""
        return [int(group.parent.name) for group in _groups_of(f"/pod{pod_uid}/")]

    def kill(self, component: Component) -> None:
        """With SIGKILL; it is gone when this returns, and starts again by itself."""
        request = self.layout.control / f"kill-{component}"
        request.touch()
        wait(lambda: not request.exists(), END_WITHIN_S, f"{component} does not end")

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

    def api(self) -> Api:
        return Api(self.addresses.api, self.layout.pki, "admin")

    def is_ready(self) -> bool:
        with self.api() as api:
            return _answers(api) and _runs_pods(api)

    def wait_until_ready(self, within_s: float = READY_WITHIN_S) -> None:
        """The API server answers, the node runs pods, and `default` admits them."""
        with self.api() as api:
            wait(lambda: _answers(api), within_s, "the API server is not ready")
            wait(lambda: _runs_pods(api), within_s, "the node is not Ready")
            wait(lambda: _admits_pods(api), within_s, "there is no default ServiceAccount")

    def _ctr(self, *arguments: str) -> str:
        program = str(self.layout.programs / "ctr")
        where = (f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io")
        return self.inside(program, *where, *arguments)


def wait(fact: Callable[[], bool], within_s: float, failure: str) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            raise ClusterFailed(f"{failure} within {within_s:.0f} s")
        time.sleep(_POLL_S)


def _answers(api: Api) -> bool:
    return bool(_asked(lambda: api.text("/readyz")))


def _runs_pods(api: Api) -> bool:
    node = _asked(lambda: api.get(f"/api/v1/nodes/{pki.NODE}"))
    conditions = node["status"]["conditions"] if node else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _admits_pods(api: Api) -> bool:
    return bool(_asked(lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default")))


def _asked(question: Callable[[], Any]) -> Any:
    """None as long as the API server does not answer it."""
    try:
        return question()
    except (OSError, http.client.HTTPException, ApiError):
        return None


def _groups_of(pod: str) -> Iterator[Path]:
    """The /proc/PID/cgroup of the pod's processes, without the one that holds its namespaces."""
    for group in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            command = (group.parent / "cmdline").read_bytes()
            if pod in group.read_text() and command != b"/pause\0":
                yield group
        except OSError:  # it has just ended
            continue
