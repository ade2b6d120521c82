"""A cluster that somebody else runs, by its kubeconfig."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev_cluster.cluster import Cluster
from dev_cluster.machine import MachineUnfit


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCluster(Cluster):
    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise MachineUnfit("no kubectl on the PATH")
        return cls(kubeconfig=kubeconfig, kubectl_program=Path(kubectl))

    def load(self, archive: Path) -> None:
        """Its nodes are not ours: who gives the cluster gives it the images."""
