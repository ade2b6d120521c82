"""What the venue's own fills have made each strategy hold: what `reduce_only` is measured by."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from paper_venue.orders import Fill, Request
from trading.money import EXACT

_ZERO = Decimal(0)
_NOTHING: Mapping[tuple[str, str], Decimal] = MappingProxyType({})


class Holdings:
    def __init__(self, held: Mapping[tuple[str, str], Decimal] = _NOTHING) -> None:
        """By strategy and symbol, signed."""
        self._held = dict(held)

    def take(self, request: Request, fills: Iterable[Fill]) -> None:
        key = (request.strategy, request.symbol)
        for fill in fills:
            signed = fill.quantity * request.side.sign
            self._held[key] = EXACT.add(self._held.get(key, _ZERO), signed)

    def reducible(self, request: Request, fills: Iterable[Fill] = ()) -> Decimal:
        """The most that an order of that side may still take, after those fills of its own."""
        held = self._held.get((request.strategy, request.symbol), _ZERO)
        taken = sum((fill.quantity for fill in fills), _ZERO)
        return max(_ZERO, EXACT.subtract(-held * request.side.sign, taken))
