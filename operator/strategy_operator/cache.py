"""What the watches brought, trimmed: the operator's picture of the cluster.

A store takes an object only if it is not older than what it has, so that an answer to a write and
the watch's event for it may come in either order. kopf tells nothing of what was deleted between
two lists: `missing` names what a list did not have, and whoever calls asks for each by name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from strategy_operator.objects import Child, PodObject, StrategyObject
from strategy_operator.observed import Policy
from strategy_operator.queue import Key

_MOST_GONE = 1_000

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Entry(Generic[V]):
    uid: str
    version: int
    value: V


class Store(Generic[V]):
    """Objects of one kind, by namespace and name; those of one strategy are found by its name."""

    def __init__(self, parent: Callable[[V], str] = lambda _: "") -> None:
        self._parent = parent
        self._entries: dict[Key, Entry[V]] = {}
        self._children: dict[Key, dict[str, V]] = {}
        self._gone: dict[str, int] = {}  # uid -> version at which it went, the last ones

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: Key, uid: str, version: int, value: V) -> bool:
        """Whether that is news."""
        before = self._entries.get(key)
        if version < self._gone.get(uid, 0):
            return False
        if before is not None and version < before.version:
            return False
        self._entries[key] = Entry(uid, version, value)
        if before is not None and before.uid == uid and before.value == value:
            return False
        if before is not None:
            self._unlink(key, before.value)
        self._link(key, value)
        return True

    def remove(self, key: Key, uid: str, version: int) -> V | None:
        """What is there no more."""
        self._gone[uid] = max(version, self._gone.get(uid, 0))
        if len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]
        before = self._entries.get(key)
        if before is None or before.uid != uid:
            return None
        del self._entries[key]
        self._unlink(key, before.value)
        return before.value

    def get(self, key: Key) -> Entry[V] | None:
        return self._entries.get(key)

    def children(self, strategy: Key) -> dict[str, V]:
        """By name."""
        return self._children.get(strategy, {})

    def items(self, namespace: str = "") -> Iterator[tuple[Key, Entry[V]]]:
        for key, entry in self._entries.items():
            if namespace in ("", key[0]):
                yield key, entry

    def missing(self, listed: Iterable[str], up_to: int) -> list[tuple[Key, Entry[V]]]:
        """Entries of at most that version whose uids a list did not have."""
        there = set(listed)
        return [
            (key, entry)
            for key, entry in self._entries.items()
            if entry.version <= up_to and entry.uid not in there
        ]

    def _link(self, key: Key, value: V) -> None:
        parent = self._parent(value)
        if parent:
            self._children.setdefault((key[0], parent), {})[key[1]] = value

    def _unlink(self, key: Key, value: V) -> None:
        parent = (key[0], self._parent(value))
        siblings = self._children.get(parent)
        if siblings is None:
            return
        siblings.pop(key[1], None)
        if not siblings:
            del self._children[parent]


class Cache:
    def __init__(self) -> None:
        self.strategies: Store[StrategyObject] = Store()
        self.policies: Store[Policy] = Store()
        self.pods: Store[PodObject] = Store(lambda value: value.strategy)
        self.revisions: Store[Child] = Store(lambda value: value.strategy)
        self.config_maps: Store[Child] = Store(lambda value: value.strategy)
