"""Standings: what a strategy, a symbol, an account or the desk may do at all, and who says so.

Each has its sources, and each source takes back only what it set. The worst of what covers an order
holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trading.scopes import DESK, Level, Scope, covering


class Standing(StrEnum):
    """From the best to the worst."""

    ACTIVE = "active"
    REDUCING = "reducing"  # may close only
    HALTED = "halted"  # no order leaves

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {standing: rank for rank, standing in enumerate(Standing)}


@dataclass(frozen=True, slots=True)
class Stand:
    standing: Standing = Standing.ACTIVE
    why: str = ""


ACTIVE = Stand()
Source = tuple[Scope, str]


@dataclass(slots=True)
class Standings:
    """All that was set and not taken back. Mutable: one change costs what its scope has."""

    by_scope: dict[Scope, Stand] = field(default_factory=dict)  # none of them ACTIVE
    _said: dict[Scope, dict[str, Stand]] = field(default_factory=dict)  # and by source

    @classmethod
    def of(cls, by_source: Mapping[Source, Stand]) -> "Standings":
        found = cls()
        for source, stand in by_source.items():
            found.put(source, stand)
        return found

    def put(self, source: Source, stand: Stand) -> None:
        """ACTIVE takes it back."""
        scope, name = source
        own = self._said.setdefault(scope, {})
        own[name] = stand
        if stand.standing is Standing.ACTIVE:
            del own[name]
        if own:
            self.by_scope[scope] = _worst(own)
        else:
            del self._said[scope]
            self.by_scope.pop(scope, None)

    def covering(self, strategy: str, symbol: str, account: str) -> Stand:
        """What holds for an order; its text names the scope."""
        if not self.by_scope:
            return ACTIVE
        scopes = (Scope(Level.STRATEGY, strategy), *covering(symbol, account))
        found = [(scope, self.by_scope[scope]) for scope in scopes if scope in self.by_scope]
        if not found:
            return ACTIVE
        scope, worst = max(found, key=lambda each: each[1].standing.rank)
        return Stand(worst.standing, f"the {scope} is {worst.standing}: {worst.why}")

    def sources(self, scope: Scope, standing: Standing) -> Mapping[str, str]:
        """Who says so of that scope, and why."""
        return _says(self._said.get(scope, {}), standing)

    def without_desk(self) -> Iterable[tuple[Scope, Stand]]:
        return [(scope, stand) for scope, stand in self.by_scope.items() if scope != DESK]


def _worst(own: Mapping[str, Stand]) -> Stand:
    standing = max((stand.standing for stand in own.values()), key=lambda each: each.rank)
    return Stand(standing, told(_says(own, standing)))


def _says(own: Mapping[str, Stand], standing: Standing) -> Mapping[str, str]:
    """In an order that no history changes."""
    return {source: own[source].why for source in sorted(own) if own[source].standing is standing}


def told(says: Mapping[str, str]) -> str:
    """The operator's own word needs no name."""
    if says.keys() == {OPERATOR}:
        return says[OPERATOR]
    return "; ".join(f"{source}: {why}" for source, why in says.items())


OPERATOR = "operator"  # who halts by a call
