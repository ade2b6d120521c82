"""What a risk policy says of aggregation: `{method, windowSeconds, threshold}`."""

from collections.abc import Mapping

from risk_gateway.figures import fraction, whole
from trading.aggregation import DEFAULT_THRESHOLD, DEFAULT_WINDOW_NS, Aggregation, Method
from trading.limits import InvalidLimits

_NAMES = ("method", "windowSeconds", "threshold")
_SECOND_NS = 1_000_000_000
_LONGEST_S = 3_600


def parse_aggregation(written: object) -> Aggregation | None:
    """None: nobody votes. Raises InvalidLimits."""
    if written is None:
        return None
    if not isinstance(written, Mapping):
        raise InvalidLimits(f"aggregation: {written!r}, expected an object")
    for name in sorted(map(str, written.keys() - set(_NAMES))):
        raise InvalidLimits(f"aggregation.{name}: unknown, expected one of {', '.join(_NAMES)}")
    window_s = whole(
        "aggregation.windowSeconds",
        written.get("windowSeconds"),
        default=DEFAULT_WINDOW_NS // _SECOND_NS,
        least=1,
        most=_LONGEST_S,
    )
    threshold = written.get("threshold")
    return Aggregation(
        _method(written.get("method")),
        window_s * _SECOND_NS,
        fraction("aggregation.threshold", threshold, default=DEFAULT_THRESHOLD),
    )


def _method(written: object) -> Method:
    if not isinstance(written, str) or written not in set(Method):
        raise InvalidLimits(f"aggregation.method: {written!r}, expected one of {', '.join(Method)}")
    return Method(written)
