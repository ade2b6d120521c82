"""What the gateway keeps of one strategy: ledger, orders at work, rates, and the marks of its day.

Mutable: one task owns it. Nothing here reads a clock or a file. It is rebuilt by the journal's rows
in their order: `reserve` for each order, `on_fill` for each fill, `on_event` and `on_answer` for
what became of it, and the last `watermarks`. A shorter way gives the same: every fill through
`on_fill`, then `reserve` for each order, as it stands at the end, that is outstanding or young
enough to count for the rates.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.admission import LARGEST
from trading.aggregation import Aggregation
from trading.at_work import in_its_place, order_to_modify
from trading.breaches import Stock, Worth
from trading.currencies import ANY_AGE_NS, Exchange
from trading.days import UTC_DAYS
from trading.exposure import Exposure, Stake, exposure
from trading.fills import Fill
from trading.instruments import Instrument
from trading.ledger import Booking, CurrencyPnl, Ledger, Pnl, together
from trading.limits import DEFAULT_LIMITS, UNLIMITED, Limits
from trading.lines import NOTHING, Line
from trading.market import Market, fresh_mid, mid_of, priced
from trading.money import EXACT
from trading.orders import Order, OrderEvent, OrderState
from trading.pools import Pools
from trading.positions import Position
from trading.prospects import Change, Correlation, ValueAtRisk
from trading.rates import MINUTE_NS, SECOND_NS, RateWindow
from trading.reservations import Reservations, Working
from trading.risk import UNLISTED, Approved, Rejection, Request, review
from trading.rules import CLOSING, asks_for_samples, bypassed, exposure_is_known, opening
from trading.scopes import DEFAULT_ACCOUNT, DESK
from trading.signals import Side, Signal
from trading.sizing import Sizing
from trading.standings import ACTIVE, Stand
from trading.votes import Poll, dissent
from trading.watermarks import Watermarks

_ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a revision lays down about its money and limits."""

    capital: Decimal
    symbols: frozenset[str]
    limits: Limits = DEFAULT_LIMITS
    max_quote_age_ns: int = 5 * SECOND_NS
    bypass: frozenset[str] = frozenset()  # names of checks that a policy has it leave out
    aggregations: tuple[Aggregation, ...] = ()  # whose consensus what opens must have
    sizings: tuple[Sizing, ...] = ()  # of intentions; the least counts


class AlreadyReserved(ValueError):
    """An order that is at work was to be reserved once more."""


class UnknownOrder(LookupError):
    """News of an order that is not at work: its last fill may have overtaken the answer."""


class StrategyAccount:
    def __init__(
        self,
        strategy: str,
        terms: Terms,
        instruments: Mapping[str, Instrument],
        pools: Pools | None = None,
        account: str = DEFAULT_ACCOUNT,
    ) -> None:
        self.strategy = strategy
        self.account = account
        self.terms = terms
        self.instruments = instruments
        self.ledger = Ledger(terms.capital)
        self.orders: dict[str, Order] = {}  # open, or with announced fills still to come
        self.judged: Request | None = None  # by which the last review decided
        self.poll: Poll | None = None  # how strategies that vote together stood to it
        self.is_funded = True  # or its capital is no money: it only observes
        self.days = UTC_DAYS  # by which a loss is a day's
        self._reservations = Reservations()
        self._at_work: Counter[str] = Counter()  # orders by symbol, where there are any
        self._told: dict[str, Line] = {}  # by symbol, what the pools know
        self._holdings: Mapping[str, Line] | None = None  # None: one has moved
        self._pools = pools or Pools(instruments)
        self.currencies = self._pools.currencies
        capital, own = terms.capital, self.currencies.own
        self.watermarks = Watermarks(0, capital, capital, capital, currency=own)
        self._obey(terms)
        limits = terms.limits
        self._second = RateWindow(limits.max_orders_per_second, SECOND_NS)
        self._minute = RateWindow(limits.max_orders_per_minute, MINUTE_NS)
        self._pools.join(self)

    # ---- deciding

    def review(
        self,
        signal: Signal,
        market: Market,
        now_ns: int,
        *,
        revision: str = "",
        epoch: int = 0,
        stand: Stand = ACTIVE,
    ) -> Approved | Rejection:
        """Decides; reserves nothing. `market` answers for this symbol and every one that is held,
        `now_ns` is the desk's clock. Notes the equity in `watermarks` where it is known.
        """
        request = self.request(signal, market, now_ns, revision=revision, epoch=epoch, stand=stand)
        self.poll = self._pools.votes.take(request)
        return self._reviewed(request, market)

    def _reviewed(self, request: Request, market: Market) -> Approved | Rejection:
        """By its own checks, then by what others have to do with it."""
        self.judged = request
        reviewed = review(request, CLOSING if request.closing else self._opening)
        if request.closing or isinstance(reviewed, Rejection):
            return reviewed
        return self._together(request, market) or self._with_bypassed(request, reviewed)

    def _with_bypassed(self, request: Request, approved: Approved) -> Approved:
        if not self._bypassed:
            return approved
        found = (check(request) for check in self._bypassed)
        return replace(approved, bypassed=tuple(filter(None, found)))

    def _together(self, request: Request, market: Market) -> Rejection | None:
        """What other strategies have to do with it."""
        found = self._pools.self_trade(self.account, request.signal)
        if found is None and self._pools.are_bound:
            found = self._pools.objection(self, request, market)
        return found or self._dissent(request)

    def _dissent(self, request: Request) -> Rejection | None:
        if self.poll is None or not self.poll.opens:
            return None
        self.poll = self._pools.votes.counted(self.poll, request.signal.symbol)
        return dissent(self.poll)

    def request(
        self,
        signal: Signal,
        market: Market,
        now_ns: int,
        *,
        revision: str = "",
        epoch: int = 0,
        stand: Stand = ACTIVE,
    ) -> Request:
        """All that the signal is judged by."""
        symbol, terms, ledger = signal.symbol, self.terms, self.ledger
        instrument = self.instruments.get(symbol, UNLISTED)
        quantity = _on_the_lot(signal.quantity, instrument)
        position = ledger.quantity(symbol)
        # As this side sees it: less than 0 can be reduced.
        reached, facing = self._reservations.reached(symbol, signal.side, position)
        reducible = -reached if reached < _ZERO else _ZERO
        closable = facing - reached
        closing = _ZERO < quantity <= reducible
        asked = self._asks_for_samples and not closing
        change = Change(symbol, quantity * signal.side.sign) if asked else None
        touch = priced(market(symbol))
        exchange = self.exchange(market, symbol)
        equity = self.mark(lambda other: touch if other == symbol else market(other), now_ns)
        watermarks = self.watermarks
        return Request(
            signal=signal,
            strategy=self.strategy,
            revision=revision,
            epoch=epoch,
            now_ns=now_ns,
            stand=stand,
            limits=terms.limits,
            symbols=terms.symbols,
            instrument=instrument,
            touch=touch,
            max_quote_age_ns=terms.max_quote_age_ns,
            quantity=quantity,
            position=position,
            reducible=reducible,
            closable=closable if closable > _ZERO else _ZERO,
            reached=reached + quantity,
            closing=closing,
            balance=ledger.balance if exchange is None else exchange.total(ledger.balances()),
            equity=equity,
            day_start=watermarks.day_start,
            peak=watermarks.peak,
            left_this_second=self._second.left(now_ns),
            left_this_minute=self._minute.left(now_ns),
            open_orders=len(self.orders),
            exposure=self._exposure(signal, quantity, market, exchange)
            if self._asks_for_exposure
            else None,
            value_at_risk=self._value_at_risk(change, now_ns) if change else None,
            correlation=self._correlation(change, now_ns) if change else None,
            exchange=exchange,
        )

    def exchange(self, market: Market, symbol: str = "") -> Exchange | None:
        """Of all that it has, with an order in that symbol; None: it is in the desk's currency."""
        if not self._converts:
            return None
        quotes, symbols = self.currencies.quotes, (symbol, *self._at_work)
        needed = self.ledger.currencies | {quotes[each] for each in symbols if each in quotes}
        if not needed:
            return None
        quote, most = self.currencies.quote(symbol), self.terms.max_quote_age_ns
        return self.currencies.exchange(quote, needed, market, most)

    def _value_at_risk(self, change: Change, now_ns: int) -> ValueAtRisk | None:
        if self.terms.limits.max_value_at_risk == UNLIMITED:
            return None
        lines = self.holdings()
        return self._pools.prospects.value_at_risk(self.strategy, lines, change, now_ns)

    def _correlation(self, change: Change, now_ns: int) -> Correlation | None:
        """With any strategy of the desk."""
        if self.terms.limits.max_correlation == UNLIMITED:
            return None
        return self._pools.correlation(self, DESK, change, now_ns)

    def _exposure(
        self, signal: Signal, quantity: Decimal, market: Market, exchange: Exchange | None
    ) -> Exposure | None:
        """With this order; None when a price or rate that it needs is unknown or too old."""
        judged = self._stake(signal.symbol, market, exchange, signal.side, quantity)
        held = {symbol for symbol, position in self.ledger.positions.items() if position.quantity}
        symbols = (held | self._reservations.symbols) - {signal.symbol}
        others = [stake for symbol in symbols if (stake := self._stake(symbol, market, exchange))]
        if judged is None or len(others) < len(symbols):
            return None
        return exposure(judged, others)

    def _stake(
        self,
        symbol: str,
        market: Market,
        exchange: Exchange | None,
        side: Side = Side.BUY,
        quantity: Decimal = _ZERO,
    ) -> Stake | None:
        price = fresh_mid(market(symbol), self.terms.max_quote_age_ns)
        if exchange is not None:
            price = exchange.worth(price, self.currencies.quote(symbol))
        if price is None:
            return None
        held, working = self.ledger.position(symbol).quantity, self._reservations.working(symbol)
        buys, sells = (quantity, _ZERO) if side is Side.BUY else (_ZERO, quantity)
        instrument = self.instruments.get(symbol, UNLISTED)
        return Stake(
            held + working.buys + buys,
            held - working.sells - sells,
            price * instrument.contract_multiplier,
        )

    def review_modification(
        self,
        signal: Signal,
        market: Market,
        now_ns: int,
        *,
        epoch: int = 0,
        stand: Stand = ACTIVE,
    ) -> Approved | Rejection:
        """Of the order with the other terms under way. What is left of it is judged as an order in
        its place; then both terms count until the venue has answered (`ask`).
        """
        order = order_to_modify(signal, self.orders)
        if isinstance(order, Rejection):
            return order
        wanted = in_its_place(signal, order)
        self._set_aside(order)
        try:
            request = self.request(
                wanted, market, now_ns, revision=order.revision, epoch=epoch, stand=stand
            )
            request.open_orders -= 1  # itself
            eases = wanted.price == order.price and request.quantity <= order.remaining
            # What only eases is judged as what only closes.
            request.closing = eases or request.closing
            if not request.closing:
                self.poll = self._pools.votes.take(request)
            reviewed = self._reviewed(request, market)
        finally:
            self._set_aside(order, aside=False)
        if isinstance(reviewed, Rejection):
            return reviewed
        quantity = EXACT.add(order.filled_quantity, request.quantity)
        price, opens = wanted.price or _ZERO, not request.closing
        return replace(reviewed, order=order.asking(signal.id, quantity, price, opens=opens))

    def _set_aside(self, order: Order, *, aside: bool = True) -> None:
        """For a moment it counts nowhere: what would come in its place is judged."""
        if aside:
            self._reservations.release(order.client_order_id)
        else:
            self._reservations.hold(order)
        self._count_at_work(order.symbol, -1 if aside else 1)
        self._tell(order.symbol)

    # ---- what happened

    def ask(self, order: Order, now_ns: int) -> None:
        """Counts a modification that is under way, until the venue has decided."""
        self.place(order, now_ns)
        self._keep(order)

    def place(self, order: Order, at_ns: int) -> None:
        """In the rates: an order, or other terms for one, was approved then."""
        if not order.closing:
            self._second.take(at_ns)
            self._minute.take(at_ns)
            if self._pools.are_bound:
                self._pools.placed(self.account, order.symbol, at_ns)

    def on_modification(
        self, client_order_id: str, number: int, quantity: Decimal, price: Decimal | None
    ) -> Order:
        """The order on the venue's terms, after it decided. Raises UnknownOrder."""
        order = self._order(client_order_id)
        return self._keep(order.after_modification(number, quantity, price))

    def reserve(self, order: Order) -> None:
        """Counts an approved order, or one from the journal as it stands, until it has ended.

        Raises AlreadyReserved.
        """
        if order.client_order_id in self.orders:
            raise AlreadyReserved(order.client_order_id)
        if not order.adopted:  # that one nobody approved here, by any clock
            self.place(order, order.at_ns)
        self._keep(order)

    def on_event(self, client_order_id: str, event: OrderEvent) -> Order:
        """The order after our own doing: submit, lose, or an end that we decided ourselves.

        Raises UnknownOrder, IllegalTransition.
        """
        return self._keep(self._order(client_order_id).after(event))

    def on_answer(
        self,
        client_order_id: str,
        state: OrderState,
        filled_quantity: Decimal = _ZERO,
        venue_order_id: str = "",
    ) -> Order:
        """The order after what the venue states about it. What the venue says was filled stays
        reserved until those fills have come, also when the order has ended.

        Raises UnknownOrder, IllegalTransition.
        """
        order = self._order(client_order_id)
        return self._keep(order.after_answer(state, filled_quantity, venue_order_id))

    def on_fill(self, fill: Fill) -> Booking | None:
        """Counts a fill, whatever became of its order; None when it was counted before.

        Raises ForeignFill, having counted nothing, when it contradicts the order it names.
        """
        if self.ledger.has_counted(fill.fill_id):
            return None
        order = self.orders.get(fill.client_order_id)
        if order is not None:
            self._keep(order.after_fill(fill))
        instrument = self.instruments.get(fill.symbol)
        multiplier = instrument.contract_multiplier if instrument else _ONE
        booking = self.ledger.apply(fill, multiplier, self.currencies.quote(fill.symbol))
        if fill.fee_currency:
            self._charged(fill)
        self._tell(fill.symbol)
        return booking

    def _charged(self, fill: Fill) -> None:
        if not self._converts:
            self._obey(self.terms)
        if self._pools.are_bound:
            self._pools.charged(self.account, fill.symbol, fill.fee_currency, fill.fee)

    def adopt(self, terms: Terms) -> None:
        """The terms of another revision. Capital paid in or out is no gain and no loss."""
        paid_in = terms.capital - self.terms.capital
        if paid_in:
            self.ledger.change_capital(terms.capital)
            self.watermarks = self.watermarks.shifted(paid_in)
            if self.is_funded:
                self._pools.paid_in(self.account, paid_in)
        self._obey(terms)
        self._second.limit = terms.limits.max_orders_per_second
        self._minute.limit = terms.limits.max_orders_per_minute
        self.terms = terms

    def _obey(self, terms: Terms) -> None:
        self._converts = bool(self.currencies.quotes or self.ledger.currencies)
        self._opening = opening(terms.limits, terms.bypass, converts=self._converts)
        self._bypassed = bypassed(terms.bypass, terms.limits)
        self._asks_for_exposure = exposure_is_known in self._opening
        self._asks_for_samples = asks_for_samples(terms.limits)
        self._pools.prospects.ask(self.strategy, asks=self._asks_for_samples)
        self._pools.votes.obey(self.strategy, terms.aggregations)

    def begin_anew(self) -> None:
        """The market's time begins again, as a replay's does: rates are counted from there."""
        self._second.begin_anew()
        self._minute.begin_anew()

    # ---- what it comes to

    @property
    def positions(self) -> Mapping[str, Position]:
        return self.ledger.positions

    def working(self, symbol: str) -> Working:
        """What open orders, and fills announced but not yet here, can still buy and sell."""
        return self._reservations.working(symbol)

    def is_in(self, symbol: str) -> bool:
        """Whether it holds any, or has orders at work in it."""
        return bool(self._at_work[symbol] or self.ledger.quantity(symbol))

    def pnl(self, market: Market) -> Pnl:
        """Unrealised at mid, at whatever prices are known, old ones too: for reading."""
        if not self.ledger.currencies:
            return self.ledger.pnl(lambda symbol: mid_of(market(symbol)))
        books = self.books(market)
        needed = books.keys()
        exchange = self.currencies.exchange("", needed, market, ANY_AGE_NS)
        return together(books, exchange, self.ledger.capital)

    def books(self, market: Market) -> Mapping[str, CurrencyPnl]:
        """Likewise, by currency, as it was made."""
        return self.ledger.books(lambda symbol: mid_of(market(symbol)), self.currencies.own)

    def mark(self, market: Market, now_ns: int) -> Decimal | None:
        """Equity, noted in `watermarks`; None when a price that it needs is unknown or too old."""
        equity = self.equity(market)
        if equity is not None:
            if self.watermarks.currency != self.currencies.own:  # what it measured was another sum
                self.watermarks = Watermarks.begun(equity, now_ns, self.currencies.own)
            self.watermarks = self.watermarks.after(equity, now_ns, self.days)
        return equity

    def go_on_measuring(self, marks: Watermarks) -> None:
        """From what was kept. A desk that had one currency when it was kept had the one that it
        says now; what was one sum of several is measured anew once the equity is known.
        """
        several = bool(self.ledger.currencies)
        self.watermarks = marks if several else replace(marks, currency=self.currencies.own)

    def equity(self, market: Market) -> Decimal | None:
        """None when a price or a rate that it needs is unknown or too old."""
        most, ledger = self.terms.max_quote_age_ns, self.ledger
        if not ledger.currencies:
            return ledger.equity(lambda symbol: fresh_mid(market(symbol), most))
        equities = ledger.equities(lambda symbol: fresh_mid(market(symbol), most))
        return self.currencies.exchange("", ledger.currencies, market, most).total(equities)

    def worth(self, market: Market, now_ns: int) -> Worth:
        """As it stands; its equity is noted in `watermarks`."""
        equity, balance = self.mark(market, now_ns), self.ledger.balance
        exchange = self.exchange(market)
        if exchange is not None:
            total = exchange.total(self.ledger.balances())
            equity, balance = (None, balance) if total is None else (equity, total)
        marks, held = self.watermarks, self._held(market, exchange)
        return Worth(equity, balance, held, marks.day_start, marks.peak)

    def worth_of_funds(self, worth: Worth) -> Worth:
        """Of what its pools have of it."""
        paid = EXACT.subtract(self.funds, self.terms.capital)
        equity = None if worth.equity is None else EXACT.add(worth.equity, paid)
        return Worth(equity, EXACT.add(worth.balance, paid), worth.held)

    def _held(self, market: Market, exchange: Exchange | None) -> Mapping[str, Stock]:
        most, held = self.terms.max_quote_age_ns, {}
        for symbol, position in self.ledger.positions.items():
            if position.quantity:
                unit = position.unit(fresh_mid(market(symbol), most))
                if exchange is not None:
                    unit = exchange.worth(unit, position.currency)
                held[symbol] = Stock.of(position.quantity, unit)
        return held

    # ---- what it tells the pools

    def fund(self, is_funded: bool) -> None:  # it is what this is about
        """Whether its capital counts where several strategies are bound together."""
        if is_funded != self.is_funded:
            self.is_funded = is_funded
            capital = self.terms.capital
            self._pools.paid_in(self.account, capital if is_funded else -capital)

    @property
    def funds(self) -> Decimal:
        return self.terms.capital if self.is_funded else _ZERO

    @property
    def marks_of_funds(self) -> Watermarks:
        """The watermarks, of what its pools have of it."""
        return self.watermarks.shifted(EXACT.subtract(self.funds, self.terms.capital))

    def line(self, symbol: str) -> Line:
        position, working = self.ledger.position(symbol), self._reservations.working(symbol)
        earned = EXACT.subtract(position.realized_pnl, position.fees)
        return Line.of(
            position.quantity,
            working.buys,
            working.sells,
            position.cost,
            earned,
            self._at_work[symbol],
        )

    @property
    def charges(self) -> Mapping[str, tuple[tuple[str, Decimal], ...]]:
        """By symbol, fees that are not in its currency."""
        positions = self.ledger.positions.values() if self.ledger.currencies else ()
        return {each.symbol: each.other_fees for each in positions if each.other_fees}

    def lines(self) -> Mapping[str, Line]:
        """All of them; told from now on."""
        self._told = self._lines_now()
        return self._told

    def holdings(self) -> Mapping[str, Line]:
        """Likewise; told to nobody, and the same object until one of them moves."""
        if self._holdings is None:
            self._holdings = self._lines_now()
        return self._holdings

    def _lines_now(self) -> dict[str, Line]:
        symbols = self.ledger.positions.keys() | self._at_work.keys()
        return {symbol: self.line(symbol) for symbol in symbols}

    def _tell(self, symbol: str) -> None:
        self._holdings = None
        if self._pools.are_bound:
            before, now = self._told.get(symbol, NOTHING), self.line(symbol)
            self._told[symbol] = now
            if now != before:
                self._pools.moved(self.account, symbol, before, now)

    def _order(self, client_order_id: str) -> Order:
        order = self.orders.get(client_order_id)
        if order is None:
            raise UnknownOrder(f"{self.strategy} has no order {client_order_id} at work")
        return order

    def _count_at_work(self, symbol: str, more: int) -> None:
        at_work = self._at_work[symbol] + more
        if at_work:
            self._at_work[symbol] = at_work
        else:
            self._at_work.pop(symbol, None)

    def _keep(self, order: Order) -> Order:
        self._reservations.hold(order)
        at_work = bool(order.is_open or order.outstanding)
        self._count_at_work(order.symbol, at_work - (order.client_order_id in self.orders))
        if at_work:
            self.orders[order.client_order_id] = order
        else:
            self.orders.pop(order.client_order_id, None)
        self._pools.stands(self.account, order)
        self._tell(order.symbol)
        return order


def _on_the_lot(quantity: Decimal, instrument: Instrument) -> Decimal:
    """Zero for what is no quantity at all."""
    if not quantity.is_finite() or not _ZERO < quantity <= LARGEST:
        return _ZERO
    return instrument.quantity(quantity)
