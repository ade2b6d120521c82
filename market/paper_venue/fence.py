"""Which gateway of an account is listened to: the newest that has sent an order.

Gateways that share a journal lead it in turn, each with a higher generation. A packet of a former
leader may come late; it is rejected here, also when nobody has settled its order yet.
"""

from collections.abc import Callable, Mapping

from paper_venue.orders import Refusal, Request
from trading.reasons import Reason

Note = Callable[[str, int], object]


def _unnoted(_account: str, _generation: int) -> None:
    pass


class Fence:
    def __init__(self, known: Mapping[str, int] | None = None, note: Note = _unnoted) -> None:
        """`note` keeps the highest generation of an account for the next life."""
        self._highest = dict(known or {})
        self._note = note

    def refusal(self, request: Request) -> Refusal | None:
        account, generation = request.account, request.generation
        highest = self._highest.get(account, 0)
        if generation > highest:
            self._highest[account] = generation
            self._note(account, generation)
        if generation >= highest:
            return None
        expected = f"expected {highest} or more, as account {account!r} has had"
        return Refusal(Reason.FENCED, f"generation: {generation}, {expected}")
