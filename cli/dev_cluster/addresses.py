"""The addresses and names that one cluster has to itself, so that several run side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

COUNT = 100  # clusters on one machine: 10.77 to 10.176
_FIRST = 77


@dataclass(frozen=True, slots=True)
class Addresses:
    """Everything of cluster `index` lies in 10.(77+index).0.0/16."""

    index: int

    @property
    def range(self) -> IPv4Network:
        return IPv4Network(f"10.{_FIRST + self.index}.0.0/16")

    @property
    def link(self) -> IPv4Network:
        """Between host and node."""
        return IPv4Network((int(self.range.network_address), 24))

    @property
    def node(self) -> IPv4Address:
        return self.range[1]

    @property
    def host(self) -> IPv4Address:
        """Where pods and node reach servers of the host."""
        return self.range[254]

    @property
    def services(self) -> IPv4Network:
        return IPv4Network((int(self.range[64 << 8]), 18))

    @property
    def kubernetes_service(self) -> IPv4Address:
        return self.services[1]

    @property
    def pods(self) -> IPv4Network:
        return IPv4Network((int(self.range[128 << 8]), 17))

    @property
    def interface(self) -> str:
        """The host's end of the link."""
        return f"stratops{self.index}"

    @property
    def cgroup(self) -> str:
        """Of the pods: a kubelet ends whatever it does not know below its own."""
        return f"stratops-cluster-{self.index}"

    @property
    def api(self) -> str:
        return f"https://{self.node}:6443"

    @property
    def no_proxy(self) -> str:
        """The node besides the range: not every client understands ranges."""
        return f"{self.node},{self.range}"


def candidates(routes: Sequence[IPv4Network]) -> list[int]:
    """The indexes in the order to try, by where the host's routes lead: first those whose
    addresses none of them covers, then those that a wider one does; never one that is in use."""
    by_index = {index: Addresses(index).range for index in range(COUNT)}
    unused = [
        index
        for index, wanted in by_index.items()
        if not any(route.subnet_of(wanted) for route in routes)
    ]
    return sorted(unused, key=lambda index: _is_covered(by_index[index], routes))


def _is_covered(wanted: IPv4Network, routes: Sequence[IPv4Network]) -> bool:
    return any(wanted.subnet_of(route) for route in routes if route.prefixlen)
