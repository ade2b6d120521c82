"""What the machine must have for a cluster, and what of it the cluster takes."""

import os
import shutil
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

from dev_cluster.addresses import Addresses
from dev_cluster.notices import say

_CGROUPS = Path("/sys/fs/cgroup")
_BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")

# Program: Debian's package.
_PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
    "runc": "runc",
}


class MachineUnfit(Exception):
    """A cluster cannot run here; the message says what is missing."""


def require() -> None:
    """Installs what a Debian lacks; raises MachineUnfit for the rest."""
    reasons = [*_unfit()]
    if not reasons:
        _install(missing_programs())
        _load_bridge_filter()
        reasons = [f"no {name} on the PATH" for name in missing_programs()]
        if not _BRIDGED.exists():
            reasons.append("the kernel module br_netfilter is not loaded")
    if reasons:
        raise MachineUnfit("; ".join(reasons))


def missing_programs() -> list[str]:
    return [name for name in _PROGRAMS if shutil.which(name) is None]


def control_groups(addresses: Addresses) -> list[Path]:
    """Where the pods' groups of a cluster are: one with cgroup v2, one per controller with v1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS / addresses.cgroup]
    hierarchies = [one for one in _CGROUPS.iterdir() if (one / "cgroup.procs").exists()]
    return [one / addresses.cgroup for one in hierarchies if not one.is_symlink()]


def routes() -> list[IPv4Network]:
    """Where the host's own IPv4 routes lead."""
    return routes_of(Path("/proc/net/route").read_text())


def routes_of(table: str) -> list[IPv4Network]:
    return [_route(line.split()) for line in table.splitlines()[1:]]


def _route(fields: list[str]) -> IPv4Network:
    """The kernel writes addresses as hexadecimal, lowest byte first."""
    address, mask = (int.from_bytes(bytes.fromhex(fields[n]), "little") for n in (1, 7))
    return IPv4Network((address, mask.bit_count()))


def _unfit() -> list[str]:
    if sys.platform != "linux":
        return [f"{sys.platform} is not Linux"]
    return [] if os.geteuid() == 0 else ["not root"]


def _install(programs: list[str]) -> None:
    packages = sorted({_PROGRAMS[name] for name in programs})
    if not packages or shutil.which("apt-get") is None:
        return
    say(f"installing Debian's {', '.join(packages)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(  # noqa: S603
            ["apt-get", "-qq", *command],  # noqa: S607
            env=environment,
            stdout=sys.stderr,
            check=False,  # what is still missing is named by the caller
        )


def _load_bridge_filter() -> None:
    """Without it a pod cannot reach itself or its neighbour by a Service's address."""
    if not _BRIDGED.exists() and shutil.which("modprobe"):
        subprocess.run(["modprobe", "br_netfilter"], check=False)  # noqa: S607
