"""The ledger of one strategy: its positions and its money, from its fills alone.

`cash`, `balance`, `realized_pnl` and `fees` are the desk's currency alone. What was made in another
is with the positions that made it (`books`), and is added to nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from trading.currencies import Exchange, added
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
    realized: Decimal | None  # before fees; None: of several currencies, and a rate is not known
    fees: Decimal | None
    unrealized: Decimal | None  # None: something is held whose price is not known
    equity: Decimal | None


@dataclass(frozen=True, slots=True)
class CurrencyPnl:
    """What was made in one currency."""

    realized: Decimal = _ZERO  # before fees
    fees: Decimal = _ZERO
    unrealized: Decimal | None = _ZERO  # None: something is held whose price is not known

    def plus(self, other: "CurrencyPnl") -> "CurrencyPnl":
        one, two = self.unrealized, other.unrealized
        return CurrencyPnl(
            EXACT.add(self.realized, other.realized),
            EXACT.add(self.fees, other.fees),
            None if one is None or two is None else EXACT.add(one, two),
        )


def pnl_of(position: Position, mark: MarkOf) -> CurrencyPnl:
    """In the currency of its symbol."""
    unrealized: Decimal | None = _ZERO
    if position.quantity:
        price = mark(position.symbol)
        unrealized = None if price is None else position.unrealized_pnl(price)
    return CurrencyPnl(position.realized_pnl, position.fees, unrealized)


def books_of(
    positions: Iterable[Position], mark: MarkOf, own: str = ""
) -> Mapping[str, CurrencyPnl]:
    found: dict[str, CurrencyPnl] = {}
    for position in positions:
        parts = [(position.currency, pnl_of(position, mark))]
        parts += [(currency, CurrencyPnl(fees=fee)) for currency, fee in position.other_fees]
        for currency, part in parts:
            found[currency or own] = found.get(currency or own, CurrencyPnl()).plus(part)
    return found


def together(books: Mapping[str, CurrencyPnl], exchange: Exchange, capital: Decimal) -> Pnl:
    """In the desk's currency."""
    realized = exchange.total({name: each.realized for name, each in books.items()})
    fees = exchange.total({name: each.fees for name, each in books.items()})
    known = {n: each.unrealized for n, each in books.items() if each.unrealized is not None}
    unrealized = exchange.total(known) if len(known) == len(books) else None
    if realized is None or fees is None or unrealized is None:
        return Pnl(realized, fees, unrealized, None)
    earned = EXACT.subtract(EXACT.add(realized, unrealized), fees)
    return Pnl(realized, fees, unrealized, EXACT.add(capital, earned))


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
        self.currencies: set[str] = set()  # beside the desk's
        self._counted: OrderedDict[str, None] = OrderedDict()  # the oldest first
        self._remembered = remembered

    def go_on_from(
        self, cash: Decimal, realized_pnl: Decimal, fees: Decimal, positions: Iterable[Position]
    ) -> None:
        """As a ledger of the same capital was kept."""
        self.cash, self.realized_pnl, self.fees = cash, realized_pnl, fees
        self.balance = EXACT.subtract(EXACT.add(self.capital, realized_pnl), fees)
        self.positions = {position.symbol: position for position in positions}
        for position in self.positions.values():
            self._note(position)

    def go_on_by(self, positions: Sequence[Position]) -> None:
        """Likewise, by the positions alone."""
        own = [position for position in positions if not position.currency]
        with localcontext(EXACT):
            realized = sum((each.realized_pnl for each in own), _ZERO)
            fees = sum((each.fees for each in own), _ZERO)
            cost = sum((each.cost for each in own), _ZERO)
            self.go_on_from(self.capital + realized - fees - cost, realized, fees, positions)

    def position(self, symbol: str) -> Position:
        return self.positions.get(symbol) or Position(symbol)

    def quantity(self, symbol: str) -> Decimal:
        position = self.positions.get(symbol)
        return _ZERO if position is None else position.quantity

    def has_counted(self, fill_id: str) -> bool:
        return fill_id in self._counted

    def apply(self, fill: Fill, multiplier: Decimal = _ONE, currency: str = "") -> Booking | None:
        """None when this fill was counted before. The rest matters for a new symbol only."""
        if fill.fill_id in self._counted:
            return None
        before = self.positions.get(fill.symbol) or Position(
            fill.symbol, multiplier=multiplier, currency=currency
        )
        after = before.after(fill)
        self._remember(fill.fill_id)
        self.positions[fill.symbol] = after
        with localcontext(EXACT):
            realized = after.realized_pnl - before.realized_pnl
            if after.currency:
                self._note(after)
                return Booking(fill, after, realized)
            fee = fill.fee
            if fill.fee_currency:
                self._note(after)
                fee = _ZERO
            self.realized_pnl += realized
            self.fees += fee
            self.balance += realized - fee
            paid = fill.price * fill.quantity * fill.side.sign * after.multiplier
            self.cash -= paid + fee
        return Booking(fill, after, realized)

    def _note(self, position: Position) -> None:
        if position.currency:
            self.currencies.add(position.currency)
        self.currencies.update(currency for currency, _ in position.other_fees)

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

    # ---- in several currencies

    def books(self, mark: MarkOf, own: str = "") -> Mapping[str, CurrencyPnl]:
        """By currency; `own`: the name of the desk's."""
        return books_of(self.positions.values(), mark, own)

    def balances(self) -> dict[str, Decimal]:
        """What `balance` is, by currency."""
        found = {"": self.balance}
        for position in self.positions.values():
            if position.currency:
                added(found, position.currency, position.realized_pnl)
                added(found, position.currency, EXACT.minus(position.fees))
            for currency, fee in position.other_fees:
                added(found, currency, EXACT.minus(fee))
        return found

    def equities(self, mark: MarkOf) -> dict[str, Decimal] | None:
        """What `equity` is, by currency."""
        found = self.balances()
        for position in self.positions.values():
            if position.quantity:
                price = mark(position.symbol)
                if price is None:
                    return None
                added(found, position.currency, position.unrealized_pnl(price))
        return found

    # ---- in one

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
