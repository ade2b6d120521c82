"""What a benchmark answers, and how it is shown: ratios and CPU time, never wall time alone."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing. `against` is the reference of the same run, `aim` what `ratio` (or, if
    there is no reference, `value`) should not exceed."""

    name: str
    value: float
    unit: str
    against: float | None = None
    reference: str = ""
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.against if self.against else None


def show(figures: Iterable[Figure]) -> None:
    rows = [("figure", "value", "reference", "ratio", "aim"), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    reference = f"{figure.against:.4g} {figure.reference}" if figure.against else "-"
    ratio = f"{figure.ratio:.2f}x" if figure.ratio else "-"
    return figure.name, f"{figure.value:.4g} {figure.unit}", reference, ratio, figure.aim


def write(figures: Iterable[Figure], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(figure), "ratio": figure.ratio} for figure in figures]
    path.write_text(json.dumps({"python": sys.version, "figures": rows}, indent=2) + "\n")
