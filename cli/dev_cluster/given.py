"""A cluster that somebody else runs, by its kubeconfig."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev_cluster import tools
from dev_cluster.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCluster(Cluster):
    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        return cls(kubeconfig=kubeconfig, kubectl_program=tools.kubectl())

    def load(self, archive: Path) -> None:
        """Its nodes are not ours: who gives the cluster gives it the images."""
