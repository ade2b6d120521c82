"""Intentions: a signal that says where its strategy wants to be, made an order that gets there.

LONG and SHORT want a position of the size that sizing allows, and ask for what is missing to it;
what is held or at work on that side counts, so an intention that is repeated buys nothing twice.
CLOSE wants to hold nothing. NONE wants nothing: it takes a vote back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.accounts import StrategyAccount
from trading.instruments import Instrument
from trading.market import Market, priced
from trading.reasons import Reason
from trading.risk import UNLISTED, Rejection
from trading.signals import Action, Direction, OrderType, Side, Signal
from trading.sizing import Basis, Sized, annual_volatility, not_sized, sized, weight_of

_ZERO, _ONE = Decimal(0), Decimal(1)

# By symbol, seconds between them, and how many: the mids until now, oldest first; None: not all of
# them are known.
Sampled = Callable[[str, int, int], Sequence[Decimal] | None]


def unsampled(_: str, __: int, ___: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Intended:
    """A signal with the side and quantity that it comes to; `refusal`: why it comes to none."""

    signal: Signal
    sized: tuple[Sized, ...] = ()  # one for each policy that sizes it; the least counts
    refusal: Rejection | None = None


def intended(
    account: StrategyAccount, signal: Signal, market: Market, sampled: Sampled
) -> Intended:
    """Of a signal that is no intention, itself."""
    if signal.direction is None or signal.action is not Action.ORDER:
        return Intended(signal)
    refusal = _malformed(signal)
    if refusal is not None or signal.direction is Direction.NONE:
        return Intended(replace(signal, quantity=_ZERO), refusal=refusal)
    if signal.direction is Direction.CLOSE:
        return _closing(account, signal)
    side = Side.BUY if signal.direction is Direction.LONG else Side.SELL
    signal = replace(signal, side=side, quantity=_ZERO)
    found = _sizes(account, signal, market, sampled)
    if isinstance(found, Rejection):
        return Intended(signal, refusal=found)
    return _missing(account, signal, found)


def _malformed(signal: Signal) -> Rejection | None:
    if signal.quantity:
        return _invalid(f"quantity {signal.quantity} of an intention, expected none")
    if signal.order_type is not OrderType.MARKET:
        return _invalid(f"order type {signal.order_type} of an intention, expected market")
    for name, number in (("size", signal.size), ("confidence", signal.confidence)):
        if number is not None and not (number.is_finite() and _ZERO <= number <= _ONE):
            return _invalid(f"{name} {number}, expected 0 to 1")
    return None


def _invalid(message: str) -> Rejection:
    return Rejection(Reason.INVALID_SIGNAL, message)


def _closing(account: StrategyAccount, signal: Signal) -> Intended:
    """All that is held once market orders under way are filled, and is not being closed yet."""
    held, working = account.ledger.position(signal.symbol).quantity, account.working(signal.symbol)
    net = held + working.market_buys - working.market_sells
    side = Side.SELL if net > 0 else Side.BUY
    facing = held * side.sign + working.on(side) - working.at_market(side.other)
    if net and facing < 0:
        return Intended(replace(signal, side=side, quantity=-facing, closing=True))
    why = f"position {held}, nothing is held that is not being closed"
    return Intended(signal, refusal=Rejection(Reason.REDUCING_ONLY, why))


def _sizes(
    account: StrategyAccount, signal: Signal, market: Market, sampled: Sampled
) -> tuple[Sized, ...] | Rejection:
    """By each policy; the first refusal counts."""
    if not account.terms.sizings:
        return not_sized(f"no risk policy says how {account.strategy} is sized")
    equity, price, found = account.equity(market), _price(signal, market), []
    rates = account.exchange(market, signal.symbol)
    if rates is not None and rates.missing:
        return Rejection(Reason.NO_RATE, rates.missing)
    for sizing in account.terms.sizings:
        mids = sampled(signal.symbol, sizing.step_s, sizing.returns + 1) if sizing.samples else None
        basis = Basis(
            _instrument(account, signal),
            equity,
            rates.worth(price, rates.quote) if rates is not None else price,
            weight_of(signal.confidence, signal.size),
            annual_volatility(mids, sizing.step_s) if mids else None,
        )
        answer = sized(sizing, basis)
        if isinstance(answer, Rejection):
            return answer
        found.append(answer)
    return tuple(found)


def _missing(account: StrategyAccount, signal: Signal, found: tuple[Sized, ...]) -> Intended:
    """From what it holds, and what works on that side, to the least size."""
    target = min(each.quantity for each in found)
    held, working = account.ledger.position(signal.symbol).quantity, account.working(signal.symbol)
    reached = held * signal.side.sign + working.on(signal.side)
    quantity = _instrument(account, signal).quantity(max(_ZERO, target - reached))
    if quantity:
        return Intended(replace(signal, quantity=quantity), found)
    why = f"{signal.direction} of {signal.symbol}: sizing allows {target}, reached are {reached}"
    return Intended(signal, found, not_sized(why))


def _instrument(account: StrategyAccount, signal: Signal) -> Instrument:
    return account.instruments.get(signal.symbol, UNLISTED)


def _price(signal: Signal, market: Market) -> Decimal | None:
    """The ask for both sides: what is sold short has to be bought back."""
    touch = priced(market(signal.symbol))
    return touch.ask if touch else None
