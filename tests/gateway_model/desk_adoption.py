"""Orders that somebody else sent to a venue of the desk, and starts that take them over."""

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import model_adoption
from hostile_venue import AtVenue, OneVenue
from model_adoption import Foreign
from risk_gateway.adoption import Adoption
from risk_gateway.claims import NotOurs
from risk_gateway.venue import VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire.scalars import ORDER_TYPES, SIDES, TIMES_IN_FORCE, text_of
from trading.signals import OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from desk_draws import Scene

D = Decimal


async def by_hand(r: Random, scene: "Scene") -> None:
    """Somebody sends an order past the desk: mostly one that is a strategy's to look after."""
    if "adoption" not in scene.features:
        return
    world = scene.world
    name = r.choice([*world.seats, *world.seats, "nobody"])
    key = f"hand{len(world.venue.orders_)}-0"
    account = world.accounts.get(name, "default")
    _send(r, scene, key, name, account if r.random() < 0.85 else r.choice(["", "client"]))


def _send(r: Random, scene: "Scene", key: str, name: str, account: str) -> None:
    world = scene.world
    kind = r.choice([OrderType.LIMIT, OrderType.LIMIT, OrderType.STOP, OrderType.MARKET])
    symbol = r.choice(["BTCUSDT", "BTCUSDT", "ETHUSDT", "DOGEUSDT"])
    price = D(str(scene.bids.get(symbol, 100.0)))
    request = pb.OrderRequest(
        client_order_id=key,
        strategy_id=name,
        account=account,
        symbol=symbol,
        side=SIDES.number(r.choice(list(Side))),  # type: ignore[arg-type]  # the stubs' own enum type
        order_type=ORDER_TYPES.number(kind),  # type: ignore[arg-type]  # as above
        time_in_force=TIMES_IN_FORCE.number(r.choice(list(TimeInForce))),  # type: ignore[arg-type]  # as above
        quantity=r.choice(["0.5", "1", "3"]),
        price=text_of(price) if kind is OrderType.LIMIT else "",
        stop_price=text_of(price) if kind is OrderType.STOP else "",
    )
    if "post_only" in scene.features:
        stays = TIMES_IN_FORCE.number(TimeInForce.GTC) == request.time_in_force
        request.post_only = kind is OrderType.LIMIT and stays and r.random() < 0.5
    if key not in world.venue.orders_:
        world.venue.take(request, venue=r.choice(list(world.settlers)))
        scene.count("by hand: an order")


async def adopting_start(r: Random, scene: "Scene") -> None:
    """A restart that adopts; a fill may come before, or before it has asked."""
    from desk_happenings import deliver, tick, trade

    if "adoption" not in scene.features:
        return
    world = scene.world
    for _ in range(r.choice([0, 2, 4])):
        await by_hand(r, scene)
        await r.choice([trade, deliver, tick])(r, scene)
    await world.restart()
    desk = world.driver.desk
    adoption = Adoption(world.driver.state, desk.fill_book)
    desk.fill_book.may_be_placed = True
    if r.random() < 0.5:
        await deliver(r, scene)
    taken = _with_an_id_of_ours(r, scene) if r.random() < 0.5 else ""
    for key, there in list(world.venue.orders_.items()):
        if there.is_open and key not in world.model.orders() and there.venue in world.settlers:
            await _meet(scene, adoption, key, there)
    desk.fill_book.may_be_placed = False
    desk.fill_book.unplaced.clear()
    if taken and taken not in world.model.orders():  # else a venue would take an id twice
        del world.venue.orders_[taken]


def _with_an_id_of_ours(r: Random, scene: "Scene") -> str:
    """That a signal is about to have; adopted at once, or gone."""
    world, seat = scene.world, r.choice(list(scene.world.seats.values()))
    key = f"{seat.name}.{seat.signals + r.choice([1, 2])}-0"
    _send(r, scene, key, seat.name, world.accounts.get(seat.name, "default"))
    return key if key in world.venue.orders_ else ""


async def _meet(scene: "Scene", adoption: Adoption, key: str, there: AtVenue) -> None:
    world = scene.world
    found = _found(key, there)
    try:
        await adoption.adopt(key, OneVenue(world.venue, there.venue, world.model.away))  # type: ignore[arg-type]  # its calls
    except NotOurs:
        adopted = False
    except VenueUnavailable:
        return
    else:
        adopted = True
    await world.quiet()
    scene.count("adoption: taken over" if adopted else "adoption: left as it is")
    world.same(f"{key} is adopted", model_adoption.adopt(world.model, found), adopted)


def _found(key: str, there: AtVenue) -> Foreign:
    request = there.request
    return Foreign(
        key,
        request.strategy_id,
        request.account,
        request.symbol,
        there.venue,
        SIDES.member("side", request.side),
        ORDER_TYPES.member("order_type", request.order_type),
        TIMES_IN_FORCE.member("time_in_force", request.time_in_force),
        there.terms.quantity,
        D(request.price) if request.price else None,
        D(request.stop_price) if request.stop_price else None,
        there.filled,
        request.post_only,
    )
