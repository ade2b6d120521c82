"""What a risk policy says of sizing: exactly one of the three methods."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from risk_gateway.figures import positive, whole
from trading.limits import InvalidLimits
from trading.sizing import DEFAULT_RETURNS, DEFAULT_STEP_S, Sizing, SizingMethod

_METHODS = {
    "fixedFraction": SizingMethod.FIXED_FRACTION,
    "volatilityTarget": SizingMethod.VOLATILITY_TARGET,
    "kelly": SizingMethod.KELLY,
}
_NEEDED = {
    SizingMethod.FIXED_FRACTION: ("fraction",),
    SizingMethod.VOLATILITY_TARGET: ("volatility", "cap"),
    SizingMethod.KELLY: ("fraction", "winRate", "payoff", "cap"),
}
_ALLOWED = {SizingMethod.VOLATILITY_TARGET: ("stepSeconds", "returns")}
_MOST = {"volatility": Decimal(10), "payoff": Decimal(1_000)}  # of the others 1


def parse_sizing(written: object) -> Sizing | None:
    """None: intentions are not sized. Raises InvalidLimits."""
    if written is None:
        return None
    name, said = _only_one(written)
    method, place = _METHODS[name], f"sizing.{name}"
    _check_names(place, said, _NEEDED[method], _ALLOWED.get(method, ()))
    numbers = {
        key: positive(f"{place}.{key}", said[key], most=_MOST.get(key, Decimal(1)))
        for key in _NEEDED[method]
    }
    step_s, returns = said.get("stepSeconds"), said.get("returns")
    return Sizing(
        method,
        cap=numbers["cap"] if "cap" in numbers else numbers["fraction"],
        fraction=numbers.get("fraction"),
        volatility=numbers.get("volatility"),
        step_s=whole(f"{place}.stepSeconds", step_s, default=DEFAULT_STEP_S, least=1, most=3_600),
        returns=whole(f"{place}.returns", returns, default=DEFAULT_RETURNS, least=2, most=1_000),
        win_rate=numbers.get("winRate"),
        payoff=numbers.get("payoff"),
    )


def _only_one(written: object) -> tuple[str, Mapping[str, Any]]:
    expected = f"exactly one of {', '.join(_METHODS)}"
    if not isinstance(written, Mapping) or len(written) != 1:
        raise InvalidLimits(f"sizing: {written!r}, expected {expected}")
    ((name, said),) = written.items()
    if name not in _METHODS:
        raise InvalidLimits(f"sizing.{name}: unknown, expected {expected}")
    if not isinstance(said, Mapping):
        raise InvalidLimits(f"sizing.{name}: {said!r}, expected an object")
    return str(name), said


def _check_names(
    place: str, said: Mapping[str, Any], needed: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    for name in needed:
        if name not in said:
            raise InvalidLimits(f"{place}.{name}: missing, expected a number")
    for name in sorted(map(str, said.keys() - {*needed, *allowed})):
        expected = ", ".join((*needed, *allowed))
        raise InvalidLimits(f"{place}.{name}: unknown, expected one of {expected}")
