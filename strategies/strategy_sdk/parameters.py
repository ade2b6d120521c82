"""Parameters: the typed class attributes of a strategy, as repr, validation and messages know them.

An attribute is a parameter when it is annotated as int, float, Decimal, str or bool and has a
default. `Annotated[int, Bounds(least=1)]` limits it. A manifest's numbers may come as text.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

Value = int | float | Decimal | str | bool
Kind = type[int] | type[float] | type[Decimal] | type[str] | type[bool]

_KINDS: tuple[Kind, ...] = (int, float, Decimal, str, bool)
_EXPECTED: Mapping[Kind, str] = {
    int: "a whole number",
    float: "a number",
    Decimal: "a decimal number",
    str: "a text",
    bool: "true or false",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number must keep; `least` and `most` are inside, `above` and `below` are not."""

    least: Decimal | float | None = None
    most: Decimal | float | None = None
    above: Decimal | float | None = None
    below: Decimal | float | None = None

    def hold(self, value: Decimal | float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        words = (
            ("at least", self.least),
            ("at most", self.most),
            ("more than", self.above),
            ("less than", self.below),
        )
        return " and ".join(f"{word} {bound}" for word, bound in words if bound is not None)


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: Kind
    default: Value
    bounds: Bounds | None = None

    @property
    def expected(self) -> str:
        words = _EXPECTED[self.kind]
        return f"{words}, {self.bounds}" if self.bounds else words


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one value. `parameter` is empty when several do not fit together."""

    parameter: str
    value: object
    expected: str
    nearest: str = ""  # the valid name that was probably meant
    known: bool = True  # the class has a parameter of that name

    def __str__(self) -> str:
        if not self.parameter:
            return self.expected
        found = repr(self.value) if self.known else "unknown parameter"
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"{self.parameter}: {found}, expected {self.expected}{hint}"


class InvalidParameters(ValueError):
    """Parameters that a strategy cannot take; `problems` has each of them."""

    def __init__(self, strategy: str, problems: list[Problem]) -> None:
        super().__init__(f"{strategy}: " + "; ".join(map(str, problems)))
        self.problems = problems


def validate(cls: type, values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with these values for the strategy `cls`; empty when nothing is."""
    return _read(cls, values)[1]


def bind(cls: type, values: Mapping[str, Any]) -> dict[str, Value]:
    """Every parameter's value, defaults filled in, in its own type. Raises InvalidParameters."""
    bound, problems = _read(cls, values)
    if problems:
        raise InvalidParameters(cls.__name__, problems)
    return bound


def declared(cls: type) -> Mapping[str, Parameter]:
    """The parameters of a strategy class by name, inherited ones first."""
    return _declared(cls)


@lru_cache(maxsize=64)
def _declared(cls: type) -> Mapping[str, Parameter]:
    found: dict[str, Parameter] = {}
    for name, hint in _annotations(cls):
        kind, bounds = _kind(hint)
        if kind is not None and hasattr(cls, name):
            found[name] = Parameter(name, kind, getattr(cls, name), bounds)
    return found


def _annotations(cls: type) -> Iterator[tuple[str, Any]]:
    """Public annotations of the author's classes: not those of Strategy, which is no author's."""
    for owner in reversed(cls.__mro__):
        if owner is object or owner.__module__ == "strategy_sdk.strategy":
            continue
        for name, hint in inspect.get_annotations(owner, eval_str=True).items():
            if not name.startswith("_") and name not in _reserved(cls):
                yield name, hint


def _reserved(cls: type) -> frozenset[str]:
    bases = (base for base in cls.__mro__ if base.__module__ == "strategy_sdk.strategy")
    return frozenset(name for base in bases for name in vars(base))


def _kind(hint: Any) -> tuple[Kind | None, Bounds | None]:
    bounds = None
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        bounds = next((note for note in notes if isinstance(note, Bounds)), None)
    return (hint if hint in _KINDS else None), bounds


def _read(cls: type, values: Mapping[str, Any]) -> tuple[dict[str, Value], list[Problem]]:
    parameters = declared(cls)
    bound = {name: parameter.default for name, parameter in parameters.items()}
    problems = [
        _unknown(name, value, parameters)
        for name, value in values.items()
        if name not in parameters
    ]
    for name in values.keys() & parameters.keys():
        value = _converted(parameters[name], values[name])
        if value is None:
            problems.append(Problem(name, values[name], parameters[name].expected))
        else:
            bound[name] = value
    problems.sort(key=lambda problem: problem.parameter)
    return bound, problems or [Problem("", None, text) for text in _conflicts(cls, bound)]


def _conflicts(cls: type, bound: Mapping[str, Value]) -> Iterator[str]:
    rule = getattr(cls, "conflicts", None)
    if rule is not None:
        yield from rule(bound)


def _unknown(name: str, value: object, parameters: Mapping[str, Parameter]) -> Problem:
    from difflib import get_close_matches  # here: only a mistake needs it

    nearest = get_close_matches(str(name), parameters, n=1)
    known = ", ".join(parameters) or "no parameters"
    return Problem(str(name), value, f"one of {known}", nearest[0] if nearest else "", known=False)


def _converted(parameter: Parameter, value: Any) -> Value | None:
    """The value in the parameter's own type; None when it is none of that type or out of bounds."""
    if parameter.kind is str:
        return value if isinstance(value, str) else None
    if parameter.kind is bool:
        return value if isinstance(value, bool) else None
    number = _number(value)
    if number is None or (parameter.bounds and not parameter.bounds.hold(number)):
        return None
    if parameter.kind is int:
        return int(number) if number == number.to_integral_value() else None
    return float(number) if parameter.kind is float else number


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
