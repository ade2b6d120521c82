"""A cluster as tests and commands see it, wherever it comes from."""

import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class KubectlFailed(Exception):
    """What kubectl wrote on stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(ABC):
    kubeconfig: Path  # of an administrator
    kubectl_program: Path
    no_proxy: str = ""  # addresses that no proxy leads to

    @abstractmethod
    def load(self, archive: Path) -> None:
        """Makes the images of an archive (docker or OCI) known to the node."""

    @property
    def environment(self) -> Mapping[str, str]:
        """For a client of this cluster."""
        exempt = without_proxy(os.environ, self.no_proxy)
        return {**os.environ, **exempt, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: str, stdin: str = "", timeout_s: float = 120) -> str:
        done = subprocess.run(  # noqa: S603  # our own kubectl
            [self.kubectl_program, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def without_proxy(environment: Mapping[str, str], addresses: str) -> dict[str, str]:
    """The variables that keep clients from asking a proxy for these addresses."""
    known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    both = ",".join(part for part in (known, addresses) if part)
    return {"no_proxy": both, "NO_PROXY": both}


def wait_until(deadline: float) -> bool:
    """Whether there is still time, after a short sleep."""
    time.sleep(0.05)
    return time.monotonic() < deadline
