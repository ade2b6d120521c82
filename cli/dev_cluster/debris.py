"""What a cluster leaves on the host once its processes are gone, and its removal."""

import shutil
import subprocess
import time
from pathlib import Path

from dev_cluster.addresses import Addresses
from dev_cluster.machine import control_groups

_WITHIN_S = 15.0


def remove(addresses: Addresses, folder: Path) -> None:
    """All of it; what is not there is no error."""
    subprocess.run(  # noqa: S603
        ["ip", "link", "delete", addresses.interface],  # noqa: S607  # iproute2
        capture_output=True,
        check=False,
    )
    deadline = time.monotonic() + _WITHIN_S
    while cgroups(addresses) and time.monotonic() < deadline:
        _remove_cgroups(addresses)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def cgroups(addresses: Addresses) -> list[Path]:
    return [group for group in control_groups(addresses) if group.is_dir()]


def _remove_cgroups(addresses: Addresses) -> None:
    for top in cgroups(addresses):
        # Deepest first; one that still has a process is tried again.
        below = sorted(top.rglob("*/"), key=lambda group: -len(group.parts))
        for group in (*below, top):
            _remove_empty(group)


def _remove_empty(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        return
