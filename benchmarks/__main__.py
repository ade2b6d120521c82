"""python -m benchmarks [NAME...]: all of them, or those named; a table, and JSON in results/."""

import sys
from pathlib import Path

from benchmarks import (
    decision,
    desk,
    growth,
    journal,
    kill_switch,
    nautilus,
    operator,
    orders,
    reconcile,
    signals,
    start,
)
from benchmarks.table import show, write

BENCHMARKS = {
    "start": start,
    "decision": decision,
    "reconcile": reconcile,
    "journal": journal,
    "signals": signals,
    "growth": growth,
    "orders": orders,
    "desk": desk,
    "kill_switch": kill_switch,
    "operator": operator,
    "nautilus": nautilus,
}

names = sys.argv[1:] or list(BENCHMARKS)
unknown = [name for name in names if name not in BENCHMARKS]
if unknown:
    sys.exit(f"unknown benchmark {unknown[0]}, expected some of: {' '.join(BENCHMARKS)}")
figures = [figure for name in names for figure in BENCHMARKS[name].figures()]
show(figures)
write(figures, Path(__file__).parent / "results" / "latest.json")
