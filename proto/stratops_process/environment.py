"""What a process reads from its environment, once, at its start: variables named STRATOPS_....

Each question answers a value that is right, or raises InvalidSettings, which names the variable,
its value and what was expected. An empty variable is one that is not set.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

Choice = TypeVar("Choice", bound=StrEnum)

LEVELS = ("debug", "info", "warning", "error")
_LAST_PORT = 65_535
_MOST_DIGITS = 18


class InvalidSettings(ValueError):
    """An environment to start nothing with; names the variable, its value, what was expected."""


class Environment:
    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def has(self, name: str) -> bool:
        return bool(self._variables.get(f"STRATOPS_{name}"))

    def text(self, name: str, default: str | None = None) -> str:
        value = self._variables.get(f"STRATOPS_{name}") or default
        if value is None:
            raise InvalidSettings(f"STRATOPS_{name}: not set, expected a value")
        return value

    def path(self, name: str) -> Path | None:
        return Path(self.text(name)) if self.has(name) else None

    def names(self, name: str, default: str | None = None) -> tuple[str, ...]:
        """At least one, unless the default is ""."""
        text = self.text(name, default)
        found = tuple(part.strip() for part in text.split(",") if part.strip())
        if text and not found:
            raise refused(name, text, "names with commas between")
        return found

    def word(self, name: str, words: Sequence[str], default: str) -> str:
        value = self.text(name, default)
        if value not in words:
            raise refused(name, value, _either(words))
        return value

    def one_of(self, name: str, kind: type[Choice], default: Choice) -> Choice:
        return kind(self.word(name, tuple(kind), default))

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name, str(default))
        if value.lower() not in ("true", "false"):
            raise refused(name, value, "true or false")
        return value.lower() == "true"

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name, str(default))
        number = _number(value)
        if number is None or not least <= number <= most:
            raise refused(name, value, f"a whole number from {least} to {most}")
        return number

    def port(self, name: str) -> int | None:
        """0 is any that is free."""
        value = self.text(name, "")
        number = _number(value)
        if value and (number is None or number > _LAST_PORT):
            raise refused(name, value, "a port")
        return number

    def checked(self, name: str, check: Callable[[str], object]) -> str:
        """As it is written; `check` raises ValueError, which says what was expected."""
        value = self.text(name)
        try:
            check(value)
        except ValueError as error:
            raise InvalidSettings(f"STRATOPS_{name}: {error}") from error
        return value

    def level(self) -> str:
        """Of the log."""
        value = self.text("LOG_LEVEL", "info")
        if value.lower() not in LEVELS:
            raise refused("LOG_LEVEL", value, _either(LEVELS))
        return value.lower()


def refused(name: str, value: str, expected: str) -> InvalidSettings:
    return InvalidSettings(f"STRATOPS_{name}: {value!r}, expected {expected}")


def _number(text: str) -> int | None:
    """None: it is none, or longer than any that is asked for here."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _either(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
