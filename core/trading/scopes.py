"""Scopes: what a limit or a standing covers: a strategy, a symbol, an account, or the desk."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

DEFAULT_ACCOUNT = "default"  # of strategies that name none


class Level(StrEnum):
    STRATEGY = "strategy"
    SYMBOL = "symbol"
    ACCOUNT = "account"
    DESK = "desk"


@dataclass(frozen=True, slots=True)
class Scope:
    level: Level
    name: str = ""  # the desk has none

    def __hash__(self) -> int:  # of both it would take five times as long
        return hash(self.name)

    def __str__(self) -> str:
        return f"{self.level} {self.name}" if self.name else str(self.level)

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Of its own text. Raises ValueError."""
        level, _, name = text.partition(" ")
        return cls(Level(level), name)


DESK = Scope(Level.DESK)


@lru_cache(maxsize=4_096)
def covering(symbol: str, account: str) -> tuple[Scope, Scope, Scope]:
    """What covers an order beside its strategy, from the narrowest."""
    return Scope(Level.SYMBOL, symbol), Scope(Level.ACCOUNT, account), DESK
