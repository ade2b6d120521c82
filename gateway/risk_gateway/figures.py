"""Numbers as a policy has them: JSON, money and shares as text or number."""

from decimal import Decimal, InvalidOperation

from trading.limits import InvalidLimits


def whole(place: str, written: object, *, default: int, least: int, most: int) -> int:
    """Raises InvalidLimits."""
    if written is None:
        return default
    number = _number(written) if not isinstance(written, str) else None
    if number is None or number != number.to_integral_value() or not least <= number <= most:
        expected = f"a whole number from {least} to {most}"
        raise InvalidLimits(f"{place}: {written!r}, expected {expected}")
    return int(number)


def fraction(place: str, written: object, *, default: Decimal) -> Decimal:
    """From 0 to 1. Raises InvalidLimits."""
    if written is None:
        return default
    number = _number(written)
    if number is None or not 0 <= number <= 1:
        raise InvalidLimits(f"{place}: {written!r}, expected a number from 0 to 1")
    return number


def positive(place: str, written: object, *, most: Decimal) -> Decimal:
    """Raises InvalidLimits."""
    number = _number(written)
    if number is None or not 0 < number <= most:
        raise InvalidLimits(f"{place}: {written!r}, expected a number above 0, at most {most}")
    return number


def _number(written: object) -> Decimal | None:
    try:
        number = None if isinstance(written, bool) else Decimal(str(written))
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
