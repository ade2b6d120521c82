"""sma_crossover's orders, computed in a way that shares no code with the strategy."""

import csv
import gzip
from importlib.resources import files
from pathlib import Path

import numpy as np

SAMPLE = Path(str(files("market_feed"))) / "sample" / "quotes_BTCUSDT_20240808.csv.gz"
SHORT, LONG, INCREMENT = 5, 20, 0.01

Order = tuple[int, str]  # sequence of the tick, side


def expected(path: Path) -> list[Order]:
    """Twenty lines of numpy: mids in whole increments, moving sums, changes of the comparison."""
    with gzip.open(path, "rt") as text:
        rows = [
            (row["sequence"], row["bid_price"], row["ask_price"]) for row in csv.DictReader(text)
        ]
    sequence = np.array([int(row[0]) for row in rows], dtype=np.int64)
    bid, ask = (np.array([float(row[n]) for row in rows]) for n in (1, 2))
    mid2 = np.rint(bid / INCREMENT).astype(np.int64) + np.rint(ask / INCREMENT).astype(np.int64)
    total = np.concatenate(([0], np.cumsum(mid2)))
    places = np.arange(LONG, len(mid2) + 1)
    short, long = (total[places] - total[places - n] for n in (SHORT, LONG))
    above = LONG * short > SHORT * long
    changes = np.flatnonzero(above[1:] != above[:-1]) + 1
    orders: list[Order] = []
    for change in changes:
        side = "buy" if above[change] else "sell"
        if side == "buy" or orders:  # a sale needs a position
            orders.append((int(sequence[places[change] - 1]), side))
    return orders
