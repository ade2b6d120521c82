"""What a slow reading of decision 0013 says of `reduce` and `stop`: what is cancelled and closed at
each tick, until nothing is left. Tries and waits are of one life; all else follows from the facts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

import model_breaches
import model_venues
from trading.ids import signal_id
from trading.signals import Cause, OrderType, Side, Signal

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact

ZERO = Decimal(0)
CLOSES = ("reduce", "stop")
PATIENCE_S, FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 0.5, 30.0


@dataclass
class Lowering:
    """Of one strategy, in one life of the gateway."""

    tries: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by symbol
    next_at: dict[str, float] = field(default_factory=dict)
    seen_at: dict[str, float] = field(default_factory=dict)  # by order

    def begin_anew(self) -> None:
        self.tries.clear()
        self.next_at.clear()


def tick(model: "DeskModel", now: float, unwritten: Iterable["Fact"]) -> None:
    """Of breaches that are on disk, the next thing that can be done."""
    fresh = [id(each) for each in unwritten]
    acting = [
        each
        for each in model_breaches.in_force(model).values()
        if each["action"] in CLOSES and id(each["fact"]) not in fresh
    ]
    done = {
        name: _go_on(model, name, mine, now)
        for name in model.strategies()
        if (mine := [each for each in acting if model_breaches.covers(model, each["scope"], name)])
    }
    for breach in acting:
        if breach["action"] == "stop":
            covered = model_breaches.covered(model, breach["scope"])
            _stand(model, breach, flat=all(done[name] for name in covered))


def _stand(model: "DeskModel", breach: "Fact", *, flat: bool) -> None:
    standing = "halted" if flat else "reducing"
    if breach["standing"] != standing:
        model.note("stood", scope=breach["scope"], limit=breach["limit"], standing=standing)


def _go_on(model: "DeskModel", name: str, mine: list["Fact"], now: float) -> bool:
    """Whether nothing is left that could be done."""
    beyond = dict(_beyond(model, name, mine))
    all_of_it = bool(beyond) or any(each["action"] == "stop" for each in mine)
    at_work = model.orders_at_work(name)
    _cancel(model, name, at_work, now, all_of_it=all_of_it)
    if any(each.own and each.strategy == name for each in model.submissions):
        return False
    if at_work and all_of_it:
        return False
    for symbol, quantity in beyond.items():
        _close(model, name, symbol, quantity, now)
    return all(is_too_little(model, *each) for each in beyond.items())


def _beyond(model: "DeskModel", name: str, mine: list["Fact"]) -> Iterator[tuple[str, Decimal]]:
    """Signed like what is held: the most that any of them asks to close."""
    for symbol in sorted(model.symbols(name)):
        held, most = model.position(name, symbol), ZERO
        for each in mine:
            stops = each["action"] == "stop"
            left = ZERO if stops else each["kept"].get(name, {}).get(symbol, held)
            too_much = abs(held) if left * held < 0 else max(ZERO, abs(held) - abs(left))
            most = max(most, too_much)
        if most:
            yield symbol, most if held > 0 else -most


def _cancel(
    model: "DeskModel", name: str, at_work: dict[str, "Fact"], now: float, *, all_of_it: bool
) -> None:
    seen = model.lowering[name].seen_at
    for gone in seen.keys() - at_work.keys():
        del seen[gone]
    for key, order in at_work.items():
        since = seen.setdefault(key, now)
        theirs = all_of_it or not order["closing"]
        asked = now - since >= PATIENCE_S if order["own"] else theirs
        if asked and model.is_open(order) and key not in model.cancels_unanswered():
            model.note("cancel_wanted", id=key)


def _close(model: "DeskModel", name: str, symbol: str, quantity: Decimal, now: float) -> None:
    if not is_due(model, name, symbol, quantity, model.lowering[name], now):
        return
    before = [each for each in model.of("closes", name) if each["symbol"] == symbol]
    signal = closing(model, symbol, quantity, signal_id(name, "breach", symbol, 0, len(before)))
    key = f"own|{signal.id}"
    model.note("closes", strategy=name, symbol=symbol, by=key)
    model.take(name, key, [signal], own=True)


def is_due(
    model: "DeskModel", name: str, symbol: str, held: Decimal, mine: Lowering, now: float
) -> bool:
    """Whether an order may close it now; the next one then has to wait."""
    if is_too_little(model, symbol, held) or model.halted_for(name, symbol):
        return False
    if not model_venues.may_close(model, name, symbol) or now < mine.next_at.get(symbol, now):
        return False
    mine.next_at[symbol] = now + min(FIRST_WAIT_S * 2 ** mine.tries[symbol], LONGEST_WAIT_S)
    mine.tries[symbol] += 1
    return True


def closing(model: "DeskModel", symbol: str, held: Decimal, id_: str) -> Signal:
    latest = [each for each in model.heard() if each["symbol"] == symbol and each["price"]]
    at_ns = latest[-1]["at_ns"] if latest else model.wall_ns
    return Signal(
        id=id_,
        symbol=symbol,
        side=Side.SELL if held > 0 else Side.BUY,
        quantity=abs(held),
        cause=Cause(symbol, "", 0, at_ns),
        at_ns=at_ns,
        order_type=OrderType.MARKET,
        priority=10,
        closing=True,
    )


def is_too_little(model: "DeskModel", symbol: str, quantity: Decimal) -> bool:
    """No order could close it."""
    instrument = model.instruments.get(symbol)
    if instrument is None:
        return True
    lots = abs(quantity) // instrument.lot_size * instrument.lot_size
    if not lots or lots < instrument.min_quantity:
        return True
    price = model.latest(symbol)
    worth = lots * price.mid * instrument.contract_multiplier if price else None
    return worth is not None and worth < instrument.min_notional
