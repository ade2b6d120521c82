"""Gauges of 1, one series for each strategy, as Prometheus reads them.

The library needs ten times as long for a series, and the loop waits for a page.
"""

from collections.abc import Iterable

Labels = tuple[str, ...]
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def series(name: str, text: str, labels: Labels, values: Iterable[Labels]) -> bytes:
    """With a label of each name, in that order."""
    named = ",".join(f'{label}="%s"' for label in labels)
    line = f"{name}{{{named}}} 1.0\n"
    head = f"# HELP {name} {text}\n# TYPE {name} gauge\n"
    lines = (line % tuple(value.translate(_ESCAPED) for value in each) for each in values)
    return (head + "".join(lines)).encode()
