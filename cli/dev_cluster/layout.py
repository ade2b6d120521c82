"""Where the files of one running cluster lie."""

from dataclasses import dataclass
from pathlib import Path

CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")  # the node has a /run of its own


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one cluster, gone when the cluster is, and where its programs are."""

    folder: Path
    programs: Path

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator."""
        return self.user("admin")

    @property
    def configs(self) -> Path:
        return self.folder / "configs"

    @property
    def network(self) -> Path:
        """CNI's configuration."""
        return self.configs / "cni"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def volumes(self) -> Path:
        return self.data / "volumes"

    @property
    def control(self) -> Path:
        """What is asked of the supervisor."""
        return self.folder / "control"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def facts(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def init_pid(self) -> Path:
        """As the host sees the first process of the cluster's namespaces."""
        return self.folder / "init.pid"

    @property
    def guard_pid(self) -> Path:
        return self.folder / "guard.pid"

    def user(self, name: str) -> Path:
        return self.pki / f"{name}.kubeconfig"

    def certificate(self, name: str) -> Path:
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.pki / f"{name}.key"
