"""Pools: what the strategies of a symbol, an account or the desk have together, and its limits.

A pool is the sum of its strategies' lines, kept up to date as they move: deciding costs the same
whether there are two strategies or thousands. Nothing is summed up while nothing is bound.

Positions are added up by side: how long the strategies could come to be together, and how short.
A strategy may close at any time and nothing may keep it from that, so nobody's long makes room for
another's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from trading.currencies import ONE_CURRENCY, Currencies, Exchange, added
from trading.days import UTC_DAYS, Days
from trading.instruments import Instrument
from trading.limits import UNBOUNDED, UNLIMITED, Limits, written
from trading.lines import (
    NOTHING,
    Charges,
    Line,
    Mids,
    balance_of_several,
    equity_of,
    exposure_of,
)
from trading.market import Market
from trading.money import EXACT
from trading.orders import Order
from trading.prospects import Change, Correlation, Prospects, ValueAtRisk
from trading.rates import MINUTE_NS, SECOND_NS, RateWindow
from trading.reasons import Reason
from trading.risk import Check, Rejection, Request, copied, objection
from trading.rules import (
    ASKING_FOR_EQUITY,
    ASKING_FOR_EXPOSURE,
    asks_for_samples,
    bounding,
    rates_are_known,
)
from trading.scopes import DESK, Level, Scope, covering
from trading.self_trade import may_trade, rests
from trading.signals import Side, Signal
from trading.votes import Votes
from trading.watermarks import Watermarks

_ZERO = Decimal(0)
_SESSIONS_KEPT = 64
_POLICIES = " policies"  # no name of a strategy


class Member(Protocol):
    """A strategy's account, as pools see it."""

    strategy: str
    account: str

    @property
    def marks_of_funds(self) -> Watermarks: ...

    @property
    def funds(self) -> Decimal:
        """Its capital, where that is money."""
        ...

    @property
    def charges(self) -> Mapping[str, tuple[tuple[str, Decimal], ...]]:
        """By symbol, fees that are not in its currency."""
        ...

    def line(self, symbol: str) -> Line: ...

    def lines(self) -> Mapping[str, Line]: ...

    def holdings(self) -> Mapping[str, Line]:
        """Its lines; the same object until one of them moves."""
        ...


class _Sums:
    """An account, or the desk, added up."""

    def __init__(self) -> None:
        self.funds = _ZERO
        self.lines: dict[str, Line] = {}
        self.charges: dict[str, dict[str, Decimal]] = {}  # by symbol and currency, not in `lines`

    def charge(self, symbol: str, currency: str, fee: Decimal) -> None:
        added(self.charges.setdefault(symbol, {}), currency, fee)

    def pay_in(self, amount: Decimal) -> None:
        self.funds = EXACT.add(self.funds, amount)

    def move(self, symbol: str, before: Line, now: Line) -> None:
        self.lines[symbol] = self.lines.get(symbol, NOTHING).moved(before, now)


class _Bound:
    """What bounds one scope, and what its limits remember."""

    def __init__(self, scope: Scope, currency: str) -> None:
        self.scope = scope
        self.currency = currency  # the desk's
        self.limits = UNBOUNDED
        self.checks: tuple[Check, ...] = ()
        self.watermarks: Watermarks | None = None  # None: its equity was never known
        self.is_measured = False  # else they are of another time
        self.second = RateWindow(UNBOUNDED.max_orders_per_second, SECOND_NS)
        self.minute = RateWindow(UNBOUNDED.max_orders_per_minute, MINUTE_NS)

    def obey(self, limits: Limits) -> None:
        names = written(limits)
        self.limits, self.checks = limits, bounding(limits)
        self.asks_for_equity = not names.isdisjoint(ASKING_FOR_EQUITY)
        self.asks_for_samples = asks_for_samples(limits)
        self.asks_for_exposure = not names.isdisjoint(ASKING_FOR_EXPOSURE)
        self.asks_for_all = self.asks_for_equity or self.asks_for_exposure or self.asks_for_samples
        self.asks_for_worth = self.asks_for_all or "max_order_value" in names
        self.second.limit = limits.max_orders_per_second
        self.minute.limit = limits.max_orders_per_minute

    def place(self, at_ns: int) -> None:
        self.second.take(at_ns)
        self.minute.take(at_ns)

    def begin_anew(self) -> None:
        self.second.begin_anew()
        self.minute.begin_anew()

    def pay_in(self, amount: Decimal) -> None:
        if self.watermarks is not None:
            self.watermarks = self.watermarks.shifted(amount)

    def note(self, equity: Decimal | None, now_ns: int, days: Days) -> Watermarks:
        """What was known of its equity, this included."""
        before = self.watermarks
        begun = Watermarks.begun(equity or _ZERO, now_ns, self.currency)
        if equity is None or not self.asks_for_equity:
            return before or begun
        self.watermarks = before.after(equity, now_ns, days) if before else begun
        return self.watermarks


class Pools:
    """Mutable; one for a desk. Each of its strategies' accounts tells it what moves."""

    def __init__(
        self, instruments: Mapping[str, Instrument], currencies: Currencies = ONE_CURRENCY
    ) -> None:
        self.currencies = currencies
        self._converts = bool(currencies.quotes)  # or a fee came in another currency
        self.days = UTC_DAYS  # by which a loss is a day's
        self._instruments = instruments
        self._members: dict[str, Member] = {}
        self._bounds: dict[Scope, _Bound] = {}
        self._sums: dict[Scope, _Sums] = {}  # of the desk and its accounts, while anything is bound
        self._sessions: dict[str, None] = {}
        self._open: dict[tuple[str, str, Side], dict[str, Order]] = {}
        self._resting: dict[tuple[str, str, Side], dict[str, Order]] = {}  # of these
        self._self_trade_allowed: Callable[[str], bool] = _nowhere
        self.prospects = Prospects(instruments)
        self.votes = Votes()

    @property
    def are_bound(self) -> bool:
        return bool(self._bounds)

    # ---- what bounds them

    def obey(self, limits: Mapping[Scope, Limits], unread: Collection[Scope] = ()) -> None:
        """These hold from now on, and no others. `unread`: scopes of which something is written
        that cannot be read, so that what they fell from must not be forgotten.
        """
        were_bound = self.are_bound
        self._bounds = {
            scope: self._bound(scope, each, scope in unread) for scope, each in limits.items()
        }
        asks = any(map(asks_for_samples, limits.values()))
        self.prospects.ask(_POLICIES, asks=asks)
        if not self.are_bound:
            self._sums = {}
        elif not were_bound:
            self._recount()

    def _bound(self, scope: Scope, limits: Limits, unread: bool) -> _Bound:
        known = self._bounds.get(scope)
        bound = known or _Bound(scope, self.currencies.own)
        measured = bound.is_measured
        bound.obey(limits)
        bound.is_measured = bound.asks_for_equity or unread
        if known is None or (bound.is_measured and not measured):
            bound.watermarks = self._begun(scope)
        return bound

    def _begun(self, scope: Scope) -> Watermarks | None:
        """What its strategies know of the day, so that a loss from before the limit counts."""
        members = (each for each in self._members.values() if _is_in(each, scope))
        marks = [each.marks_of_funds for each in members]
        if any(each.currency != self.currencies.own for each in marks):
            return None  # they measured other sums, and do not yet know their own
        return Watermarks.together(marks, self.days)

    def _recount(self) -> None:
        self._sums = {}
        for member in self._members.values():
            self._add(member)

    def allow_self_trade(self, where: Callable[[str], bool]) -> None:
        """By account; refused wherever this does not say so."""
        self._self_trade_allowed = where

    # ---- what moves

    def stands(self, account: str, order: Order) -> None:
        """An order as it stands now: while it is open, it may be met by another."""
        key = (account, order.symbol, order.side)
        for orders in (self._open, self._resting) if rests(order) else (self._open,):
            if order.is_open:
                orders.setdefault(key, {})[order.client_order_id] = order
            elif key in orders:
                orders[key].pop(order.client_order_id, None)

    def join(self, member: Member) -> None:
        self._members[member.strategy] = member
        if self.are_bound:
            self._add(member)
            self._shift(member.account, member.funds)

    def _add(self, member: Member) -> None:
        for sums in self._sums_of(member.account):
            sums.pay_in(member.funds)
            for symbol, line in member.lines().items():
                sums.move(symbol, NOTHING, line)
            for symbol, fees in member.charges.items():
                self._converts = True
                for currency, fee in fees:
                    sums.charge(symbol, currency, fee)

    def paid_in(self, account: str, amount: Decimal) -> None:
        """Or out, when it is less than 0: no gain and no loss."""
        if self.are_bound:
            for sums in self._sums_of(account):
                sums.pay_in(amount)
            self._shift(account, amount)

    def _shift(self, account: str, amount: Decimal) -> None:
        for scope in (Scope(Level.ACCOUNT, account), DESK):
            if bound := self._bounds.get(scope):
                bound.pay_in(amount)

    def moved(self, account: str, symbol: str, before: Line, now: Line) -> None:
        for sums in self._sums_of(account):
            sums.move(symbol, before, now)

    def charged(self, account: str, symbol: str, currency: str, fee: Decimal) -> None:
        """A fee that is not in the symbol's currency."""
        self._converts = True
        for sums in self._sums_of(account):
            sums.charge(symbol, currency, fee)

    def placed(self, account: str, symbol: str, at_ns: int) -> None:
        """An order was approved that does not only close, or other terms for one."""
        for bound in self._covering(symbol, account):
            bound.place(at_ns)

    def begin_anew(self, session: str) -> None:
        """The market's time begins again with that session: once, whoever says it."""
        if session in self._sessions:
            return
        self._sessions[session] = None
        if len(self._sessions) > _SESSIONS_KEPT:
            del self._sessions[next(iter(self._sessions))]
        for bound in self._bounds.values():
            bound.begin_anew()

    # ---- deciding

    def objection(self, member: Member, request: Request, market: Market) -> Rejection | None:
        """Of the narrowest scope that objects; its text begins with the scope."""
        signal = request.signal
        own = member.line(signal.symbol)
        lines = own, own.with_order(signal.side, request.quantity)
        for bound in self._covering(signal.symbol, member.account):
            judged = self._judged(bound, member, request, market, lines)
            found = rates_are_known(judged) or objection(judged, bound.checks)
            if found is not None:
                message = f"{bound.scope}: {found.message}"
                return replace(found, message=message, scope=str(bound.scope))
        return None

    def self_trade(self, account: str, signal: Signal) -> Rejection | None:
        """What would trade with another order of the same account.

        What does not rest itself could only meet what does.
        """
        orders = self._open if rests(signal) else self._resting
        facing = orders and orders.get((account, signal.symbol, signal.side.other))
        if not facing or self._self_trade_allowed(account):
            return None
        met = next((order for order in facing.values() if _may_meet(signal, order)), None)
        if met is None:
            return None
        scope = str(Scope(Level.ACCOUNT, account))
        at = "" if met.price is None else f" at {met.price}"
        message = (
            f"{scope}: could trade with {met.side} {met.remaining}{at} of {met.strategy}, order"
        )
        return Rejection(Reason.SELF_TRADE, f"{message} {met.client_order_id}", scope)

    def _judged(
        self,
        bound: _Bound,
        member: Member,
        request: Request,
        market: Market,
        own: tuple[Line, Line],
    ) -> Request:
        """The same signal, by what its scope has together. `own`: the line of its strategy, and
        that with the order."""
        symbol, side = request.signal.symbol, request.signal.side
        held = self._lines(bound.scope)
        before = held.get(symbol, NOTHING)
        now = before.moved(*own)
        exchange = self._exchange(bound, held, request, market) if self._converts else None
        most, quotes = request.max_quote_age_ns, self.currencies.quotes
        mids = Mids(market, most, self._instruments, quotes, exchange)
        balance = self._balance(bound.scope, held, exchange)
        asked = bound.asks_for_samples
        change = Change(symbol, request.quantity * side.sign) if asked else None
        equity = equity_of(balance, held, mids) if bound.asks_for_equity else None
        marks = bound.note(equity, request.now_ns, self.days)
        judged = copied(request)
        judged.limits = bound.limits
        judged.position, judged.reached = before.on(side) * side.sign, now.on(side)
        judged.balance, judged.equity, judged.exchange = balance, equity, exchange
        judged.day_start, judged.peak = marks.day_start, marks.peak
        judged.left_this_second = bound.second.left(request.now_ns)
        judged.left_this_minute = bound.minute.left(request.now_ns)
        judged.open_orders = sum(line.orders for line in held.values())
        judged.exposure = judged.value_at_risk = judged.correlation = None
        if bound.asks_for_exposure:
            judged.exposure = exposure_of({**held, symbol: now}, symbol, mids)
        if change:
            judged.value_at_risk = self._value_at_risk(bound, change, request.now_ns)
        if change and bound.limits.max_correlation != UNLIMITED:
            judged.correlation = self.correlation(member, bound.scope, change, request.now_ns)
        return judged

    def _exchange(
        self,
        bound: _Bound,
        held: Mapping[str, Line],
        request: Request,
        market: Market,
    ) -> Exchange | None:
        """Of all that its limits look at; None: it is in the desk's currency."""
        quotes, symbol = self.currencies.quotes, request.signal.symbol
        if not bound.asks_for_worth:
            return None
        there = (each for each, line in held.items() if line != NOTHING)
        symbols = {symbol, *there} if bound.asks_for_all else {symbol}
        needed = {quotes[each] for each in symbols if each in quotes}
        if bound.asks_for_equity:
            charges = self._charges(bound.scope).values()
            needed.update(each for fees in charges for each, fee in fees.items() if fee)
        if not needed:
            return None
        quote = self.currencies.quote(symbol)
        return self.currencies.exchange(quote, needed, market, request.max_quote_age_ns)

    def _charges(self, scope: Scope) -> Charges:
        charges = self._of(scope).charges
        if scope.level is Level.SYMBOL:
            return {scope.name: charges[scope.name]} if scope.name in charges else {}
        return charges

    def _value_at_risk(self, bound: _Bound, change: Change, now_ns: int) -> ValueAtRisk | None:
        """Long and short set off, as in net exposure."""
        if bound.limits.max_value_at_risk == UNLIMITED:
            return None
        lines = self._lines(bound.scope)
        return self.prospects.value_at_risk(str(bound.scope), lines, change, now_ns)

    def correlation(self, member: Member, scope: Scope, change: Change, now_ns: int) -> Correlation:
        """Of what one strategy of the scope holds with what another does."""
        others = {
            name: each.holdings()
            for name, each in self._members.items()
            if name != member.strategy and _is_in(each, scope)
        }
        return self.prospects.correlation(member.holdings(), change, others, now_ns)

    def _balance(
        self, scope: Scope, lines: Mapping[str, Line], exchange: Exchange | None
    ) -> Decimal | None:
        """None when a rate that it needs is not known."""
        earned = _ZERO if scope.level is Level.SYMBOL else self._of(scope).funds
        if exchange is not None:
            charges = self._charges(scope)
            return balance_of_several(earned, lines, charges, exchange, self.currencies)
        for line in lines.values():
            earned = EXACT.add(earned, line.earned)
        return earned

    def _lines(self, scope: Scope) -> Mapping[str, Line]:
        if scope.level is Level.SYMBOL:
            return {scope.name: self._of(scope).lines.get(scope.name, NOTHING)}
        return self._of(scope).lines

    def _of(self, scope: Scope) -> _Sums:
        """A symbol's line is the desk's."""
        found = DESK if scope.level is Level.SYMBOL else scope
        sums = self._sums.get(found)
        if sums is None:
            sums = self._sums[found] = _Sums()
        return sums

    def _sums_of(self, account: str) -> tuple[_Sums, _Sums]:
        return self._of(Scope(Level.ACCOUNT, account)), self._of(DESK)

    def _covering(self, symbol: str, account: str) -> Iterable[_Bound]:
        bounds = self._bounds
        return [bounds[scope] for scope in covering(symbol, account) if scope in bounds]

    # ---- what has to be kept

    def watermarks(self, symbols: Iterable[str], account: str) -> Mapping[str, Watermarks]:
        """By scope's text, of what covers orders of these symbols: to be journalled."""
        if not self.are_bound:
            return {}
        scopes = {scope for symbol in symbols for scope in covering(symbol, account)}
        found = ((scope, self._bounds[scope]) for scope in scopes if scope in self._bounds)
        return {
            str(scope): bound.watermarks
            for scope, bound in found
            if bound.is_measured and bound.watermarks is not None
        }

    @property
    def all_watermarks(self) -> Mapping[str, Watermarks]:
        """Likewise, of every scope."""
        return {
            str(scope): bound.watermarks
            for scope, bound in self._bounds.items()
            if bound.is_measured and bound.watermarks is not None
        }

    def note(self, scope: Scope, equity: Decimal | None, now_ns: int) -> Watermarks | None:
        """What is known of its equity, this included; None: nothing bounds it."""
        bound = self._bounds.get(scope)
        return bound.note(equity, now_ns, self.days) if bound else None

    def limits(self, scope: Scope) -> Limits:
        bound = self._bounds.get(scope)
        return bound.limits if bound else UNBOUNDED

    def restore(self, watermarks: Mapping[str, Watermarks]) -> None:
        for text, marks in watermarks.items():
            if bound := self._bounds.get(Scope.parse(text)):
                self.go_on_measuring(bound, marks)

    def go_on_measuring(self, bound: _Bound, marks: Watermarks | None) -> None:
        """As an account does."""
        own = self.currencies.own
        if marks is not None and marks.currency != own:
            marks = None if self._has_several(bound.scope) else replace(marks, currency=own)
        bound.watermarks = marks

    def _has_several(self, scope: Scope) -> bool:
        quotes = self.currencies.quotes
        return bool(self._charges(scope)) or any(each in quotes for each in self._lines(scope))


def _may_meet(signal: Signal, order: Order) -> bool:
    """On either terms, while others are under way."""
    asked = order.asked
    return may_trade(signal, order) or (
        asked is not None and may_trade(signal, replace(order, price=asked.price))
    )


def _nowhere(_: str) -> bool:
    return False


def _is_in(member: Member, scope: Scope) -> bool:
    return scope == DESK or scope == Scope(Level.ACCOUNT, member.account)
