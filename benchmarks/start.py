"""What the command costs before it does anything."""

import resource
import subprocess
import sys

from benchmarks.table import Figure


def figures() -> list[Figure]:
    cpu = min(_cpu_s(sys.executable, "-m", "stratops", "--help") for _ in range(5))
    bare = min(_cpu_s(sys.executable, "-c", "pass") for _ in range(5))
    return [Figure("stratops --help", cpu, "s CPU", bare, "s, python -c pass", aim="< 0.5 s")]


def _cpu_s(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
