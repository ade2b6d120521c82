"""What happens to a desk: one function each, its details drawn from one chance.

Market and signals first, then the venue, then what bounds the desk and who trades on it.
"""

from dataclasses import replace
from random import Random
from typing import Any

import desk_modifications
import model_breaches
from desk_draws import (
    BTC,
    DAY_NS,
    ETH,
    SECOND_NS,
    D,
    Scene,
    content,
    message,
    modifying,
    order,
    policies,
    policy,
    quote,
    resting,
    said_of,
    some_signal,
    some_signals,
)
from desk_world import DeskWorld, Seat
from handover.messages import Batch
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES
from stratops_wire.scalars import REASONS as CODES
from trading.fills import Fill
from trading.orders import OrderState
from trading.reasons import Reason
from trading.signals import Cause, Side


async def tick(r: Random, scene: Scene) -> None:
    message(r, scene)
    scene.world.deliver_messages()


async def market_runs(r: Random, scene: Scene) -> None:
    """Long enough for samples, in the stories that look at them; then they decide."""
    if "samples" not in scene.features:
        return
    for _ in range(r.randrange(20, 60)):
        scene.world.go_on(r.choice([SECOND_NS // 2, SECOND_NS // 2, SECOND_NS]))
        for symbol in (BTC, ETH) if r.random() < 0.95 else (BTC,):
            scene.world.publish(symbol, "tick", quote(r, scene, symbol))
        scene.world.deliver_messages()
    for _ in range(4):
        await decide_together(r, scene)
        await scene.world.quiet()


async def change_orders(r: Random, scene: Scene) -> None:
    """Limit orders, then other terms for them, as far as a few turns let the venue in."""
    from desk_busts import bust

    if "modifications" not in scene.features:
        return
    for make in r.choice([(resting, modifying), (modifying, resting), (modifying, modifying)]):
        turns = r.choices(_TURNS, [12, 4, 4, 3, 3, 1, 1], k=6)
        if "busts" in scene.features:
            turns = [each for turn in turns for each in (turn, *([bust] * (turn is deliver)))]
        there = _some_seats(r, scene, 3)
        if make is modifying:
            there.sort(key=lambda seat: -_limits_open(scene, seat))
        for seat in there[:1]:
            cause = message(r, scene)
            scene.world.deliver_messages()
            signals = [make(r, scene, seat, cause)]
            if r.random() < 0.2:  # its verdict is written when that message is there
                signals.append(order(r, scene, seat, message(r, scene)))
                turns = r.choice([turns, [trade, venue_ends, settle, wait, restart]])
            scene.world.decide(seat, signals)
            scene.world.drain()
            await scene.world.quiet()
            scene.world.compare()
        for turn in turns:
            await turn(r, scene)
            await scene.world.quiet()
            scene.world.compare()


async def look(r: Random, scene: Scene) -> None:
    """The gateway looks at what is held, where a policy says what a breach does."""
    if scene.acts:
        before = len(scene.world.model.by_kind["of breaches"])
        if r.random() < 0.5:  # tightened while something is held
            scene.world.change_policy("main", {**policy(r), **said_of(r, scene)})
        if scene.closes and r.random() < 0.3:  # a stop leaves nothing to breach
            await lift(r, scene)
        if r.random() < 0.25:
            scene.world.go_on(r.choice([6, 12, 24]) * 3_600 * SECOND_NS)
        message(r, scene)
        scene.world.deliver_messages()
        await scene.world.pass_time(0.3)
        closed = len(scene.world.model.by_kind["closes"])
        if scene.closes:
            await _carried_out(r, scene)
        scene.world.happened["breach: closed"] += len(scene.world.model.by_kind["closes"]) - closed
        for fact in scene.world.model.by_kind["of breaches"][before:]:
            what = fact.get("standing") or fact.get("action") or f"taken back by {fact['because']}"
            scene.count(f"breach: {what}")
            scene.count(f"breach: of {fact['scope'].level}")


async def _carried_out(r: Random, scene: Scene) -> None:
    """What a breach asks for, as far as the venue lets it in a few turns."""
    await scene.world.pass_time(0.1)
    for _ in range(r.choice([0, 1, 3])):
        await settle(r, scene)
        scene.world.compare()
        while scene.world.leaving:
            await leave(r, scene)
        while scene.world.answers:
            await answer(r, scene)
        await trade(r, scene)
        while scene.world.fills:
            await deliver(r, scene)
        await scene.world.pass_time(r.choice([0.1, 0.6, 1.2, 11.0]))
        if r.random() < 0.1:
            await restart(r, scene)
            await scene.world.pass_time(0.1)


async def lift(r: Random, scene: Scene) -> None:
    scopes = {scope: None for scope, _ in model_breaches.in_force(scene.world.model)}
    for scope in scopes:
        if r.random() < 0.7:
            scene.world.lift(scope)


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
        await bring(scene, world.fills.pop(0))
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
    if seat.runner and r.random() < 0.2:  # judged together, by priority
        scene.world.decide(seat, some_signals(r, scene, seat, cause))
    refused = scene.world.submit(seat, signal, epoch) or ""
    scene.world.same("a tool's signal at the fence", wanted, refused)
    seat.fenced += refused == Reason.FENCED
    scene.world.drain()
    if r.random() < 0.15:  # nobody says anything before the gateway is killed
        await restart(r, scene)


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
        world.same("the epoch after one that went back", epoch + 1, runner.epoch)
        world.armed(seat, "")
        world.armed(seat, runner.revision)
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
    if desk_modifications.leave(r, scene, leaving):
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
    _arrives(r, scene, leaving)
    if chance < 0.2:
        scene.count("call: answer lost")
        world.unanswered(leaving)
    else:
        scene.count("call: answered")
        _answer_later(r, scene, leaving, world.venue.statement(key))


def _arrives(r: Random, scene: Scene, leaving: Any) -> None:
    rejects = r.random() < 0.08
    state = OrderState.REJECTED if rejects else OrderState.ACCEPTED
    scene.world.venue.take(leaving.request, state, leaving.venue)
    if leaving.request.post_only and r.random() < 0.5:  # else it meets its first quote later
        _stays(scene, leaving.client_order_id)


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
    if world.venue.turns_round(key):
        world.venue.end(key, OrderState.REJECTED)
        world.venue.orders_[key].reason = Reason.REDUCING_ONLY
        scene.count("trade: it would not only reduce")
        return
    if not _stays(scene, key):
        return
    left = world.venue.orders_[key].left
    part = r.choice([left, left, D("0.3"), left / 2])
    if r.random() < 0.02:
        part = left + 1
        scene.count("trade: more than ordered")
    lot = D("0.00001")
    quantity = max(lot, part // lot * lot)
    if quantity < left:
        scene.count("trade: in part")
    there_at = world.venue.orders_[key]
    price = there_at.terms.price if there_at.rests else _touch(scene, key)
    charged_in = r.choice(_CHARGED) if scene.world.currency else ""
    world.fills.append(world.venue.trade(key, quantity, price, world.now_ns, charged_in))


def _stays(scene: Scene, key: str) -> bool:
    """Whether it is still there when it has met a quote; one that may only rest may not be."""
    venue = scene.world.venue
    was_open = venue.has_open(key)
    stays = venue.stays(key, _touch(scene, key))
    if was_open and venue.orders_[key].request.post_only:
        scene.count("post only: it rests" if stays else "post only: it would take")
    return stays


def _touch(scene: Scene, key: str) -> Any:
    return D(str(scene.bids.get(scene.world.venue.orders_[key].request.symbol, 100.0)))


async def deliver(r: Random, scene: Scene) -> None:
    """A fill comes, in whatever order."""
    fills = scene.world.fills
    if fills:
        place = 0 if r.random() < 0.8 else r.randrange(len(fills))
        await bring(scene, fills.pop(place))


async def bring(scene: Scene, fill: Fill) -> None:
    known = scene.world.model.orders().get(fill.client_order_id)
    if known is not None and known["state"] in ("cancelled", "rejected", "expired", "filled"):
        scene.count("fill: late")
    if known is not None and scene.world.model.is_gone(fill.client_order_id):
        scene.count("fill: of records that are gone")
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
    await bring(scene, made)


async def venue_ends(r: Random, scene: Scene) -> None:
    """The venue ends an order by itself; the gateway learns of it when it asks."""
    there = [key for key, each in scene.world.venue.orders_.items() if each.is_open]
    if there:
        ends = [OrderState.EXPIRED, OrderState.CANCELLED, OrderState.REJECTED]
        scene.world.venue.end(r.choice(there), r.choice(ends))


async def settle(r: Random, scene: Scene) -> None:
    await scene.world.settle()


async def venue_away(r: Random, scene: Scene) -> None:
    scene.world.venue_goes(r.choice(list(scene.world.settlers)), away=True)


async def venue_back(r: Random, scene: Scene) -> None:
    for name in tuple(scene.world.model.away):
        scene.world.venue_goes(name, away=False)


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
    scene.world.change_policy(name, None if gone else {**policy(r), **said_of(r, scene)})


async def list_policies(r: Random, scene: Scene) -> None:
    """As the API server has them: mostly nobody is halted."""
    specs = {name: policy(r) for name in ("main", "other") if r.random() < 0.9}
    scene.world.list_policies(policies(r, scene, specs))


async def calm(r: Random, scene: Scene) -> None:
    """Whatever bounded the desk is taken back."""
    world = scene.world
    for source in world.model.halts() & {"operator", "file"}:
        world.resume(source)
    world.list_policies(policies(r, scene, {"main": {}, "other": {}}))
    await venue_back(r, scene)


async def deploy(r: Random, scene: Scene) -> None:
    """Another revision, or one from before: in force as far as it tightens."""
    seat = r.choice(list(scene.world.seats.values()))
    if r.random() < 0.2:
        revision = r.choice(list(seat.contents))
        scene.count("deploy: one from before")
        scene.world.deploy(seat.name, revision, seat.contents[revision])
        return
    revision = f"r{len(seat.contents) + 1}"
    made = content(r, scene, r.choice(["", "main", "main", "other"]))
    if scene.world.currency and r.random() < 0.2:
        made["capital"]["currency"] = "EUR"
        scene.world.does_not_deploy(seat.name, revision, made)
        scene.count("deploy: capital in another currency")
    else:
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
    scene.world.deploy(seat.name, revision, content(r, scene, r.choice(["", "main", "other"])))
    await scene.world.quiet()


async def lose_runner(r: Random, scene: Scene) -> None:
    for seat in _some_seats(r, scene, 1):
        await scene.world.prove(seat)
        await scene.world.lose_runner(seat)


async def cancel_all(r: Random, scene: Scene) -> None:
    await scene.world.cancel_all(r.choice(list(scene.world.seats.values())))


async def withdraw(r: Random, scene: Scene) -> None:
    """And what is then done for it, as far as a few turns let the venue in; mostly back again."""
    if "withdrawals" not in scene.features:
        return
    seat = r.choice(list(scene.world.seats.values()))
    if _waits(scene.world, seat):
        await scene.world.pass_time(1.2)
    if seat.runner is not None:
        await scene.world.prove(seat)
    if seat.runner is None or not _waits(scene.world, seat):
        flatten = r.random() < 0.75
        scene.count("withdrawn: flattened" if flatten else "withdrawn: as it is")
        await scene.world.withdraw(seat, flatten=flatten)
        scene.world.compare()
        made = len(scene.world.model.by_kind["flattens"])
        await _carried_out(r, scene)
        made = len(scene.world.model.by_kind["flattens"]) - made
        scene.world.happened["withdrawn: closed"] += made
    if r.random() < 0.5:
        await deploy_again(r, scene)


async def deploy_again(r: Random, scene: Scene) -> None:
    for seat in scene.world.seats.values():
        if not seat.wanted and r.random() < 0.7:
            revision = r.choice(list(seat.contents))
            scene.world.deploy(seat.name, revision, seat.contents[revision])
            await scene.world.quiet()
            scene.count("deploy: after a withdrawal")
    await come_back(r, scene)


async def come_back(r: Random, scene: Scene) -> None:
    """A new runner where nobody is armed."""
    for seat in scene.world.seats.values():
        if seat.runner is None and seat.wanted:
            await scene.world.arm(seat)
            scene.count("grant: fresh")


async def prune(r: Random, scene: Scene) -> None:
    if "prune" in scene.features and not any(_waits(scene.world, s) for s in scene.seats()):
        await scene.world.prune()
        scene.count("journal: pruned")


async def restart(r: Random, scene: Scene) -> None:
    if any(_waits(scene.world, seat) for seat in scene.world.seats.values()):
        scene.count("restart: with signals waiting")
    await scene.world.restart()


_CHARGED = [""] * 30 + ["USDT", "BTC", "ETH"] * 4 + ["BNB"]  # the last has no rate, ever
_TURNS = [leave, answer, trade, deliver, settle, venue_ends, restart]


def _some_seats(r: Random, scene: Scene, most: int) -> list[Seat]:
    there = scene.seats()
    return r.sample(there, min(len(there), most))


def _limits_open(scene: Scene, seat: Seat) -> int:
    orders = scene.world.model.orders_at_work(seat.name).values()
    return sum(each["type"] == "limit" for each in orders)


def _waits(world: DeskWorld, seat: Seat) -> bool:
    return any(each.strategy == seat.name for each in world.model.submissions)
