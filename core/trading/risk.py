"""Risk: what a signal is judged by, and what comes of it.

Everything a check reads is in the `Request`; a check is a pure function of it. What is not known is
None there, and a check that needs it refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter

from trading.currencies import Exchange
from trading.exposure import Exposure
from trading.ids import client_order_id
from trading.instruments import Instrument
from trading.limits import Limits
from trading.market import Touch
from trading.orders import Order
from trading.prospects import Correlation, ValueAtRisk
from trading.reasons import Reason
from trading.signals import OrderType, Side, Signal, Verdict
from trading.standings import Stand
from trading.values import value

# Tuples: `in` compares members by identity first, which is faster than hashing an enum.
PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
TRIGGERED = (OrderType.STOP, OrderType.STOP_LIMIT)


@value(frozen=True, slots=True)
class Rejection:
    reason: Reason
    message: str
    scope: str = ""  # whose limit it was; empty: the strategy's own

    def verdict(self, signal_id: str) -> Verdict:
        return Verdict(signal_id, self.reason, self.message)


@value(frozen=True, slots=True)
class Approved:
    """Proof that every check let this order through: the only thing that a venue is sent."""

    order: Order
    bypassed: tuple[Rejection, ...] = ()  # what would have refused it, had no policy said otherwise

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.order.signal_id)


@dataclass(slots=True)
class Request:
    """One signal and all that it is judged by. Not frozen, for speed; nobody changes one."""

    signal: Signal
    strategy: str
    revision: str
    epoch: int
    now_ns: int
    stand: Stand
    limits: Limits
    symbols: frozenset[str]  # the manifest's
    instrument: Instrument  # or UNLISTED
    touch: Touch | None  # None: no price; else 0 < bid <= ask
    max_quote_age_ns: int
    quantity: Decimal  # on the lot; zero when it cannot be traded
    position: Decimal
    reducible: Decimal  # how much of the position no working order closes yet, for this side
    closable: Decimal  # likewise once the market orders under way are filled
    reached: Decimal  # the position if this and all that works on its side were filled, for it
    closing: bool  # it can only reduce what is settled, whether it says so or not
    balance: Decimal | None
    equity: Decimal | None
    day_start: Decimal
    peak: Decimal
    left_this_second: int
    left_this_minute: int
    open_orders: int
    exposure: Exposure | None  # None: a price is unknown, or no limit asks for it
    value_at_risk: ValueAtRisk | None = None  # None: no limit asks for it
    correlation: Correlation | None = None  # likewise
    exchange: Exchange | None = None  # None: everything is in the desk's currency

    @property
    def price(self) -> Decimal | None:
        """The most that one unit may turn out to be worth; None when that cannot be known."""
        signal = self.signal
        if signal.side is Side.BUY and signal.order_type in PRICED:
            return signal.price
        if self.touch is None:
            return None
        worst = self.touch.taken_by(signal.side)
        if signal.stop_price is not None and signal.stop_price > worst:
            worst = signal.stop_price
        if signal.order_type in PRICED and signal.price is not None and signal.price > worst:
            worst = signal.price
        return worst

    @property
    def notional(self) -> Decimal | None:
        """Likewise of the whole order."""
        price = self.price
        if price is None:
            return None
        return self.quantity * price * self.instrument.contract_multiplier

    def worth(self, amount: Decimal | None) -> Decimal | None:
        """Of the symbol's quote currency, in the desk's."""
        exchange = self.exchange
        return amount if exchange is None else exchange.worth(amount, exchange.quote)


_all_of = attrgetter(*(each.name for each in fields(Request)))


def copied(request: Request) -> Request:
    """For whom some of it is otherwise. `replace` takes three times as long."""
    return Request(*_all_of(request))


# Stands in for an instrument that the catalogue does not have, until the check that refuses it.
UNLISTED = Instrument("", Decimal(1), Decimal(1), Decimal(0), Decimal(0), "", "")

Check = Callable[[Request], Rejection | None]


def review(request: Request, checks: tuple[Check, ...]) -> Approved | Rejection:
    """The first check that objects decides."""
    return objection(request, checks) or Approved(_order(request))


def objection(request: Request, checks: tuple[Check, ...]) -> Rejection | None:
    """The first one."""
    for check in checks:
        rejection = check(request)
        if rejection is not None:
            return rejection
    return None


def _order(request: Request) -> Order:
    signal = request.signal
    return Order(
        client_order_id=client_order_id(signal.id),
        signal_id=signal.id,
        strategy=request.strategy,
        revision=request.revision,
        epoch=request.epoch,
        symbol=signal.symbol,
        side=signal.side,
        order_type=signal.order_type,
        quantity=request.quantity,
        cause=signal.cause,
        at_ns=request.now_ns,
        price=signal.price if signal.order_type in PRICED else None,
        stop_price=signal.stop_price,
        time_in_force=signal.time_in_force,
        closing=request.closing,
        post_only=signal.post_only,
    )
