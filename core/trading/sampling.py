"""Sampling: how far value at risk and correlation look back, and how sure they have to be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from trading.limits import InvalidLimits

_NOW, _BEFORE = "intervalSeconds", "interval_seconds"
LEAST_SAMPLES, MOST_SAMPLES = 20, 2_000
LONGEST_INTERVAL_S = 86_400
LEAST_CONFIDENCE, MOST_CONFIDENCE = Decimal("0.5"), Decimal("0.9999")


@dataclass(frozen=True, slots=True)
class Sampling:
    interval_s: int = 60
    samples: int = 250  # returns that are looked at, and needed
    confidence: Decimal = Decimal("0.99")

    def stricter(self, other: "Sampling") -> "Sampling":
        """Of two, the longer interval, the larger number and the higher confidence."""
        return Sampling(
            max(self.interval_s, other.interval_s),
            max(self.samples, other.samples),
            max(self.confidence, other.confidence),
        )


def parse_sampling(document: Mapping[str, Any]) -> Sampling:
    """What is absent is the default. Raises InvalidLimits."""
    stated = _by_its_name_of_now({n: each for n, each in document.items() if each is not None})
    unknown = sorted(set(stated) - set(_READERS))
    if unknown:
        expected = ", ".join(_READERS)
        raise InvalidLimits(f"sampling {unknown[0]}: unknown, expected one of {expected}")
    readers = ((*_READERS[name], value) for name, value in stated.items())
    return Sampling(**{field: read(value) for field, read, value in readers})


def _by_its_name_of_now(stated: dict[str, Any]) -> dict[str, Any]:
    """What is stored, in clusters and journals, may have the interval by its name of before."""
    before = stated.pop(_BEFORE, None)
    if before is not None and _NOW in stated:
        raise InvalidLimits(f"sampling {_BEFORE}: {before!r}, expected only {_NOW}")
    return stated if before is None else stated | {_NOW: before}


def _whole(name: str, least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(value)
        if number is not None and least <= number <= most and number == int(number):
            return int(number)
        expected = f"a whole number from {least} to {most}"
        raise InvalidLimits(f"sampling {name}: {value!r}, expected {expected}")

    return read


def _confidence(value: object) -> Decimal:
    number = _number(value)
    if number is not None and LEAST_CONFIDENCE <= number <= MOST_CONFIDENCE:
        return number
    expected = f"a number from {LEAST_CONFIDENCE} to {MOST_CONFIDENCE}"
    raise InvalidLimits(f"sampling confidence: {value!r}, expected {expected}")


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value)) if isinstance(value, int | float | str) else None
    except InvalidOperation:
        return None
    is_one = number is not None and number.is_finite() and not isinstance(value, bool)
    return number if is_one else None


_READERS: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "intervalSeconds": ("interval_s", _whole("intervalSeconds", 1, LONGEST_INTERVAL_S)),
    "samples": ("samples", _whole("samples", LEAST_SAMPLES, MOST_SAMPLES)),
    "confidence": ("confidence", _confidence),
}
