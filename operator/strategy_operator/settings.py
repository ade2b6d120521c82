"""What the operator reads from its environment, once, at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stratops_process.environment import Environment

GATEWAY_TOKEN = "/var/run/secrets/stratops/gateway/token"  # noqa: S105  # a path
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class Watch(StrEnum):
    """Whose strategies: those of the operator's own namespace, or of all."""

    NAMESPACE = "namespace"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Settings:
    namespace: str  # its own: of its Lease, and of what it watches unless that is all
    identity: str  # equal for two lives of one pod, different for two pods
    runner_image: str
    watch: Watch = Watch.NAMESPACE
    pull_policy: str = "IfNotPresent"
    gateway_token: Path | None = Path(GATEWAY_TOKEN)  # None: one is asked for, for each desk
    kubeconfig: Path | None = None  # None: the pod's own ServiceAccount
    max_starting: int = 6
    max_handovers: int = 8
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises InvalidSettings."""
        read = Environment(environ)
        kubeconfig = environ.get("KUBECONFIG", "")
        watch = read.one_of("WATCH", Watch, Watch.NAMESPACE)
        return cls(
            namespace=read.text("NAMESPACE"),
            identity=read.text("IDENTITY"),
            runner_image=read.text("RUNNER_IMAGE"),
            watch=watch,
            pull_policy=read.word("IMAGE_PULL_POLICY", PULL_POLICIES, "IfNotPresent"),
            gateway_token=_token_file(read, watch),
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
            max_starting=read.whole("MAX_STARTING", 6, 1, 1_000),
            max_handovers=read.whole("MAX_HANDOVERS", 8, 1, 1_000),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            metrics_port=read.port("METRICS_PORT"),
            log_level=read.level(),
        )

    @property
    def plain_gateways(self) -> bool:
        """Whether one without a CA is spoken to: in a pod it would get a token that others take."""
        return self.kubeconfig is not None

    @property
    def watched_namespace(self) -> str:
        """Empty: all of them."""
        return self.namespace if self.watch is Watch.NAMESPACE else ""


def _token_file(read: Environment, watch: Watch) -> Path | None:
    """A kubelet writes one for a gateway that the pod knew when it was made."""
    return read.path("GATEWAY_TOKEN_FILE") or (
        Path(GATEWAY_TOKEN) if watch is Watch.NAMESPACE else None
    )
