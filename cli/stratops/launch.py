"""What a child runs first: it ties its life to its parent's, takes its limits, becomes the program.

Run by path, with nothing but the standard library: `python -I -S launch.py PARENT BYTES PROGRAM
ARGUMENT...`. A step of its own, because a `preexec_fn` would run Python in a fork of a process that
has gRPC's threads.
"""

import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, data_bytes: int, argv: list[str]) -> None:
    _die_with(parent)
    # A crash leaves no file behind.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if data_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    os.execv(argv[0], argv)  # noqa: S606  # no shell is wanted


def _die_with(parent: int) -> None:
    """The kernel kills this process when its parent ends, however that happens (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
