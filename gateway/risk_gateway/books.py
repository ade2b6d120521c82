"""The books as they are asked for: positions and P&L by strategy, by symbol, by account, and of the
desk; in the currency in which they were made, and together in the desk's.

By the fills that are on disk, and no others: so nobody has to wait for those that are not.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from risk_gateway.strategy import Strategy
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_wire.scalars import text_of
from trading.currencies import ANY_AGE_NS, ONE_CURRENCY, Currencies, Exchange, added
from trading.ledger import CurrencyPnl, MarkOf, together
from trading.ledger import books_of as currencies_of_positions
from trading.market import Market, mid_of
from trading.money import EXACT
from trading.positions import Position

_ZERO = Decimal(0)
_Held = tuple[str, str, Position]  # strategy, account


def books_of(strategies: Iterable[Strategy], market: Market, symbol: str = "") -> pb.Books:
    """Of one symbol, or of all."""
    several = list(strategies)
    held = [
        (strategy.name, strategy.account.account, position)
        for strategy in several
        for position in strategy.told.positions.values()
        if symbol in ("", position.symbol)
    ]
    currencies = several[0].account.currencies if several else ONE_CURRENCY
    return _Sums(held, currencies, market).books()


def by_currency(strategy: Strategy, market: Market) -> list[pb.BookLine]:
    """Nothing, where all of it is in the desk's."""
    account = strategy.account
    if not account.ledger.currencies:
        return []
    return _parts(account.books(market))


class _Sums:
    def __init__(self, held: Sequence[_Held], currencies: Currencies, market: Market) -> None:
        self._held = held
        self._own = currencies.own
        self._mark: MarkOf = lambda symbol: mid_of(market(symbol))
        needed = self._made(held).keys()
        self._exchange: Exchange = currencies.exchange("", needed, market, ANY_AGE_NS)

    def books(self) -> pb.Books:
        held = self._held
        by_strategy, by_account = _grouped(held, 0), _grouped(held, 1)
        by_symbol: defaultdict[str, list[_Held]] = defaultdict(list)
        for each in held:
            by_symbol[each[2].symbol].append(each)
        return pb.Books(
            positions=[self._of_symbol([one], strategy=one[0]) for one in held],
            strategies=[self._total(own, strategy=name) for name, own in by_strategy.items()],
            symbols=[self._of_symbol(own) for own in by_symbol.values()],
            desk=self._total(held),
            accounts=[self._total(own, account=name) for name, own in by_account.items()],
            by_currency=self._by_currency(by_strategy, by_account),
            rates=[
                pb.ExchangeRate(
                    currency=each.currency,
                    rate=text_of(each.rate),
                    symbols=each.symbols,
                    why=each.why,
                )
                for each in self._exchange.rates
            ],
            currency=self._own,
        )

    def _of_symbol(self, held: Sequence[_Held], strategy: str = "") -> pb.BookLine:
        """In the currency of the symbol."""
        positions = [position for *_, position in held]
        first = positions[0]
        made = self._made(held)[first.currency or self._own]
        others: dict[str, Decimal] = {}
        for position in positions:
            for currency, fee in position.other_fees:
                added(others, currency, fee)
        return pb.BookLine(
            strategy=strategy,
            symbol=first.symbol,
            quantity=text_of(_sum(each.quantity for each in positions)),
            average_entry=text_of(first.average_entry if strategy else None),
            realized_pnl=text_of(made.realized),
            fees=text_of(made.fees),
            unrealized_pnl=text_of(made.unrealized),
            currency=first.currency or self._own,
            other_fees={currency: text_of(fee) for currency, fee in others.items()},
        )

    def _total(self, held: Sequence[_Held], strategy: str = "", account: str = "") -> pb.BookLine:
        """In the desk's currency."""
        pnl = together(self._made(held), self._exchange, _ZERO)
        converted = pnl.realized is not None and pnl.fees is not None
        return pb.BookLine(
            strategy=strategy,
            account=account,
            realized_pnl=text_of(pnl.realized),
            fees=text_of(pnl.fees),
            unrealized_pnl=text_of(pnl.unrealized),
            currency=self._own,
            unconverted="" if converted else self._exchange.missing,
        )

    def _by_currency(
        self,
        by_strategy: dict[str, list[_Held]],
        by_account: dict[str, list[_Held]],
    ) -> list[pb.BookLine]:
        """Nothing, where all is in the desk's."""
        whole = self._made(self._held)
        if whole.keys() <= {self._own}:
            return []
        return [
            *(
                part
                for name, own in by_strategy.items()
                for part in self._parts(own, strategy=name)
            ),
            *(part for name, own in by_account.items() for part in self._parts(own, account=name)),
            *_parts(whole),
        ]

    def _parts(self, held: Sequence[_Held], **whose: str) -> list[pb.BookLine]:
        return _parts(self._made(held), **whose)

    def _made(self, held: Iterable[_Held]) -> dict[str, CurrencyPnl]:
        positions = (position for *_, position in held)
        return dict(currencies_of_positions(positions, self._mark, self._own))


def _grouped(held: Iterable[_Held], place: int) -> dict[str, list[_Held]]:
    found: defaultdict[str, list[_Held]] = defaultdict(list)
    for each in held:
        found[str(each[place])].append(each)
    return found


def _parts(
    books: Mapping[str, CurrencyPnl], strategy: str = "", account: str = ""
) -> list[pb.BookLine]:
    return [
        pb.BookLine(
            strategy=strategy,
            account=account,
            realized_pnl=text_of(made.realized),
            fees=text_of(made.fees),
            unrealized_pnl=text_of(made.unrealized),
            currency=currency,
        )
        for currency, made in books.items()
    ]


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
