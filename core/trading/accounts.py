"""What the gateway keeps of one strategy: ledger, orders at work, rates, and the marks of its day.

Mutable: one task owns it. Nothing here reads a clock or a file. It is rebuilt by the journal's rows
in their order: `reserve` for each order, `on_fill` for each fill, `on_event` and `on_answer` for
what became of it, and the last `watermarks`. A shorter way gives the same: every fill through
`on_fill`, then `reserve` for each order, as it stands at the end, that is outstanding or young
enough to count for the rates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.admission import LARGEST
from trading.exposure import Exposure, Stake, exposure
from trading.fills import Fill
from trading.ids import client_order_id
from trading.instruments import Instrument
from trading.ledger import Booking, Ledger, Pnl
from trading.limits import DEFAULT_LIMITS, Limits
from trading.market import Market, Touch
from trading.money import EXACT
from trading.orders import Order, OrderEvent, OrderState
from trading.positions import Position
from trading.rates import TokenBucket
from trading.reasons import Reason
from trading.reservations import Reservations, Working
from trading.risk import UNLISTED, Approved, Rejection, Request, Standing, review
from trading.rules import CLOSING, exposure_is_known, opening
from trading.signals import Action, OrderType, Side, Signal

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
_ZERO = Decimal(0)
_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a revision lays down about its money and limits."""

    capital: Decimal
    symbols: frozenset[str]
    limits: Limits = DEFAULT_LIMITS
    max_quote_age_ns: int = 5 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Watermarks:
    """What daily loss and drawdown are measured from. Journal it: it cannot be had from fills."""

    day: int  # since 1970, UTC
    day_start: Decimal  # equity when the day began: the last that was known of the days before
    peak: Decimal  # of equity, capital included
    equity: Decimal  # the last that was known

    def after(self, equity: Decimal, now_ns: int) -> "Watermarks":
        """A time that goes back to an earlier day stays in the day it came from."""
        day = now_ns // DAY_NS
        began = day > self.day
        if not began and equity == self.equity:
            return self
        return Watermarks(
            day if began else self.day,
            self.equity if began else self.day_start,
            max(self.peak, equity),
            equity,
        )

    def shifted(self, paid_in: Decimal) -> "Watermarks":
        """The same gains and losses, on other capital."""
        return Watermarks(
            self.day,
            EXACT.add(self.day_start, paid_in),
            EXACT.add(self.peak, paid_in),
            EXACT.add(self.equity, paid_in),
        )


class AlreadyReserved(ValueError):
    """An order that is at work was to be reserved once more."""


class UnknownOrder(LookupError):
    """News of an order that is not at work: its last fill may have overtaken the answer."""


class StrategyAccount:
    def __init__(self, strategy: str, terms: Terms, instruments: Mapping[str, Instrument]) -> None:
        self.strategy = strategy
        self.terms = terms
        self.instruments = instruments
        self.ledger = Ledger(terms.capital)
        self.orders: dict[str, Order] = {}  # open, or with announced fills still to come
        self.watermarks = Watermarks(0, terms.capital, terms.capital, terms.capital)
        self.judged: Request | None = None  # by which the last review decided
        self._reservations = Reservations()
        self._obey(terms.limits)
        limits = terms.limits
        self._second = TokenBucket(limits.max_orders_per_second, SECOND_NS)
        self._minute = TokenBucket(limits.max_orders_per_minute, 60 * SECOND_NS)

    # ---- deciding

    def review(
        self,
        signal: Signal,
        market: Market,
        now_ns: int,
        *,
        revision: str = "",
        epoch: int = 0,
        standing: Standing = Standing.TRADING,
    ) -> Approved | Rejection:
        """Decides; reserves nothing. `market` answers for this symbol and every one that is held,
        `now_ns` is the desk's clock. Notes the equity in `watermarks` where it is known.
        """
        request = self.request(
            signal, market, now_ns, revision=revision, epoch=epoch, standing=standing
        )
        self.judged = request
        return review(request, CLOSING if request.closing else self._opening)

    def request(
        self,
        signal: Signal,
        market: Market,
        now_ns: int,
        *,
        revision: str = "",
        epoch: int = 0,
        standing: Standing = Standing.TRADING,
    ) -> Request:
        """All that the signal is judged by."""
        symbol, sign = signal.symbol, signal.side.sign
        instrument = self.instruments.get(symbol, UNLISTED)
        quantity = _on_the_lot(signal.quantity, instrument)
        position = self.ledger.position(symbol).quantity
        reserved = self._reservations.working(symbol)
        # As this side sees it: less than 0 can be reduced.
        reached = position * sign + reserved.on(signal.side)
        reducible = max(_ZERO, -reached)
        touch = _priced(market(symbol))
        equity = self.mark(lambda other: touch if other == symbol else market(other), now_ns)
        return Request(
            signal=signal,
            strategy=self.strategy,
            revision=revision,
            epoch=epoch,
            now_ns=now_ns,
            standing=standing,
            limits=self.terms.limits,
            symbols=self.terms.symbols,
            instrument=instrument,
            touch=touch,
            max_quote_age_ns=self.terms.max_quote_age_ns,
            quantity=quantity,
            position=position,
            reducible=reducible,
            closable=max(_ZERO, reserved.at_market(signal.side.other) - reached),
            reached=reached + quantity,
            closing=0 < quantity <= reducible,
            balance=self.ledger.balance,
            equity=equity,
            day_start=self.watermarks.day_start,
            peak=self.watermarks.peak,
            left_this_second=self._second.available(now_ns),
            left_this_minute=self._minute.available(now_ns),
            open_orders=len(self.orders),
            exposure=self._exposure(signal, quantity, market) if self._asks_for_exposure else None,
        )

    def _exposure(self, signal: Signal, quantity: Decimal, market: Market) -> Exposure | None:
        """With this order; None when a price that it needs is unknown or too old."""
        judged = self._stake(signal.symbol, market, signal.side, quantity)
        held = {symbol for symbol, position in self.ledger.positions.items() if position.quantity}
        symbols = (held | self._reservations.symbols) - {signal.symbol}
        others = [stake for symbol in symbols if (stake := self._stake(symbol, market))]
        if judged is None or len(others) < len(symbols):
            return None
        return exposure(judged, others)

    def _stake(
        self, symbol: str, market: Market, side: Side = Side.BUY, quantity: Decimal = _ZERO
    ) -> Stake | None:
        price = _mid(_fresh(market(symbol), self.terms.max_quote_age_ns))
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

    def order_to_cancel(self, signal: Signal) -> Order | Rejection:
        """The open order that a cancel means."""
        if signal.action is not Action.CANCEL or not signal.cancels:
            return Rejection(Reason.INVALID_SIGNAL, "a cancel names the signal that it cancels")
        order = self.orders.get(client_order_id(signal.cancels))
        if order is None or not order.is_open:
            return Rejection(Reason.UNKNOWN_ORDER, f"no open order of signal {signal.cancels}")
        return order

    def order_to_modify(self, signal: Signal) -> Order | Rejection:
        """The order that a modification means."""
        if signal.action is not Action.MODIFY or not signal.modifies:
            return Rejection(Reason.INVALID_SIGNAL, "a modify names the signal that it modifies")
        order = self.orders.get(client_order_id(signal.modifies))
        if order is None or not order.is_open:
            return Rejection(Reason.UNKNOWN_ORDER, f"no open order of signal {signal.modifies}")
        if order.order_type is not OrderType.LIMIT or order.price is None:
            kind = order.order_type
            return Rejection(Reason.INVALID_SIGNAL, f"modify of a {kind} order, expected limit")
        if order.asked is not None:
            under_way = f"signal {order.asked.signal_id} modifies it, not answered yet"
            return Rejection(Reason.INVALID_SIGNAL, under_way)
        return order

    def review_modification(
        self,
        signal: Signal,
        market: Market,
        now_ns: int,
        *,
        epoch: int = 0,
        standing: Standing = Standing.TRADING,
    ) -> Order | Rejection:
        """The order with the other terms under way. What is left of it is judged as an order in
        its place; then both terms count until the venue has answered (`ask`).
        """
        order = self.order_to_modify(signal)
        if isinstance(order, Rejection):
            return order
        wanted = _modified(signal, order)
        self._reservations.release(order.client_order_id)
        try:
            request = self.request(
                wanted, market, now_ns, revision=order.revision, epoch=epoch, standing=standing
            )
        finally:
            self._reservations.hold(order)
        request.open_orders -= 1  # itself
        eases = wanted.price == order.price and request.quantity <= order.remaining
        reviewed = review(request, CLOSING if eases or request.closing else self._opening)
        if isinstance(reviewed, Rejection):
            return reviewed
        quantity = EXACT.add(order.filled_quantity, request.quantity)
        asking = order.asking(signal.id, quantity, wanted.price or _ZERO)
        return replace(asking, closing=order.closing and (eases or request.closing))

    # ---- what happened

    def ask(self, order: Order, now_ns: int) -> None:
        """Counts a modification that is under way, until the venue has decided."""
        if not order.closing:
            self._second.take(now_ns)
            self._minute.take(now_ns)
        self._keep(order)

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
        if not order.closing:
            self._second.take(order.at_ns)
            self._minute.take(order.at_ns)
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
        return self.ledger.apply(fill, instrument.contract_multiplier if instrument else _ONE)

    def adopt(self, terms: Terms) -> None:
        """The terms of another revision. Capital paid in or out is no gain and no loss."""
        paid_in = terms.capital - self.terms.capital
        if paid_in:
            self.ledger.change_capital(terms.capital)
            self.watermarks = self.watermarks.shifted(paid_in)
        self._obey(terms.limits)
        self._second.resize(terms.limits.max_orders_per_second)
        self._minute.resize(terms.limits.max_orders_per_minute)
        self.terms = terms

    def _obey(self, limits: Limits) -> None:
        self._opening = opening(limits)
        self._asks_for_exposure = exposure_is_known in self._opening

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

    def pnl(self, market: Market) -> Pnl:
        """Unrealised at mid, at whatever prices are known, old ones too: for reading."""
        return self.ledger.pnl(lambda symbol: _mid(market(symbol)))

    def mark(self, market: Market, now_ns: int) -> Decimal | None:
        """Equity, noted in `watermarks`; None when a price that it needs is unknown or too old."""
        most = self.terms.max_quote_age_ns
        equity = self.ledger.equity(lambda symbol: _mid(_fresh(market(symbol), most)))
        if equity is not None:
            self.watermarks = self.watermarks.after(equity, now_ns)
        return equity

    def _order(self, client_order_id: str) -> Order:
        order = self.orders.get(client_order_id)
        if order is None:
            raise UnknownOrder(f"{self.strategy} has no order {client_order_id} at work")
        return order

    def _keep(self, order: Order) -> Order:
        self._reservations.hold(order)
        if order.is_open or order.outstanding:
            self.orders[order.client_order_id] = order
        else:
            self.orders.pop(order.client_order_id, None)
        return order


def _modified(signal: Signal, order: Order) -> Signal:
    """What would be left of the order, as if it were asked for now."""
    quantity = signal.quantity or order.quantity
    return replace(
        signal,
        action=Action.ORDER,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=EXACT.subtract(quantity, order.filled_quantity) if quantity.is_finite() else _ZERO,
        price=order.price if signal.price is None else signal.price,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
    )


def _on_the_lot(quantity: Decimal, instrument: Instrument) -> Decimal:
    """Zero for what is no quantity at all."""
    if not quantity.is_finite() or not 0 < quantity <= LARGEST:
        return _ZERO
    return instrument.quantity(quantity)


def _fresh(touch: Touch | None, most_ns: int) -> Touch | None:
    return touch if touch is not None and touch.age_ns <= most_ns else None


def _priced(touch: Touch | None) -> Touch | None:
    """A book with one side only, or sides that cross, has no price."""
    return touch if touch is not None and 0 < touch.bid <= touch.ask else None


def _mid(touch: Touch | None) -> Decimal | None:
    priced = _priced(touch)
    return None if priced is None else priced.mid
