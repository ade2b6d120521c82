"""What a risk policy says of aggregation: `{method, windowSeconds, threshold}`."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from trading.aggregation import DEFAULT_THRESHOLD, DEFAULT_WINDOW_NS, Aggregation, Method
from trading.limits import InvalidLimits

_NAMES = ("method", "windowSeconds", "threshold")
_LONGEST_S = 3_600


def parse_aggregation(written: object) -> Aggregation | None:
    """None: nobody votes. Raises InvalidLimits."""
    if written is None:
        return None
    if not isinstance(written, Mapping):
        raise InvalidLimits(f"aggregation: {written!r}, expected an object")
    for name in sorted(map(str, written.keys() - set(_NAMES))):
        raise InvalidLimits(f"aggregation.{name}: unknown, expected one of {', '.join(_NAMES)}")
    return Aggregation(
        _method(written.get("method")),
        _window_ns(written.get("windowSeconds")),
        _threshold(written.get("threshold")),
    )


def _method(written: object) -> Method:
    if not isinstance(written, str) or written not in set(Method):
        raise InvalidLimits(f"aggregation.method: {written!r}, expected one of {', '.join(Method)}")
    return Method(written)


def _window_ns(written: object) -> int:
    if written is None:
        return DEFAULT_WINDOW_NS
    if isinstance(written, bool) or not isinstance(written, int) or not 0 < written <= _LONGEST_S:
        expected = f"a whole number from 1 to {_LONGEST_S}"
        raise InvalidLimits(f"aggregation.windowSeconds: {written!r}, expected {expected}")
    return written * 1_000_000_000


def _threshold(written: object) -> Decimal:
    if written is None:
        return DEFAULT_THRESHOLD
    try:
        found = Decimal(str(written)) if not isinstance(written, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or not 0 <= found <= 1:
        raise InvalidLimits(f"aggregation.threshold: {written!r}, expected a number from 0 to 1")
    return found
