"""What one input of `Grants` leads to, gathered in order."""

from collections.abc import Callable

from handover.effects import Close, Effect, GrantChange, Note, Persist, Send, Take, Why
from handover.messages import Batch, GatewayMessage

Changes = tuple[GrantChange, ...]


class Output:
    """The effects so far, and what is to happen when a Persist is durable."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._token = 0
        self._unwritten: dict[int, tuple[Changes, Callable[[], None]]] = {}

    def taken(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def send(self, instance: str, message: GatewayMessage) -> None:
        self._effects.append(Send(instance, message))

    def take(self, instance: str, batch: Batch) -> None:
        self._effects.append(Take(instance, batch))

    def persist(self, changes: Changes, then: Callable[[], None]) -> None:
        self._token += 1
        self._unwritten[self._token] = (changes, then)
        self._effects.append(Persist(self._token, changes))

    def durable(self, token: int) -> tuple[Changes, Callable[[], None]]:
        return self._unwritten.pop(token)

    def close(self, instance: str, why: Why) -> None:
        self._effects.append(Close(instance, why))

    def note(self, event: str, **fields: object) -> None:
        self._effects.append(Note(event, fields))
