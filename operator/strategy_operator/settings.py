"""What the operator reads from its environment, once, at the start."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

GATEWAY_TOKEN = "/var/run/secrets/stratops/gateway/token"  # noqa: S105  # a path
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


class InvalidSettings(ValueError):
    """An environment to start nothing with; names the variable, its value, what it needs."""


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
        read = _Reader(environ)
        kubeconfig = environ.get("KUBECONFIG", "")
        watch = Watch(read.one_of("WATCH", tuple(Watch), Watch.NAMESPACE))
        return cls(
            namespace=read.text("NAMESPACE"),
            identity=read.text("IDENTITY"),
            runner_image=read.text("RUNNER_IMAGE"),
            watch=watch,
            pull_policy=read.one_of("IMAGE_PULL_POLICY", PULL_POLICIES, "IfNotPresent"),
            gateway_token=_token_file(read, watch),
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
            max_starting=read.number("MAX_STARTING", 6, 1, 1_000) or 6,
            max_handovers=read.number("MAX_HANDOVERS", 8, 1, 1_000) or 8,
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            metrics_port=read.number("METRICS_PORT", None, 0, 65_535),
            log_level=read.text("LOG_LEVEL", "info").lower(),
        )

    @property
    def plain_gateways(self) -> bool:
        """Whether one without a CA is spoken to: in a pod it would get a token that others take."""
        return self.kubeconfig is not None

    @property
    def watched_namespace(self) -> str:
        """Empty: all of them."""
        return self.namespace if self.watch is Watch.NAMESPACE else ""


def _token_file(read: "_Reader", watch: Watch) -> Path | None:
    """A kubelet writes one for a gateway that the pod knew when it was made."""
    default = GATEWAY_TOKEN if watch is Watch.NAMESPACE else ""
    given = read.text("GATEWAY_TOKEN_FILE", default or "-")
    return Path(given) if given != "-" else None


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(f"STRATOPS_{name}") or default
        if value is None:
            raise InvalidSettings(f"STRATOPS_{name}: not set, expected a value")
        return value

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            expected = ", ".join(choices)
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected one of {expected}")
        return value

    def number(self, name: str, default: int | None, least: int, most: int) -> int | None:
        value = self._environ.get(f"STRATOPS_{name}")
        if not value:
            return default
        if not value.isdecimal() or not least <= int(value) <= most:
            raise InvalidSettings(f"STRATOPS_{name}: {value!r}, expected {least} to {most}")
        return int(value)
