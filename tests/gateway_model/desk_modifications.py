"""Modifications in a story: signals that ask for them, what a venue makes of them, and how the
desk's word is compared with the model's.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import model_modifications
from model_modifications import Terms
from risk_gateway.lanes import Leaving
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_STATES, REASONS
from trading.orders import Modification, Order
from trading.signals import Action, Cause, OrderType, Signal, TimeInForce

if TYPE_CHECKING:
    from desk_draws import Scene
    from desk_world import DeskWorld, Seat

D = Decimal


# ---- what is asked for


def resting(r: Random, scene: "Scene", seat: "Seat", cause: Cause, order: Signal) -> Signal:
    """A limit order that may be there for a while."""
    price = order.price or D(str(scene.bids[order.symbol])) + r.choice([D(-5), D(0), D(5)])
    return replace(
        order,
        order_type=OrderType.LIMIT,
        price=price,
        stop_price=None,
        time_in_force=TimeInForce.GTC,
    )


def modifying(r: Random, scene: "Scene", seat: "Seat", cause: Cause, order: Signal) -> Signal:
    """Mostly of an order at work, its strategy's own; also of any, or with terms that cannot be."""
    model = scene.world.model
    mine = model.orders(seat.name)
    limits = [k for k, e in mine.items() if model.is_open(e) and e["type"] == "limit"]
    if not limits and r.random() < 0.8:
        return resting(r, scene, seat, cause, order)
    anything = [*list(mine)[-5:], *list(model.orders())[-3:], "nothing-0"]
    key = r.choice(limits) if limits and r.random() < 0.9 else r.choice(anything)
    known = model.orders().get(key)
    near = known["price"] if known and known["price"] is not None else D(100)
    quantities = ["0", "0", "0.3", "1", "1", "2", "4", "-1", "0.00000001"]
    quantities += [] if "prune" in scene.features else ["NaN"]  # what the wire lets nobody say
    prices = [None, None, near, near + 1, near - 1, near - 9, near + 9, near + D("0.001"), D(-1)]
    return replace(
        order,
        action=Action.MODIFY,
        modifies=key.rpartition("-")[0],
        symbol=known["symbol"] if known and r.random() < 0.97 else order.symbol,
        order_type=OrderType.MARKET,
        stop_price=None,
        closing=r.random() < 0.05,
        quantity=D(r.choice(quantities)),
        price=r.choice(prices),
    )


# ---- at the venue


def leave(r: Random, scene: "Scene", leaving: Leaving) -> bool:
    """Whether it was a modification that left; what became of the call is done."""
    world, asked = scene.world, leaving.modification
    if asked is None:
        return False
    chance, key = r.random(), leaving.client_order_id
    if chance < 0.1 or key not in world.venue.orders_:
        scene.count("modify: the call was wrong")
        world.refused(leaving)
        return True
    if chance < 0.25:
        scene.count("modify: never arrived")
        world.late_copies.append((key, asked))
        world.unanswered(leaving)
        return True
    answer = world.venue.modified(key, asked, takes=r.random() < 0.85)
    taken = (D(answer.quantity), D(answer.price)) == (asked.quantity, asked.price)
    scene.count("modify: taken" if taken else "modify: not taken")
    if chance < 0.4:
        scene.count("modify: answer lost")
        world.unanswered(leaving)
    elif chance < 0.8:
        world.answered(leaving, answer)
    else:
        world.answers.append((leaving, answer))
    return True


async def late_copy(r: Random, scene: "Scene") -> None:
    """A call that nobody waits for any more reaches the venue."""
    copies = scene.world.late_copies
    if copies:
        scene.world.venue.modified(*copies.pop(r.randrange(len(copies))))
        scene.count("modify: a late copy")


# ---- the same of both


def says(world: "DeskWorld", answer: pb.OrderResponse) -> None:
    """Before what it says of the order's state."""
    state, reason = ORDER_STATES.maybe(answer.state), REASONS.maybe(answer.reason)
    if state is not None:
        terms = Terms(answer.modification, D(answer.quantity or 0), D(answer.price or 0))
        model_modifications.said(world.model, answer.client_order_id, state, terms, reason)


def may_leave(world: "DeskWorld", leaving: Leaving) -> bool:
    terms = _terms(leaving)
    return model_modifications.may_leave(world.model, leaving.client_order_id, terms)


def unanswered(world: "DeskWorld", leaving: Leaving) -> None:
    """Or an answer that does not say."""
    if leaving.modification is not None:
        world.model.note("asked_lost", id=leaving.client_order_id, terms=_terms(leaving))


def refused(world: "DeskWorld", leaving: Leaving) -> None:
    key = leaving.client_order_id
    asked = model_modifications.under_way(world.model, key)
    if leaving.modification is not None and asked and asked["terms"] == _terms(leaving):
        model_modifications.refuse(world.model, key, "venue_rejected")


async def settle(world: "DeskWorld", venue: str) -> None:
    """The venue is asked what it decided; what it has not is overtaken by the terms as they are."""
    expected = world.at(venue, model_modifications.unanswered(world.model))
    world.venue.asked.clear()
    await world.settlers[venue]._settle_modifications()
    seen = {key for _, key, _ in world.venue.asked}
    world.same("modifications that are asked for", expected, seen)
    for call, key, answer in world.venue.asked:
        asked = model_modifications.under_way(world.model, key)
        undecided = call == "order" and asked and answer
        if answer is None or (undecided and answer.modification < asked["terms"].number):  # type: ignore[index]  # it is there
            continue  # the next call is of the same order
        world.happened["modify: overtaken" if call == "modify" else "modify: asked for"] += 1
        world._says(world.model.orders()[key]["strategy"], answer)


def _terms(leaving: Leaving) -> Terms:
    assert leaving.modification is not None
    return terms_of(leaving.modification)


def terms_of(asked: Modification) -> Terms:
    return Terms(asked.number, asked.quantity, asked.price)


def left(leaving: Leaving) -> str:
    """What of it left."""
    if leaving.modification is not None:
        return model_modifications.text(terms_of(leaving.modification))
    request = leaving.request
    if request is None:
        return "cancel"
    return model_modifications.order_text(reduces=request.reduce_only, rests=request.post_only)


def seen(orders: Mapping[str, Order]) -> Any:
    """As the model has it."""
    return {
        key: (
            each.quantity,
            each.closing,
            each.modification,
            terms_of(each.asked) if each.asked else None,
            each.venue,
            each.post_only,
        )
        for key, each in orders.items()
    }
