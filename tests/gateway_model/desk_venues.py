"""Several venues in a story: routes by symbol or account that move over a restart."""

from random import Random
from typing import TYPE_CHECKING

from model_venues import EVERYTHING, Route
from trading import routes

if TYPE_CHECKING:
    from desk_draws import Scene

BTC, ETH, OTHER = frozenset(["BTCUSDT"]), frozenset(["ETHUSDT"]), frozenset(["other"])
NOTHING: frozenset[str] = frozenset()
NAMES = ("main", "b")
_ROUTES = (
    (Route("main", None, BTC), Route("b", None, ETH)),
    (Route("main", None, BTC), Route("b", None, ETH)),
    (Route("main", None, ETH), Route("b", None, BTC)),
    (Route("main", frozenset(["default"])), Route("b", OTHER)),
    (Route("main", NOTHING), Route("b")),
    (Route("main", None, BTC), Route("b", None, NOTHING)),
    EVERYTHING,
)


def some_routes(r: Random) -> tuple[Route, ...]:
    return r.choice(_ROUTES)


def table(chosen: tuple[Route, ...]) -> routes.Routes:
    return routes.Routes(routes.Route(*each) for each in chosen)


async def reroute(r: Random, scene: "Scene") -> None:
    """A gateway does not start without a venue that has orders of it."""
    if "venues" not in scene.features:
        return
    world, chosen = scene.world, some_routes(r)
    orders = world.model.orders()
    there = {each["venue"] for each in orders.values() if world.model.is_at_work(each)}
    if there <= {each.venue for each in chosen}:
        scene.count("venues: a venue is gone" if chosen == EVERYTHING else "venues: routes moved")
        world.driver.routes, world.next_routes = table(chosen), chosen
        await world.restart()
