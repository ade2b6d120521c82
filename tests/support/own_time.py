"""How long something takes of itself, on a machine that others use too.

`Watch` counts what a thread that sleeps 10 ms at a time could use: while the machine stands still,
or lets nobody run, it stands still as well. `seconds_to_end` leaves out besides what the process
spent waiting for a processor.
"""

import asyncio
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

_NAP_S = 0.01
_AWAKE_S = 0.05  # of one nap at most this counts; the rest of it nobody could run


class Watch:
    """From `with` on; `seconds` may be asked while it runs."""

    def __enter__(self) -> Self:
        self._slept_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        return self._slept_s

    def _count(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            time.sleep(_NAP_S)
            self._slept_s += min(time.monotonic() - began, _AWAKE_S)


def seconds_to_end(
    process: subprocess.Popen[bytes], number: int = signal.SIGTERM, within_s: float = 60
) -> float:
    """From the signal to its end; its exit code is there afterwards. Blocks."""
    if process.poll() is not None:
        return 0.0
    before_s = _waited_s(process.pid)
    with Watch() as watch:
        os.kill(process.pid, number)  # Popen's own would look first, and reap what has ended
        deadline = time.monotonic() + within_s
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            assert time.monotonic() < deadline, f"it has not ended after {within_s} s"
            time.sleep(0.001)
        took_s = watch.seconds
    waited_s = _waited_s(process.pid) - before_s  # what has ended says it until somebody waits
    process.wait()
    return max(0.0, took_s - waited_s)


async def ends_in(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> float:
    """The same beside the loop."""
    return await asyncio.to_thread(seconds_to_end, process, number)


def _waited_s(pid: int) -> float:
    """That its first thread was ready to run, and did not."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # this kernel does not say
        return 0.0
