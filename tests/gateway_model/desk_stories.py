"""Stories of a whole desk, by chance: what happens, how often, and how it is told again.

A story is a list of steps, each the name of what happens and a seed for its details. Details depend
on nothing but that seed and the world as it stands, so any part of a story is a story: what fails
is shrunk by leaving steps out.
"""

import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

from desk_world import DeskWorld, Seat
from handover.messages import Batch
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES
from stratops_wire.scalars import REASONS as CODES
from trading.fills import Fill
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Action, Cause, OrderType, Side, Signal, TimeInForce

Step = tuple[str, int]
Story = Sequence[Step]
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
BTC, ETH = "BTCUSDT", "ETHUSDT"
SHM = Path("/dev/shm")  # where there is one: a commit that a disk would make wait for it
D = Decimal


@dataclass
class Scene:
    """A world, and what the story needs to go on with it."""

    world: DeskWorld
    bids: dict[str, float] = field(default_factory=lambda: {BTC: 100.0, ETH: 50.0})

    def count(self, what: str) -> None:
        self.world.happened[what] += 1

    def seats(self) -> list[Seat]:
        return [each for each in self.world.seats.values() if each.runner is not None]


# ---- what is drawn


def content(r: Random, policy: str = "") -> dict[str, Any]:
    """Limits are mostly wide: what is refused for everything shows nothing."""
    return {
        "symbols": r.choice([[BTC], [BTC, ETH], [BTC, ETH], [BTC, ETH, "SOLUSDT"]]),
        "mode": r.choice(["simulation"] * 9 + ["observation"]),
        "capital": {"amount": r.choice(["10000", "20000", "100000"]), "currency": "USDT"},
        "limits": limits(r),
        "policy": policy,
    }


_WIDE: Mapping[str, Any] = {
    "max_order_value": "1000000",
    "max_daily_loss": "1000000",
    "max_drawdown": "1",
    "min_account_balance": "0",
    "max_orders_per_second": 1_000,
    "max_orders_per_minute": 1_000,
}
_TIGHT: Mapping[str, Sequence[Any]] = {
    "max_order_value": ["150", "400"],
    "max_position_size": ["2", "5"],
    "max_daily_loss": ["5", "50"],
    "max_drawdown": ["0.001", "0.01"],
    "min_account_balance": ["9990", "19990"],
    "max_orders_per_second": [0, 1, 3],
    "max_orders_per_minute": [2, 10],
    "min_confidence": ["0.3", 0.9],
    "max_gross_exposure": ["300", "900"],
    "max_net_exposure": ["200", "700"],
    "max_concentration": ["0.01", "0.1"],
    "max_open_orders": [1, 3],
    "max_price_deviation": ["0.02", "0.1"],
    "allowed_symbols": [[BTC], [ETH], [BTC, ETH]],
    "blocked_symbols": [[BTC], [ETH]],
}


def limits(r: Random, share: float = 0.08) -> dict[str, Any]:
    tight = {name: r.choice(values) for name, values in _TIGHT.items() if r.random() < share}
    return {**_WIDE, **tight}


def policy(r: Random) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if r.random() < 0.5:
        spec["limits"] = {n: r.choice(v) for n, v in _TIGHT.items() if r.random() < 0.1}
    if r.random() < 0.05:
        spec["limits"] = {"max_fun": 1}  # nobody can read that
    if r.random() < 0.06:
        spec |= {"halted": True, "reason": "news"}
    return spec


def quote(r: Random, scene: Scene, symbol: str) -> tuple[float, float]:
    """A walk, with a leap now and then."""
    step = r.choice([-1.5, -0.5, 0.0, 0.5, 1.0]) if r.random() < 0.9 else r.choice([-20.0, 20.0])
    scene.bids[symbol] = min(300.0, max(10.0, scene.bids[symbol] + step))
    return scene.bids[symbol], scene.bids[symbol] + r.choice([0.0, 0.5, 1.0])


def pass_moment(r: Random, scene: Scene) -> None:
    """Mostly a part of a second; also a long wait, into the next day, or back."""
    world, chance = scene.world, r.random()
    if chance < 0.9:
        world.go_on(r.randrange(1, SECOND_NS // 2))
    elif chance < 0.96:
        world.go_on(r.randrange(6, 90) * SECOND_NS)
        scene.count("clock: a long wait")
    elif chance < 0.98:
        world.go_on(DAY_NS - world.now_ns % DAY_NS + r.choice([-1, 0, 1]))
        scene.count("clock: midnight")
    else:
        world.step_clock(r.choice([-1, 1, -24]) * 3_600 * SECOND_NS)
        scene.count("clock: stepped")


def message(r: Random, scene: Scene, symbol: str = "") -> Cause:
    """One more of the feed, on its way."""
    symbol = symbol or r.choice([BTC, BTC, ETH])
    kind = "tick" if r.random() < 0.9 else "trade"
    pass_moment(r, scene)
    price = quote(r, scene, symbol) if kind == "tick" else None
    sequence = scene.world.publish(symbol, kind, price)
    return Cause(symbol, kind, sequence, scene.world.now_ns)


def some_price(r: Random, scene: Scene, symbol: str) -> Decimal:
    near = D(str(scene.bids.get(symbol, 100.0)))
    return near + r.choice([D(-10), D(-1), D("-0.5"), D(0), D("0.5"), D(1), D(10)])


def order(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    symbol = cause.symbol if r.random() < 0.85 else r.choice([BTC, ETH])
    kind = r.choice([OrderType.MARKET] * 4 + list(OrderType))
    price = some_price(r, scene, symbol)
    stops = kind in (OrderType.STOP, OrderType.STOP_LIMIT)
    priced = kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) or (
        kind is OrderType.MARKET and r.random() < 0.1
    )
    return Signal(
        id=scene.world.next_id(seat),
        symbol=symbol,
        cause=cause,
        at_ns=cause.at_ns,
        side=r.choice(list(Side)),
        order_type=kind,
        quantity=D(r.choice(["0.5", "1", "1", "2", "3.00001"])),
        price=price if priced else None,
        stop_price=some_price(r, scene, symbol) if stops else None,
        time_in_force=r.choice(list(TimeInForce)),
        priority=r.choice([5, 5, 5, 1, 10]),
        max_slippage=D(r.choice(["0", "0.001", "0.01"])) if r.random() < 0.1 else None,
        confidence=D(r.choice(["0.2", "0.5", "0.7", "1"])) if r.random() < 0.2 else None,
        expires_ns=cause.at_ns + r.choice([-1, 0, 1, 10**10]) if r.random() < 0.1 else None,
    )


def closing(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """Of what is held, all or a part; also of nothing, or more than there is."""
    signal = order(r, scene, seat, cause)
    held = scene.world.model.position(seat.name, signal.symbol)
    side = Side.SELL if held > 0 else Side.BUY
    part = r.choice([D(1), D(1), D("0.5"), D(2)])
    quantity = abs(held) * part or D(1)
    return replace(signal, side=side, quantity=quantity, closing=r.random() < 0.7)


def cancelling(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    model = scene.world.model
    mine = list(model.orders(seat.name))[-8:]
    others = list(model.orders())[-3:]
    key = r.choice(mine or others or ["nothing-0"])
    key = r.choice(others) if others and r.random() < 0.1 else key
    signal = order(r, scene, seat, cause)
    return replace(signal, action=Action.CANCEL, cancels=key.rpartition("-")[0])


def wrong(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """With one field that cannot be."""
    limit = {"order_type": OrderType.LIMIT, "stop_price": None}
    change: dict[str, Any] = r.choice(
        [
            {"symbol": "DOGEUSDT"},
            {"symbol": "SOLUSDT"},
            {"quantity": D(0)},
            {"quantity": D("NaN")},
            {"quantity": D("-1")},
            {"quantity": D("1e16")},
            {"quantity": D("0.00001")},
            {"confidence": D(2)},
            {"max_slippage": D("-0.1")},
            {**limit, "price": None},
            {**limit, "price": D(-5)},
            {**limit, "price": D("99.999")},
            {"order_type": OrderType.MARKET, "stop_price": D(100)},
            {"order_type": OrderType.STOP, "price": D(100), "stop_price": D(100)},
        ]
    )
    return replace(order(r, scene, seat, cause), **change)


def again(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    """An id that was decided before, by whomever."""
    decided = [each["signal"] for each in scene.world.model.facts if each["is"] == "decided"]
    signal = order(r, scene, seat, cause)
    return replace(signal, id=r.choice(decided[-12:])) if decided else signal


_SIGNALS: Sequence[tuple[str, Callable[[Random, Scene, Seat, Cause], Signal], int]] = (
    ("order", order, 50),
    ("closing", closing, 20),
    ("cancel", cancelling, 12),
    ("wrong", wrong, 12),
    ("again", again, 4),
)


def some_signal(r: Random, scene: Scene, seat: Seat, cause: Cause) -> Signal:
    (name, make, _) = r.choices(_SIGNALS, [each[2] for each in _SIGNALS])[0]
    scene.count(f"signal: {name}")
    return make(r, scene, seat, cause)


def some_signals(r: Random, scene: Scene, seat: Seat, cause: Cause) -> list[Signal]:
    many = r.choice([1, 1, 1, 2, 3])
    made = [some_signal(r, scene, seat, cause) for _ in range(many)]
    if many > 1 and r.random() < 0.1:
        made[-1] = replace(made[-1], id=made[0].id)
        scene.count("signal: twice in a batch")
    return made


# ---- what happens


async def tick(r: Random, scene: Scene) -> None:
    message(r, scene)
    scene.world.deliver_messages()


async def lost_tick(r: Random, scene: Scene) -> None:
    """The runner sees it, the gateway never does."""
    message(r, scene)
    scene.world.deliver_messages() if r.random() < 0.3 else None
    if scene.world.under_way:
        scene.world.deliver_message(lost=True)
        scene.count("message: lost")


async def bad_message(r: Random, scene: Scene) -> None:
    """Dropped at the door: sequences that go back, sides that cross, other symbols."""
    world = scene.world
    world.deliver_messages()
    heard = [each["sequence"] for each in world.model.heard() if each["stream"] == f"{BTC}/tick"]
    if not heard:
        return
    usual = {"type": "tick", "symbol": BTC, "session": world.session, "timestamp": world.now_ns}
    prices = {"bid_price": 77.0, "ask_price": 78.0}
    bad = [
        {**usual, **prices, "sequence": heard[-1]},
        {**usual, "bid_price": 9.0, "ask_price": 8.0, "sequence": heard[-1] + 1},
        {**usual, **prices, "symbol": "XRPUSDT", "sequence": 1},
    ]
    world.feed_what_is_dropped(r.choice(bad))


async def decide(r: Random, scene: Scene) -> None:
    """A strategy, on a tick that is here."""
    for seat in _some_seats(r, scene, 1):
        cause = message(r, scene)
        scene.world.deliver_messages()
        if cause.type == "tick" and r.random() < 0.03:  # the gateway has its own word for that
            cause = replace(cause, at_ns=cause.at_ns + r.choice([-1, 1]) * DAY_NS)
            scene.count("cause: of another time")
        scene.world.decide(seat, some_signals(r, scene, seat, cause))
        scene.world.drain()


async def decide_together(r: Random, scene: Scene) -> None:
    """Several strategies on one tick, and perhaps a fill in between."""
    world = scene.world
    cause = message(r, scene)
    world.deliver_messages()
    for seat in _some_seats(r, scene, 3):
        world.decide(seat, some_signals(r, scene, seat, cause))
    if world.fills and r.random() < 0.3:
        await _deliver(scene, world.fills.pop(0))
    world.drain()


async def decide_ahead(r: Random, scene: Scene) -> None:
    """On a message that the gateway has not heard yet, or on one that it lost."""
    for seat in _some_seats(r, scene, 1):
        cause = message(r, scene)
        if r.random() < 0.3:
            scene.world.deliver_message(lost=True)
            scene.count("cause: lost")
        if r.random() < 0.3:  # later ones of the stream are here
            message(r, scene, cause.symbol)
            scene.world.deliver_messages()
        scene.world.decide(seat, some_signals(r, scene, seat, cause))
        scene.world.drain()


async def flood(r: Random, scene: Scene) -> None:
    """More than the queue holds."""
    for seat in _some_seats(r, scene, 1):
        cause = message(r, scene)
        scene.world.deliver_messages()
        first = replace(order(r, scene, seat, cause), symbol="DOGEUSDT")
        more = [replace(first, id=scene.world.next_id(seat)) for _ in range(1_003)]
        scene.world.decide(seat, [first, *more, some_signal(r, scene, seat, cause)])
        scene.world.drain()


async def submit(r: Random, scene: Scene) -> None:
    """A tool's signal, now and then of another epoch or of nobody's."""
    seat = r.choice(list(scene.world.seats.values()))
    cause = message(r, scene)
    scene.world.deliver_messages()
    signal = some_signal(r, scene, seat, cause)
    epoch = seat.runner.epoch if seat.runner else 0
    wanted = "" if seat.runner else Reason.NOT_GRANTED
    if seat.runner and r.random() < 0.2:
        epoch, wanted = epoch + r.choice([-1, 1]), Reason.FENCED
    refused = scene.world.submit(seat, signal, epoch) or ""
    scene.world._same("a tool's signal at the fence", wanted, refused)
    seat.fenced += refused == Reason.FENCED
    scene.world.drain()


async def fenced(r: Random, scene: Scene) -> None:
    """Of another epoch, or from a run that was replaced."""
    for seat in _some_seats(r, scene, 1):
        assert seat.runner is not None
        signals = tuple(some_signals(r, scene, seat, message(r, scene)))
        scene.world.deliver_messages()
        mark = seat.runner.mark()
        epoch = seat.runner.epoch + r.choice([-1, 1])
        batch = Batch(epoch, seat.runner.number + 1, mark, signals)
        await scene.world.fenced(seat, seat.runner, batch)


async def replaced(r: Random, scene: Scene) -> None:
    """The one before wakes up, and connects once more to say what it decided."""
    for seat in _some_seats(r, scene, 1):
        former = seat.former
        if former is None or former.sent is None or former.epoch == seat.runner.epoch:  # type: ignore[union-attr]  # is there
            continue
        strategy = scene.world.strategy(seat)
        if strategy.grants.runners and any(
            each.instance == former.instance for each in strategy.grants.runners
        ):
            signals = tuple(some_signals(r, scene, seat, message(r, scene)))
            scene.world.deliver_messages()
            batch = Batch(former.epoch, former.number + 1, former.mark(), signals)
            former.strategy = strategy
            if any(e.instance == former.instance and e.connected for e in strategy.grants.runners):
                await scene.world.fenced(seat, former, batch)


async def went_back(r: Random, scene: Scene) -> None:
    """A run decides what was decided before: refused, and its grant ends."""
    for seat in _some_seats(r, scene, 1):
        runner, world = seat.runner, scene.world
        assert runner is not None
        if _waits(world, seat):
            await world.pass_time(1.2)
        await world.prove(seat)
        decided = [
            (stream, last) for stream, last in seat.floor.items() if stream in world.published
        ]
        if not decided or runner.sent is None or runner.sent.mark.session != world.session:
            continue  # another run of the feed decides anew
        stream, last = r.choice(decided)
        symbol, _, kind = stream.partition("/")
        cause = Cause(symbol, kind, r.randrange(1, last + 1), world.now_ns)
        runner.count += 1
        signals = (order(r, scene, seat, cause),)
        epoch = runner.epoch
        await world.fenced(seat, runner, Batch(epoch, runner.number + 1, runner.mark(), signals))
        for _ in range(6):
            await world.quiet()
        world._same("the epoch after one that went back", epoch + 1, runner.epoch)
        world._armed(seat, "")
        world._armed(seat, runner.revision)
        runner.decide()
        scene.count("fence: went back")


async def repeat(r: Random, scene: Scene) -> None:
    for seat in _some_seats(r, scene, 1):
        if seat.runner and seat.runner.number and seat.runner.sent is not None:
            await scene.world.repeat(seat)


async def wait(r: Random, scene: Scene) -> None:
    await scene.world.pass_time(r.choice([0.3, 1.2]))


async def session(r: Random, scene: Scene) -> None:
    """Another run of the replay, whose time begins elsewhere."""
    world = scene.world
    if any(_waits(world, seat) for seat in world.seats.values()):
        await world.pass_time(1.2)
    world.deliver_messages()
    number = int(world.session.partition("-")[2]) + 1
    world.session = f"run-{number}"
    world.step_clock(-r.choice([0, 60, 3_600]) * SECOND_NS)


# ---- the venue


async def leave(r: Random, scene: Scene) -> None:
    """The next order, or cancel, goes out: and what becomes of the call."""
    world = scene.world
    if not world.leaving:
        return
    leaving = world.leave()
    if leaving is None:
        scene.count("call: held back")
        return
    if leaving.request is None:
        _cancel(r, scene, leaving)
        return
    chance = r.random()
    key = leaving.client_order_id
    if chance < 0.07:
        scene.count("call: never arrived")
        world.unanswered(leaving)
        return
    if chance < 0.12:
        scene.count("call: refused")
        world.refused(leaving)
        return
    rejects = r.random() < 0.08
    world.venue.take(leaving.request, OrderState.REJECTED if rejects else OrderState.ACCEPTED)
    if chance < 0.2:
        scene.count("call: answer lost")
        world.unanswered(leaving)
    else:
        scene.count("call: answered")
        _answer_later(r, scene, leaving, world.venue.statement(key))


def _cancel(r: Random, scene: Scene, leaving: Any) -> None:
    world, chance = scene.world, r.random()
    if chance < 0.1:
        scene.count("cancel: never arrived")
        world.unanswered(leaving)
        return
    answer = world.venue.cancelled(leaving.client_order_id)
    if chance < 0.2:
        scene.count("cancel: answer lost")
        world.unanswered(leaving)
    else:
        scene.count("cancel: answered")
        _answer_later(r, scene, leaving, answer)


def _answer_later(r: Random, scene: Scene, leaving: Any, answer: pb.OrderResponse) -> None:
    if answer.state == ORDER_STATES.number(OrderState.REJECTED) and r.random() < 0.3:
        answer.reason = CODES.number(Reason.NO_PRICE)  # type: ignore[assignment]  # the stubs' own enum type
    if r.random() < 0.6:
        scene.world.answered(leaving, answer)
    else:
        scene.world.answers.append((leaving, answer))


async def answer(r: Random, scene: Scene) -> None:
    """One that was under way, in whatever order; it may say what was true a while ago."""
    world = scene.world
    if world.answers:
        leaving, stated = world.answers.pop(r.randrange(len(world.answers)))
        if r.random() < 0.03:
            stated.state = 0  # type: ignore[assignment]  # as above
            scene.count("answer: garbled")
        world.answered(leaving, stated)


async def trade(r: Random, scene: Scene) -> None:
    """Something of an order at the venue is filled; nobody has been told yet."""
    world = scene.world
    there = [key for key, each in world.venue.orders_.items() if each.is_open]
    if not there:
        return
    key = r.choice(there)
    left = world.venue.orders_[key].left
    part = r.choice([left, left, D("0.3"), left / 2])
    if r.random() < 0.02:
        part = left + 1
        scene.count("trade: more than ordered")
    lot = D("0.00001")
    quantity = max(lot, part // lot * lot)
    if quantity < left:
        scene.count("trade: in part")
    price = D(str(scene.bids[world.venue.orders_[key].request.symbol]))
    world.fills.append(world.venue.trade(key, quantity, price, world.now_ns))


async def deliver(r: Random, scene: Scene) -> None:
    """A fill comes, in whatever order."""
    fills = scene.world.fills
    if fills:
        place = 0 if r.random() < 0.8 else r.randrange(len(fills))
        await _deliver(scene, fills.pop(place))


async def _deliver(scene: Scene, fill: Fill) -> None:
    known = scene.world.model.orders().get(fill.client_order_id)
    if known is not None and known["state"] in ("cancelled", "rejected", "expired", "filled"):
        scene.count("fill: late")
    scene.world.delivered.append(fill)
    await scene.world.fill(fill)


async def fill_again(r: Random, scene: Scene) -> None:
    delivered = scene.world.delivered
    if delivered:
        await scene.world.fill(r.choice(delivered), r.choice(delivered))


async def foreign_fill(r: Random, scene: Scene) -> None:
    """Of no order of ours, or one that contradicts the order that it names."""
    world = scene.world
    name = r.choice([*world.seats, "nobody"])
    orders = list(world.model.orders())
    named = r.choice(orders) if orders and r.random() < 0.4 else r.choice(["", "theirs-0"])
    made = Fill(
        fill_id=f"foreign/{r.random()}",
        client_order_id=named,
        strategy=name,
        symbol=r.choice([BTC, ETH]) if r.random() < 0.97 else "DOGEUSDT",
        side=r.choice(list(Side)),
        price=D(100),
        quantity=D(r.choice(["0.5", "1"])),
        fee=D(0),
        at_ns=world.now_ns,
    )
    scene.count("fill: foreign")
    await _deliver(scene, made)


async def venue_ends(r: Random, scene: Scene) -> None:
    """The venue ends an order by itself; the gateway learns of it when it asks."""
    there = [key for key, each in scene.world.venue.orders_.items() if each.is_open]
    if there:
        ends = [OrderState.EXPIRED, OrderState.CANCELLED, OrderState.REJECTED]
        scene.world.venue.end(r.choice(there), r.choice(ends))


async def settle(r: Random, scene: Scene) -> None:
    await scene.world.settle()


async def venue_away(r: Random, scene: Scene) -> None:
    scene.world.venue_goes(away=True)


async def venue_back(r: Random, scene: Scene) -> None:
    scene.world.venue_goes(away=False)


# ---- bounds, revisions, lives


async def halt(r: Random, scene: Scene) -> None:
    source = r.choice(["operator", "file"])
    scene.count(f"halt: {source}")
    scene.world.halt(source)


async def resume(r: Random, scene: Scene) -> None:
    for source in ("operator", "file"):
        if source in scene.world.model.halts() and r.random() < 0.8:
            scene.world.resume(source)


async def change_policy(r: Random, scene: Scene) -> None:
    name = r.choice(["main", "other"])
    gone = r.random() < 0.2
    scene.count("policy: removed" if gone else "policy: changed")
    scene.world.change_policy(name, None if gone else policy(r))


async def list_policies(r: Random, scene: Scene) -> None:
    """As the API server has them: mostly nobody is halted."""
    scene.world.list_policies({name: policy(r) for name in ("main", "other") if r.random() < 0.9})


async def calm(r: Random, scene: Scene) -> None:
    """Whatever bounded the desk is taken back."""
    world = scene.world
    for source in world.model.halts() & {"operator", "file"}:
        world.resume(source)
    world.list_policies({"main": {}, "other": {}})
    world.venue_goes(away=False)


async def deploy(r: Random, scene: Scene) -> None:
    """Another revision, or one from before: in force as far as it tightens."""
    seat = r.choice(list(scene.world.seats.values()))
    if r.random() < 0.2:
        revision = r.choice(list(seat.contents))
        scene.count("deploy: one from before")
        scene.world.deploy(seat.name, revision, seat.contents[revision])
    else:
        revision = f"r{len(seat.contents) + 1}"
        made = content(r, r.choice(["", "main", "main", "other"]))
        scene.world.deploy(seat.name, revision, made)


async def hand_over(r: Random, scene: Scene) -> None:
    """To a runner of the wanted revision."""
    seat = r.choice(list(scene.world.seats.values()))
    if seat.runner is not None and seat.armed == seat.wanted:
        await deploy_to(r, scene, seat)
    if seat.runner is not None and seat.armed != seat.wanted:
        if _waits(scene.world, seat):
            await scene.world.pass_time(1.2)
        await scene.world.arm(seat)
        scene.count("grant: switched")


async def deploy_to(r: Random, scene: Scene, seat: Seat) -> None:
    revision = f"r{len(seat.contents) + 1}"
    scene.world.deploy(seat.name, revision, content(r, r.choice(["", "main", "other"])))
    await scene.world.quiet()


async def lose_runner(r: Random, scene: Scene) -> None:
    for seat in _some_seats(r, scene, 1):
        await scene.world.prove(seat)
        await scene.world.lose_runner(seat)


async def come_back(r: Random, scene: Scene) -> None:
    """A new runner where nobody is armed."""
    for seat in scene.world.seats.values():
        if seat.runner is None:
            await scene.world.arm(seat)
            scene.count("grant: fresh")


async def restart(r: Random, scene: Scene) -> None:
    if any(_waits(scene.world, seat) for seat in scene.world.seats.values()):
        scene.count("restart: with signals waiting")
    await scene.world.restart()


def _some_seats(r: Random, scene: Scene, most: int) -> list[Seat]:
    there = scene.seats()
    return r.sample(there, min(len(there), most))


def _waits(world: DeskWorld, seat: Seat) -> bool:
    return any(each.strategy == seat.name for each in world.model.submissions)


Happening = Callable[[Random, Scene], Awaitable[None]]
HAPPENINGS: Mapping[str, tuple[Happening, float]] = {
    "tick": (tick, 8),
    "lost_tick": (lost_tick, 1),
    "bad_message": (bad_message, 1),
    "decide": (decide, 30),
    "decide_together": (decide_together, 5),
    "decide_ahead": (decide_ahead, 2),
    "flood": (flood, 0.01),
    "submit": (submit, 3),
    "fenced": (fenced, 1),
    "replaced": (replaced, 1),
    "went_back": (went_back, 0.2),
    "repeat": (repeat, 1),
    "wait": (wait, 0.5),
    "session": (session, 0.3),
    "leave": (leave, 25),
    "answer": (answer, 8),
    "trade": (trade, 14),
    "deliver": (deliver, 16),
    "fill_again": (fill_again, 2),
    "foreign_fill": (foreign_fill, 1),
    "venue_ends": (venue_ends, 1),
    "settle": (settle, 4),
    "venue_away": (venue_away, 0.5),
    "venue_back": (venue_back, 2),
    "halt": (halt, 0.5),
    "resume": (resume, 4),
    "change_policy": (change_policy, 1),
    "list_policies": (list_policies, 0.5),
    "calm": (calm, 3),
    "deploy": (deploy, 0.8),
    "hand_over": (hand_over, 0.8),
    "lose_runner": (lose_runner, 0.1),
    "come_back": (come_back, 1),
    "restart": (restart, 0.5),
}
NAMES = list(HAPPENINGS)
_WEIGHTS = [weight for _, weight in HAPPENINGS.values()]
# For who chooses evenly. A flood takes a second: it is left to the seeded stories.
WEIGHED = [name for name in NAMES if name != "flood" for _ in range(ceil(4 * HAPPENINGS[name][1]))]

# What a run of a million must have met, or the generator does not do what it says.
DETAILS = (
    "answer: garbled", "call: answer lost", "call: answered", "call: held back",
    "call: never arrived", "call: refused", "cancel: answer lost", "cancel: answered",
    "cancel: never arrived", "cause: lost", "cause: of another time", "clock: a long wait",
    "clock: midnight",
    "clock: stepped", "deploy: one from before", "fence: went back", "fill: counted",
    "fill: foreign", "fill: late", "fill: repeated", "fill: stray", "grant: fresh",
    "grant: switched", "halt: file", "halt: operator", "message: lost", "policy: changed",
    "policy: removed", "restart: with signals waiting", "signal: again", "signal: cancel",
    "signal: closing", "signal: order", "signal: twice in a batch", "signal: wrong",
    "trade: in part", "trade: more than ordered",
)  # fmt: skip
# Reasons that this desk never gives: no such caller gets this far, nothing here pauses or warms up,
# a journal that cannot be written ends the process, and a venue's rejection is an outcome.
_NOT_HERE = {
    Reason.PAUSED, Reason.UNKNOWN_CALLER, Reason.UNKNOWN_STRATEGY, Reason.JOURNAL_UNAVAILABLE,
    Reason.NOT_WARM, Reason.VENUE_REJECTED,
}  # fmt: skip
REASONS = ("accepted", *(each.value for each in Reason if each not in _NOT_HERE))
_RARE = {"flood", "queue_full"}


def some_story(r: Random, steps: int) -> list[Step]:
    names = r.choices(NAMES, _WEIGHTS, k=steps)
    return [(name, r.randrange(2**32)) for name in names]


# ---- telling one


async def begin(folder: Path, seed: int) -> Scene:
    """A desk with two or three strategies that trade."""
    r = Random(seed)
    world = DeskWorld(folder, market_clock=r.random() < 0.7, asks_for_policies=r.random() < 0.5)
    scene = Scene(world)
    if r.random() < 0.9:
        world.list_policies({"main": {}, "other": policy(r)})
    for n in range(r.choice([2, 2, 3])):
        name = f"s{n + 1}"
        world.deploy(name, "r1", content(r, r.choice(["", "main"])))
        await world.quiet()
        await world.arm(world.seats[name])
    world.compare()
    return scene


async def happen(scene: Scene, step: Step) -> None:
    """One step, and the comparison behind it."""
    name, seed = step
    scene.count(name)
    await HAPPENINGS[name][0](Random(seed), scene)
    await scene.world.quiet()
    scene.world.compare()


async def finish(scene: Scene) -> None:
    """All that is under way arrives: then ledger, venue and journal agree too."""
    world = scene.world
    await calm(Random(0), scene)
    await world.pass_time(1.2)
    while world.fills:
        await _deliver(scene, world.fills.pop(0))
    world.compare()
    world.answers.clear()
    await world.restart()
    world.compare()


@dataclass
class Result:
    steps: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def note(self, scene: Scene) -> None:
        self.happened += scene.world.happened
        self.reasons += scene.world.reasons

    def __str__(self) -> str:
        parts = (self.happened, self.reasons)
        lines = (", ".join(f"{k} {n}" for k, n in sorted(part.items())) for part in parts)
        return "\n".join((f"{self.steps} events", *lines))


def never_happened(result: Result, *, rare: bool = True) -> set[str]:
    """What the generator claims, and did not do."""
    met = {*result.happened, *result.reasons}
    return {*NAMES, *DETAILS, *REASONS} - met - (set() if rare else _RARE)


async def tell(story: Story, seed: int, result: Result | None = None) -> None:
    """Raises Differs. `seed` is that of the beginning."""
    result = result or Result()
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        scene = await begin(Path(folder), seed)
        try:
            for step in story:
                await happen(scene, step)
                result.steps += 1
            await finish(scene)
        finally:
            result.note(scene)
            scene.world.close()


async def shrunk(story: Story, seed: int) -> list[Step]:
    """The fewest steps, by leaving out, that still fail in the same way."""
    kept, size = list(story), max(1, len(story) // 2)
    while size:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if await _fails(fewer, seed):
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


async def _fails(story: Story, seed: int) -> bool:
    try:
        await tell(story, seed)
    except Exception:  # noqa: BLE001  # whatever it is: there is something to look at
        return True
    return False
