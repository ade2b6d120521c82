"""Free ports on 127.0.0.1, below the range that outgoing connections take theirs from.

A port of that range could be taken by somebody's connection while its server restarts; worse, a
client that keeps dialling a dead server there can end up connected to itself.
"""

import random
import socket
from pathlib import Path

_LOWEST = 15_000
_EPHEMERAL_LOW = 32_768  # Linux's default; macOS and the RFC start higher


def free_ports(count: int) -> tuple[int, ...]:
    """That many different ports that nobody listens on now."""
    chosen: set[int] = set()
    candidates = list(range(_LOWEST, _ephemeral_low()))
    random.shuffle(candidates)
    for port in candidates:
        if len(chosen) == count:
            break
        if _is_free(port):
            chosen.add(port)
    if len(chosen) < count:
        raise OSError(f"only {len(chosen)} of {count} ports are free on 127.0.0.1")
    return tuple(chosen)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is free enough
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _ephemeral_low() -> int:
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return _EPHEMERAL_LOW
    return low if low > _LOWEST + 1000 else _EPHEMERAL_LOW
