"""Breaches: limits that are exceeded by what stands now, whether or not anybody asks for an order.

A check refuses an order by what it could come to; a breach is judged by what is held and what it is
worth, since that alone can be reduced. What is not known breaches nothing: opening is refused then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trading.instruments import Instrument
from trading.limits import InvalidLimits, Limits
from trading.money import EXACT

_ZERO = Decimal(0)
_ONE = Decimal(1)


# ---- what a policy does about one


class BreachAction(StrEnum):
    """From the mildest to the sternest."""

    ALERT = "alert"  # tells, and stops nothing
    PAUSE = "pause"  # only what closes goes on
    REDUCE = "reduce"  # likewise, and a share of each position is closed
    STOP = "stop"  # everything is cancelled and closed; then no order leaves

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {action: rank for rank, action in enumerate(BreachAction)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is done about a breach of one limit."""

    action: BreachAction
    share: Decimal = _ONE  # of each position, by REDUCE
    until_next_day: bool = False  # or until a person takes it back


Actions = Mapping[str, Answer]  # by limit


def sterner(one: Actions, other: Actions) -> Actions:
    """What satisfies both."""
    both = {name: _sterner(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}


def _sterner(one: Answer, other: Answer) -> Answer:
    action = max(one.action, other.action, key=lambda action: action.rank)
    shares = (each.share for each in (one, other) if each.action is action)
    return Answer(action, max(shares), one.until_next_day and other.until_next_day)


def parse_actions(whose: str, document: Any) -> Actions:
    """Raises InvalidLimits."""
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise InvalidLimits(f"actions of {whose}: {document!r}, expected an object")
    return {str(limit): _answer(whose, str(limit), each) for limit, each in document.items()}


def _answer(whose: str, limit: str, document: Any) -> Answer:
    what = f"action {limit} of {whose}"
    if limit not in CAN_BE_BREACHED:
        expected = ", ".join(sorted(CAN_BE_BREACHED))
        raise InvalidLimits(f"{what}: expected one of {expected}")
    if not isinstance(document, Mapping) or set(document) - {"action", "share", "untilNextDay"}:
        raise InvalidLimits(f"{what}: {document!r}, expected action, share and untilNextDay")
    action, until = document.get("action"), document.get("untilNextDay")
    if not isinstance(action, str) or action not in set(BreachAction):
        raise InvalidLimits(f"{what}: {action!r}, expected one of {', '.join(BreachAction)}")
    if until not in (None, True, False) or (until and limit not in OF_A_DAY):
        expected = f"true or false, and true of {', '.join(sorted(OF_A_DAY))} only"
        raise InvalidLimits(f"{what}: untilNextDay {until!r}, expected {expected}")
    return Answer(BreachAction(action), _share(what, action, document.get("share")), bool(until))


def _share(what: str, action: str, value: Any) -> Decimal:
    if (value is not None) != (action == BreachAction.REDUCE):
        raise InvalidLimits(f"{what}: share {value!r}, expected one with reduce and only there")
    if value is None:
        return _ONE
    try:
        share = Decimal(str(value)) if not isinstance(value, bool) else _ZERO
    except ArithmeticError:
        share = _ZERO
    if not share.is_finite() or not 0 < share <= 1:
        raise InvalidLimits(f"{what}: share {value!r}, expected more than 0, at most 1")
    return share


# ---- what stands now


@dataclass(frozen=True, slots=True)
class Stock:
    """What is held of one symbol, each strategy's by itself."""

    long: Decimal = _ZERO
    short: Decimal = _ZERO  # as a number above 0
    unit: Decimal | None = None  # what one is worth; None: no price is known, or an old one

    @classmethod
    def of(cls, quantity: Decimal, unit: Decimal | None) -> "Stock":
        return cls(max(_ZERO, quantity), max(_ZERO, -quantity), unit)

    @property
    def gross(self) -> Decimal:
        return EXACT.add(self.long, self.short)

    def worth(self, quantity: Decimal) -> Decimal | None:
        return None if self.unit is None else EXACT.multiply(quantity, self.unit)

    def plus(self, other: "Stock") -> "Stock":
        unit = None if self.unit is None or other.unit is None else self.unit
        return Stock(EXACT.add(self.long, other.long), EXACT.add(self.short, other.short), unit)


@dataclass(frozen=True, slots=True)
class Worth:
    """A strategy, an account or the desk as it stands."""

    equity: Decimal | None  # None: a price that it needs is not known, or too old
    balance: Decimal
    held: Mapping[str, Stock]  # of what is not flat
    day_start: Decimal = _ZERO
    peak: Decimal = _ZERO

    @property
    def gross(self) -> Decimal | None:
        return _sum(stock.worth(stock.gross) for stock in self.held.values())

    @property
    def net(self) -> Decimal | None:
        held = self.held.values()
        total = _sum(stock.worth(EXACT.subtract(stock.long, stock.short)) for stock in held)
        return None if total is None else abs(total)


def together(several: Iterable[Worth]) -> Worth:
    """Their sum; what it is measured from is for whoever remembers it to say."""
    equity: Decimal | None = _ZERO
    balance, held = _ZERO, dict[str, Stock]()
    for worth in several:
        balance = EXACT.add(balance, worth.balance)
        equity = _plus(equity, worth.equity)
        for symbol, stock in worth.held.items():
            held[symbol] = held[symbol].plus(stock) if symbol in held else stock
    return Worth(equity, balance, held)


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else EXACT.add(one, other)


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total: Decimal | None = _ZERO
    for value in values:
        total = _plus(total, value)
    return total


# ---- the limits


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that is exceeded, and by what."""

    limit: str
    found: Decimal
    allowed: Decimal
    message: str
    symbols: tuple[str, ...]  # whose positions make it


def breaches(limits: Limits, worth: Worth, names: Iterable[str]) -> Sequence[Breach]:
    """Of the limits of these names, those that are exceeded; in the table's order."""
    asked = set(names)
    found = (find(limits, worth) for name, find in _TABLE if name in asked)
    return [breach for breach in found if breach is not None]


def _daily_loss(limits: Limits, worth: Worth) -> Breach | None:
    if worth.equity is None:
        return None
    lost, most = EXACT.subtract(worth.day_start, worth.equity), limits.max_daily_loss
    message = f"equity {worth.equity}, {worth.day_start} at the day's start"
    message += f", allowed is a loss of {most}"
    return _found("max_daily_loss", lost, most, message, worth) if lost > most else None


def _drawdown(limits: Limits, worth: Worth) -> Breach | None:
    """Compared without a division; a peak of zero or less leaves nothing to risk."""
    equity, peak, most = worth.equity, worth.peak, limits.max_drawdown
    if equity is None or (peak > 0 and peak - equity <= peak * most):
        return None
    message = f"equity {equity} from a peak of {peak}, allowed is {most}"
    fallen = (peak - equity) / peak if peak > 0 else _ONE
    return _found("max_drawdown", fallen, most, message, worth)


def _balance(limits: Limits, worth: Worth) -> Breach | None:
    """The lower of balance and equity, as the check has it."""
    least = limits.min_account_balance
    if worth.equity is None or min(worth.equity, worth.balance) >= least:
        return None
    message = f"balance {worth.balance}, equity {worth.equity}, at least {least}"
    lower = min(worth.equity, worth.balance)
    return _found("min_account_balance", lower, least, message, worth)


def _gross(limits: Limits, worth: Worth) -> Breach | None:
    return _exposure("gross", worth.gross, limits.max_gross_exposure, worth)


def _net(limits: Limits, worth: Worth) -> Breach | None:
    return _exposure("net", worth.net, limits.max_net_exposure, worth)


def _exposure(kind: str, found: Decimal | None, most: Decimal, worth: Worth) -> Breach | None:
    if found is None or found <= most:
        return None
    message = f"{kind} exposure is {found}, allowed is {most}"
    return _found(f"max_{kind}_exposure", found, most, message, worth)


def _concentration(limits: Limits, worth: Worth) -> Breach | None:
    """Of the symbols that are worth too much; compared without a division."""
    equity, most = worth.equity, limits.max_concentration
    if equity is None or not most.is_finite():
        return None
    each = {symbol: stock.worth(stock.gross) for symbol, stock in worth.held.items()}
    beyond = {s: w for s, w in each.items() if w is not None and (equity <= 0 or w > equity * most)}
    if not beyond:
        return None
    symbol = max(beyond, key=lambda name: beyond[name])
    message = f"{symbol} is worth {beyond[symbol]} of an equity of {equity}, allowed is {most}"
    share = beyond[symbol] / equity if equity > 0 else _ONE
    return Breach("max_concentration", share, most, message, tuple(sorted(beyond)))


def _position(limits: Limits, worth: Worth) -> Breach | None:
    """By side, as several strategies are added up; one has one side only."""
    most = limits.max_position_size
    each = {symbol: max(stock.long, stock.short) for symbol, stock in worth.held.items()}
    beyond = {symbol: size for symbol, size in each.items() if size > most}
    if not beyond:
        return None
    symbol = max(beyond, key=lambda name: beyond[name])
    message = f"position of {symbol} is {beyond[symbol]}, allowed is {most}"
    return Breach("max_position_size", beyond[symbol], most, message, tuple(sorted(beyond)))


def _found(name: str, found: Decimal, allowed: Decimal, message: str, worth: Worth) -> Breach:
    return Breach(name, found, allowed, message, tuple(sorted(worth.held)))


_TABLE: tuple[tuple[str, Callable[[Limits, Worth], Breach | None]], ...] = (
    ("max_daily_loss", _daily_loss),
    ("max_drawdown", _drawdown),
    ("min_account_balance", _balance),
    ("max_position_size", _position),
    ("max_gross_exposure", _gross),
    ("max_net_exposure", _net),
    ("max_concentration", _concentration),
)
CAN_BE_BREACHED = frozenset(name for name, _ in _TABLE)
OF_A_DAY = frozenset(("max_daily_loss",))  # what the next day measures anew


def kept(held: Decimal, share: Decimal, instrument: Instrument) -> Decimal:
    """What is left of a position when that share of it is closed, in whole lots."""
    closed = instrument.quantity(EXACT.multiply(abs(held), share))
    return EXACT.subtract(held, closed.copy_sign(held))


def excess(held: Decimal, most: Decimal) -> Decimal:
    """How much of a position is beyond that one, signed like it; of the other side, all of it."""
    if held * most < 0:
        return held
    beyond = max(_ZERO, EXACT.subtract(abs(held), abs(most)))
    return beyond.copy_sign(held)


def measured_from(worth: Worth, day_start: Decimal, peak: Decimal) -> Worth:
    return replace(worth, day_start=day_start, peak=peak)
