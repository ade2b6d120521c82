"""Fills that a venue takes back: in time, before the fill itself, again, and such as cannot be."""

from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from desk_happenings import restart
from trading.fills import Fill

if TYPE_CHECKING:
    from desk_draws import Scene

D = Decimal


async def bust(r: Random, scene: "Scene") -> None:
    if "busts" not in scene.features:
        return
    world = scene.world
    soon = world.fills and r.random() < 0.4
    traded = world.fills[-4:] if soon else world.delivered[-8:]
    for of in r.sample(traded, min(len(traded), r.choice([1, 1, 2]))):
        made = _taking_back(r, scene, of)
        chance = r.random()
        if chance < 0.3:
            world.fills.append(made)
        elif of not in world.fills or chance < 0.6:
            await world.fill(made)
        elif chance < 0.8:
            world.fills.remove(of)
            await world.fill(*r.choice([(of, made), (made, of)]))
        else:
            await _killed_between(r, scene, of, made)


def _taking_back(r: Random, scene: "Scene", of: Fill) -> Fill:
    made = scene.world.venue.bust(of, r.choice([of.fee, of.fee, D(0)]), scene.world.now_ns)
    if r.random() < 0.8:
        return made
    wrong: dict[str, Any] = r.choice(
        [
            {"quantity": of.quantity / 2},
            {"price": of.price + 1},
            {"symbol": "SOLUSDT"},
            {"side": of.side},
            {"busts": "nothing/1"},
            {"strategy": "nobody", "client_order_id": "theirs-0"},  # it is its fill's all the same
        ]
    )
    return replace(made, **wrong)


async def _killed_between(r: Random, scene: "Scene", of: Fill, made: Fill) -> None:
    """Its fill is written, and the gateway dies before the bust that waited for it is."""
    world = scene.world
    world.fills.remove(of)
    await world.fill(made)
    await world.fill(of, dies=True)
    before = len(world.model.by_kind["fill"])
    await restart(r, scene)
    if len(world.model.by_kind["fill"]) > before:
        scene.count("fill: taken back after a kill")
