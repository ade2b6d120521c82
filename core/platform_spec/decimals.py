"""Numbers as people and API servers spell them, and their one canonical spelling.

`1`, `1.0`, `1e0` and `"1"` are one number. A YAML float means what its shortest spelling as a
64-bit float says, because that is what a Kubernetes API server keeps of it.
"""

import re
from decimal import Decimal

MOST_DIGITS = 40  # before the point, and after it
LONGEST = 100  # characters; digits, point, sign and exponent of anything within MOST_DIGITS
NUMBER_TEXT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?$"
_NUMBER = re.compile(NUMBER_TEXT)


def number(value: object) -> Decimal | None:
    """The number written as `value`: an int, a float, or text that JSON would read as a number.

    None for anything else, and for more than MOST_DIGITS digits on either side of the point.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    text = value if isinstance(value, str) else _text(value)
    if len(text) > LONGEST or not _NUMBER.fullmatch(text):
        return None
    exact = Decimal(text)
    return exact if _is_bounded(exact) else None


def spelling(exact: Decimal) -> str:
    """The canonical decimal string: no exponent, no trailing zeros, no negative zero."""
    if not exact:
        return "0"
    text = format(exact, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(value: float | Decimal) -> str:
    if isinstance(value, int) and value.bit_length() > MOST_DIGITS * 4:
        return ""  # str() of a huge int is refused by Python
    return str(value)


def _is_bounded(exact: Decimal) -> bool:
    exponent = exact.as_tuple().exponent
    return isinstance(exponent, int) and (
        not exact or (exact.adjusted() < MOST_DIGITS and exponent >= -MOST_DIGITS)
    )
