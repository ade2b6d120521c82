"""What policies of a story say of several strategies together, and which checks they leave out."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import model_standings
import world_pools
from trading.scopes import Level, Scope
from trading.standings import Standing

if TYPE_CHECKING:
    from desk_draws import Scene

BTC, ETH = "BTCUSDT", "ETHUSDT"
ACCOUNTS = ("default", "other")
_TOTALS: Mapping[str, Sequence[Any]] = {
    "max_order_value": ["150", "400"],
    "max_daily_loss": ["5", "50"],
    "max_drawdown": ["0.0002", "0.002"],
    "min_account_balance": ["20000", "40000", "120000"],
    "max_orders_per_second": [0, 1, 3],
    "max_orders_per_minute": [2, 10],
    "max_open_orders": [1, 3, 6],
    "max_concentration": ["0.002", "0.02"],
}
_BREACHED = ("max_daily_loss", "max_drawdown", "min_account_balance", "max_concentration")
_OF_A_SYMBOL: Mapping[str, Sequence[Any]] = {
    **{name: _TOTALS[name] for name in _TOTALS if name.startswith("max_order")},
    "max_daily_loss": ["5", "50"],
    "max_open_orders": [1, 3],
    "max_position_size": ["2", "4", "8"],
    "max_gross_exposure": ["300", "900"],
}
_AT_RISK: Mapping[str, Sequence[Any]] = {
    "max_value_at_risk": ["0", "3", "20"],
    "max_correlation": ["0.3", "0.95"],
}


def _some(r: Random, values: Mapping[str, Sequence[Any]], share: float) -> dict[str, Any]:
    return {name: r.choice(each) for name, each in values.items() if r.random() < share}


def totals(r: Random) -> dict[str, Any]:
    """Of an account or the desk: some limits, and what is done about those that have been met."""
    limits = _some(r, _TOTALS, 0.3)
    actions = {name: action(r, name) for name in _BREACHED if name in limits and r.random() < 0.6}
    found: dict[str, Any] = {"limits": limits, **({"actions": actions} if actions else {})}
    if r.random() < 0.6:
        found["self_trade"] = r.choice(["allow", "refuse"])
    return found


def action(r: Random, limit: str) -> dict[str, Any]:
    found: dict[str, Any] = {"action": r.choice(["alert", "pause", "reduce", "stop"])}
    if found["action"] == "reduce":
        found["share"] = r.choice(["0.3", 1])
    if limit == "max_daily_loss" and r.random() < 0.7:
        found["untilNextDay"] = True
    return found


def accounts(r: Random) -> dict[str, Any]:
    return {name: totals(r) for name in ACCOUNTS if r.random() < 0.4}


def day(r: Random) -> dict[str, Any]:
    """Mostly the same: of several, nobody opens anything."""
    return {"hour": 6} if r.random() < 0.25 else {}


def symbols(r: Random) -> dict[str, Any]:
    return {name: {"limits": _some(r, _OF_A_SYMBOL, 0.25)} for name in (BTC, ETH)}


def at_risk(r: Random) -> dict[str, Any]:
    return {"limits": _some(r, _AT_RISK, 0.4)}


def accounts_at_risk(r: Random) -> dict[str, Any]:
    return {name: at_risk(r) for name in ACCOUNTS if r.random() < 0.4}


_CHECKS = (
    "allowed_symbols", "blocked_symbols", "stale_price", "min_confidence", "max_order_value",
    "max_position_size", "max_daily_loss", "max_drawdown", "min_account_balance",
    "max_orders_per_second", "max_orders_per_minute", "max_price_deviation", "max_open_orders",
    "max_gross_exposure", "max_net_exposure", "max_concentration", "max_value_at_risk",
    "max_correlation",
)  # fmt: skip


def bypass(r: Random) -> list[str]:
    if r.random() < 0.1:
        return ["max_fun"]  # nobody can read that; limits and actions beside it hold
    return r.sample(_CHECKS, r.choice([3, 9, 18]))


def _standing(r: Random) -> dict[str, Any]:
    return {"standing": r.choice(["active", "reducing", "halted"]), "reason": "news"}


def desk_stands(r: Random) -> dict[str, Any]:
    return _standing(r) if r.random() < 0.1 else {"standing": "active"}


def accounts_stand(r: Random) -> dict[str, Any]:
    return {name: _standing(r) for name in ACCOUNTS if r.random() < 0.15}


def symbols_stand(r: Random) -> dict[str, Any]:
    return {name: _standing(r) for name in (BTC, ETH) if r.random() < 0.2}


async def people_stand(r: Random, scene: "Scene") -> None:
    """Somebody halts a part of the desk, or takes it back."""
    if "standings" in scene.features:
        world = scene.world
        for scope in model_standings.by_people(world.model):
            if r.random() < 0.7:
                world_pools.stand(world, scope, Standing.ACTIVE)
        level = r.choice([Level.STRATEGY, Level.SYMBOL, Level.ACCOUNT])
        names = {Level.STRATEGY: list(world.seats), Level.SYMBOL: [BTC, ETH]}
        scope = Scope(level, r.choice(names.get(level, ACCOUNTS)))
        if r.random() < 0.4:
            world_pools.stand(world, scope, r.choice([Standing.REDUCING, Standing.HALTED]))
            scene.count(f"standing: {level}")


def allow_live(r: Random) -> bool:
    return r.random() < 0.7


def joined(one: Any, other: Any) -> Any:
    """What both say; of several strategies they name different limits."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    both = {name: joined(one[name], other[name]) for name in one.keys() & other.keys()}
    return {**one, **other, **both}
