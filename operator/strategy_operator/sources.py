"""Code that lies in ConfigMaps: who depends on which, and what is in them.

Watches bring only metadata; what a strategy names is read when it is wanted and has changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from strategy_operator.cache import Entry
from strategy_operator.queue import Key


@dataclass(frozen=True, slots=True)
class _Held:
    version: int
    data: Mapping[str, str] | None  # None: there was no such ConfigMap


class Shelf(Protocol):
    """Where ConfigMaps are known by their metadata, and are fetched whole."""

    def known(self, key: Key) -> Entry[Any] | None: ...

    async def fetched(self, key: Key) -> Mapping[str, Any] | None: ...


class Sources:
    def __init__(self) -> None:
        self._dependents: dict[Key, set[Key]] = {}
        self._held: dict[Key, _Held] = {}

    def dependents(self, config_map: Key) -> Iterable[Key]:
        return self._dependents.get(config_map, ())

    def depend(self, strategy: Key, before: str, now: str) -> None:
        """The strategy's code was in one ConfigMap and is in another; empty: in none."""
        if before and before != now:
            key = strategy[0], before
            dependents = self._dependents.get(key, set())
            dependents.discard(strategy)
            if not dependents:
                self._dependents.pop(key, None)
                self._held.pop(key, None)
        if now:
            self._dependents.setdefault((strategy[0], now), set()).add(strategy)

    async def read(self, key: Key, shelf: Shelf) -> Mapping[str, str] | None:
        """None: there is no such ConfigMap."""
        held, known = self._held.get(key), shelf.known(key)
        if held is not None and held.version == (known.version if known else 0):
            return held.data
        if held is not None and known is None:
            self._held[key] = _Held(0, None)
            return None
        found = await shelf.fetched(key)
        held = _Held(0, None) if found is None else _held(found)
        if key in self._dependents:
            self._held[key] = held
        return held.data


def _held(config_map: Mapping[str, Any]) -> _Held:
    version = int(config_map["metadata"]["resourceVersion"])
    return _Held(version, config_map.get("data") or {})
