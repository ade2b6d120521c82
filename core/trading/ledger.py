"""The ledger of one strategy: its positions and its money, from its fills alone."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from trading.fills import Fill
from trading.money import EXACT
from trading.positions import Position
from trading.values import value

_ZERO = Decimal(0)
_ONE = Decimal(1)
REMEMBERED = 65_536

MarkOf = Callable[[str], Decimal | None]


@value(frozen=True, slots=True)
class Booking:
    """What one fill did to the books."""

    fill: Fill
    position: Position  # after it
    realized_pnl: Decimal  # by this fill, before its fee


@dataclass(frozen=True, slots=True)
class Pnl:
    realized: Decimal  # before fees
    fees: Decimal
    unrealized: Decimal | None  # None: something is held whose price is not known
    equity: Decimal | None


class Ledger:
    """Mutable: one task owns it. Replaying the same fills in the same order rebuilds it.

    It remembers the ids of its last `remembered` fills, so that counting one of them twice is
    impossible here too. Older ones the journal knows, which whoever books a fill asks first.
    """

    def __init__(self, capital: Decimal, remembered: int = REMEMBERED) -> None:
        self.capital = capital
        self.positions: dict[str, Position] = {}
        self.cash = capital  # after everything that was paid and received
        self.balance = capital  # with what was realised, fees paid; what is held counts at cost
        self.realized_pnl = _ZERO
        self.fees = _ZERO
        self._counted: OrderedDict[str, None] = OrderedDict()  # the oldest first
        self._remembered = remembered

    def go_on_from(
        self, cash: Decimal, realized_pnl: Decimal, fees: Decimal, positions: Iterable[Position]
    ) -> None:
        """As a ledger of the same capital was kept."""
        self.cash, self.realized_pnl, self.fees = cash, realized_pnl, fees
        self.balance = EXACT.subtract(EXACT.add(self.capital, realized_pnl), fees)
        self.positions = {position.symbol: position for position in positions}

    def position(self, symbol: str) -> Position:
        return self.positions.get(symbol) or Position(symbol)

    def quantity(self, symbol: str) -> Decimal:
        position = self.positions.get(symbol)
        return _ZERO if position is None else position.quantity

    def has_counted(self, fill_id: str) -> bool:
        return fill_id in self._counted

    def apply(self, fill: Fill, multiplier: Decimal = _ONE) -> Booking | None:
        """None when this fill was counted before. `multiplier` matters for a new symbol only."""
        if fill.fill_id in self._counted:
            return None
        before = self.positions.get(fill.symbol) or Position(fill.symbol, multiplier=multiplier)
        after = before.after(fill)
        self._remember(fill.fill_id)
        self.positions[fill.symbol] = after
        with localcontext(EXACT):
            realized = after.realized_pnl - before.realized_pnl
            self.realized_pnl += realized
            self.fees += fill.fee
            self.balance += realized - fill.fee
            paid = fill.price * fill.quantity * fill.side.sign * after.multiplier
            self.cash -= paid + fill.fee
        return Booking(fill, after, realized)

    def _remember(self, fill_id: str) -> None:
        self._counted[fill_id] = None
        if len(self._counted) > self._remembered:
            self._counted.popitem(last=False)

    def unrealized(self, mark: MarkOf) -> Decimal | None:
        """At the prices that `mark` knows; None when it does not know one that is needed."""
        total = _ZERO
        for symbol, position in self.positions.items():
            if position.quantity:
                price = mark(symbol)
                if price is None:
                    return None
                total = EXACT.add(total, position.unrealized_pnl(price))
        return total

    def equity(self, mark: MarkOf) -> Decimal | None:
        """Capital + realised - fees + unrealised."""
        unrealized = self.unrealized(mark)
        if unrealized is None:
            return None
        return EXACT.add(self.balance, unrealized) if unrealized else self.balance

    def pnl(self, mark: MarkOf) -> Pnl:
        unrealized = self.unrealized(mark)
        equity = None if unrealized is None else EXACT.add(self.balance, unrealized)
        return Pnl(self.realized_pnl, self.fees, unrealized, equity)

    def change_capital(self, capital: Decimal) -> None:
        """Pays in, or out, the difference."""
        paid_in = EXACT.subtract(capital, self.capital)
        self.cash = EXACT.add(self.cash, paid_in)
        self.balance = EXACT.add(self.balance, paid_in)
        self.capital = capital
