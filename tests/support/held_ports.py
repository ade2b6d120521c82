"""Ports of 127.0.0.1 for servers that a test starts, and starts again.

A port that is only looked for is anybody's until its server listens, and again while it is down:
another worker may be given it meanwhile, and somebody's connection may even come from it. So each
is held: bound, without listening, by a socket that lets a server of any process listen beside it.
"""

import socket
from collections import deque

_MOST_HELD = 256  # the oldest first; a test needs a few dozens
_held: deque[socket.socket] = deque()


def free_port() -> int:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    if len(_held) > _MOST_HELD:
        _held.popleft().close()
    return int(holder.getsockname()[1])
