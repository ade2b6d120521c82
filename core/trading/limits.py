"""Risk limits: names and defaults of the contract. Each is the largest, or least, allowed value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any

UNLIMITED = Decimal("Infinity")


class InvalidLimits(ValueError):
    """Limits that cannot be used; the message names the limit, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Limits:
    allowed_symbols: frozenset[str] = frozenset()  # empty: the manifest's symbols
    blocked_symbols: frozenset[str] = frozenset()
    max_order_value: Decimal = Decimal(50_000)
    max_position_size: Decimal = Decimal(1_000)  # per symbol, long or short
    max_daily_loss: Decimal = Decimal(5_000)
    max_drawdown: Decimal = Decimal("0.1")  # of peak equity, capital included
    min_account_balance: Decimal = Decimal(10_000)
    max_orders_per_second: int = 10
    max_orders_per_minute: int = 100
    min_confidence: Decimal = Decimal("0.6")  # where a signal has one
    # None of these unless it is written. Working orders count as if they were filled.
    max_gross_exposure: Decimal = UNLIMITED  # what all positions are worth, long and short added
    max_net_exposure: Decimal = UNLIMITED  # likewise, long and short set off
    max_concentration: Decimal = UNLIMITED  # what one symbol is worth, as a share of equity
    max_open_orders: Decimal = UNLIMITED
    max_price_deviation: Decimal = UNLIMITED  # of an order's prices from the mid, as a share of it
    max_value_at_risk: Decimal = UNLIMITED  # over one interval of samples
    max_correlation: Decimal = UNLIMITED  # with what any other strategy holds


NAMES = frozenset(field.name for field in fields(Limits))
DEFAULT_LIMITS = Limits()
UNBOUNDED = Limits(
    max_order_value=UNLIMITED,
    max_position_size=UNLIMITED,
    max_daily_loss=UNLIMITED,
    max_drawdown=UNLIMITED,
    min_account_balance=-UNLIMITED,
    max_orders_per_second=2**62,
    max_orders_per_minute=2**62,
    min_confidence=Decimal(0),
)
_AT_LEAST = frozenset(("min_account_balance", "min_confidence"))  # the higher, the tighter


def tighter(one: Limits, other: Limits) -> Limits:
    """What both allow."""
    return Limits(
        **{
            field.name: _tighter(field.name, getattr(one, field.name), getattr(other, field.name))
            for field in fields(Limits)
        }
    )


def _tighter(name: str, one: Any, other: Any) -> Any:
    if name == "allowed_symbols":
        return one & other if one and other else one | other  # empty: all
    if name == "blocked_symbols":
        return one | other
    return max(one, other) if name in _AT_LEAST else min(one, other)


def written(limits: Limits) -> frozenset[str]:
    """The names of those that bound anything."""
    names = (field.name for field in fields(Limits))
    return frozenset(n for n in names if getattr(limits, n) != getattr(UNBOUNDED, n))


def parse_bounds(document: Mapping[str, Any]) -> Limits:
    """As `parse_limits`; but what is absent bounds nothing. Raises InvalidLimits."""
    stated = {name: value for name, value in document.items() if value is not None}
    read = parse_limits(stated)
    return replace(UNBOUNDED, **{name: getattr(read, name) for name in stated})


def parse_limits(document: Mapping[str, Any]) -> Limits:
    """Limits as manifests have them: money as decimal strings or numbers; absent: the default.

    Raises InvalidLimits.
    """
    unknown = sorted(set(document) - set(_READERS))
    if unknown:
        raise InvalidLimits(f"limit {unknown[0]}: unknown, expected one of {', '.join(_READERS)}")
    return Limits(**{name: _READERS[name](name, value) for name, value in document.items()})


def _symbols(name: str, value: Any) -> frozenset[str]:
    if isinstance(value, str) or not all(isinstance(one, str) for one in _items(value)):
        raise InvalidLimits(f"limit {name}: {value!r}, expected a list of symbols")
    return frozenset(value)


def _items(value: Any) -> Any:
    return value if isinstance(value, list | tuple | frozenset | set) else (None,)


def _amount(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number < 0:
        raise InvalidLimits(f"limit {name}: {value!r}, expected a decimal number, 0 or more")
    return number


def _fraction(name: str, value: Any) -> Decimal:
    number = _amount(name, value)
    if number > 1:
        raise InvalidLimits(f"limit {name}: {value!r}, expected a fraction from 0 to 1")
    return number


def _count(name: str, value: Any) -> int:
    number = _amount(name, value)
    if number != number.to_integral_value():
        raise InvalidLimits(f"limit {name}: {value!r}, expected a whole number")
    return int(number)


def _whole(name: str, value: Any) -> Decimal:
    return Decimal(_count(name, value))


_Reader = Callable[[str, Any], Any]
_KINDS: Mapping[str, _Reader] = {
    "allowed_symbols": _symbols,
    "blocked_symbols": _symbols,
    "max_drawdown": _fraction,
    "min_confidence": _fraction,
    "max_correlation": _fraction,
    "max_orders_per_second": _count,
    "max_orders_per_minute": _count,
    "max_open_orders": _whole,
}
_READERS: Mapping[str, _Reader] = {
    field.name: _KINDS.get(field.name, _amount) for field in fields(Limits)
}
