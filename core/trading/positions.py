"""Positions: what a strategy holds of one symbol, at average cost.

The cost of what is held is kept as a sum, and the average derived from it: closing a part moves a
share of that sum to realised P&L. Where the share needs a division it is rounded once, and the same
rounded number leaves the one side and enters the other, so nothing is ever lost between them.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from enum import StrEnum

from trading.fills import Fill
from trading.money import EXACT
from trading.values import value

_ZERO = Decimal(0)
_ONE = Decimal(1)
_SHARE = Decimal("1e-18")
_DIVIDING = Context(prec=200, rounding=ROUND_HALF_EVEN)


class Direction(StrEnum):
    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


@value(frozen=True, slots=True)
class Position:
    symbol: str
    quantity: Decimal = _ZERO  # signed: less than 0 is short
    cost: Decimal = _ZERO  # paid for `quantity`, signed like it
    realized_pnl: Decimal = _ZERO  # before fees
    fees: Decimal = _ZERO
    multiplier: Decimal = _ONE  # contract multiplier
    currency: str = ""  # of all of these amounts; empty: the desk's
    other_fees: tuple[tuple[str, Decimal], ...] = ()  # beside `fees`, in other currencies

    @property
    def direction(self) -> Direction:
        if not self.quantity:
            return Direction.FLAT
        return Direction.LONG if self.quantity > 0 else Direction.SHORT

    @property
    def average_entry(self) -> Decimal | None:
        """None when flat. Rounded where the division does not come out even; `cost` is exact."""
        return self.cost / (self.quantity * self.multiplier) if self.quantity else None

    def value(self, price: Decimal) -> Decimal:
        """What `quantity` is worth, signed like it."""
        return EXACT.multiply(EXACT.multiply(self.quantity, price), self.multiplier)

    def unit(self, price: Decimal | None) -> Decimal | None:
        """What one is worth."""
        return None if price is None else EXACT.multiply(price, self.multiplier)

    def unrealized_pnl(self, price: Decimal) -> Decimal:
        return EXACT.subtract(self.value(price), self.cost)

    def after(self, fill: Fill) -> "Position":
        """Adds to the position, reduces it, or flips it through zero."""
        with localcontext(EXACT):
            traded = fill.quantity * fill.side.sign
            spent = traded * fill.price * self.multiplier
            closed = _closed(self.quantity, traded)
            # Of what is spent, the part that closes meets its share of the cost; the rest opens.
            closing = closed * fill.price * self.multiplier
            released = _share(self.cost, closed, self.quantity)
            return Position(
                symbol=self.symbol,
                quantity=self.quantity + traded,
                cost=self.cost + released + spent - closing,
                realized_pnl=self.realized_pnl + released - closing,
                fees=self.fees if fill.fee_currency else self.fees + fill.fee,
                multiplier=self.multiplier,
                currency=self.currency,
                other_fees=self._other_fees(fill) if fill.fee_currency else self.other_fees,
            )

    def _other_fees(self, fill: Fill) -> tuple[tuple[str, Decimal], ...]:
        fees = dict(self.other_fees)
        fees[fill.fee_currency] = fees.get(fill.fee_currency, _ZERO) + fill.fee
        return tuple(sorted(fees.items()))


def _closed(held: Decimal, traded: Decimal) -> Decimal:
    """The part of `traded`, signed like it, that closes what is held."""
    if held * traded >= 0:
        return _ZERO
    return traded if abs(traded) <= abs(held) else -held


def _share(cost: Decimal, closed: Decimal, held: Decimal) -> Decimal:
    """The change of cost when `closed`, of opposite sign, is taken from `held`."""
    if not closed:
        return _ZERO
    if closed == -held:
        return -cost
    return _DIVIDING.quantize(_DIVIDING.divide(_DIVIDING.multiply(cost, closed), held), _SHARE)
