"""What the desk and its model say of limits of several strategies together, and of checks that are
left out: whom they bind and how far, what losses are measured from, how many orders are left.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import model_bypass
import model_marks
import model_pools
import model_rates
from trading.scopes import Scope
from trading.standings import Standing

if TYPE_CHECKING:
    from desk_model import Fact
    from desk_world import DeskWorld

_TOTALS = (
    "max_order_value", "max_position_size", "max_daily_loss", "max_drawdown",
    "min_account_balance", "max_orders_per_second", "max_orders_per_minute", "max_open_orders",
    "max_gross_exposure", "max_net_exposure", "max_concentration", "max_value_at_risk",
    "max_correlation",
)  # fmt: skip
_OF_A_SYMBOL = (
    "max_order_value", "max_position_size", "max_daily_loss", "max_orders_per_second",
    "max_orders_per_minute", "max_open_orders", "max_gross_exposure",
)  # fmt: skip
_LEFT_OUT = (
    "allowed_symbols", "blocked_symbols", "stale_price", "min_confidence",
    *(name for name in _TOTALS if name not in ("max_value_at_risk", "max_correlation")),
    "max_price_deviation",
)  # fmt: skip
# What a run of a million must have met.
CLAIMED = {
    *(f"{name} of {level}" for name in _TOTALS for level in ("account", "desk")),
    *(f"{name} of symbol" for name in _OF_A_SYMBOL),
    *(f"bypassed: {name}" for name in _LEFT_OUT),
}
RATES = ("max_orders_per_second", "max_orders_per_minute")


def stand(world: "DeskWorld", scope: Scope, standing: Standing) -> None:
    """By the operator's own word."""
    bounds = world.driver.desk.bounds
    if standing is Standing.ACTIVE:
        bounds.resume("over", scope)
    else:
        bounds.halt("drill", scope, standing)
    world.model.note("people stood", scope=scope, standing=standing.value)


def compare(world: "DeskWorld", news: Sequence["Fact"]) -> None:
    """Raises Differs."""
    for fact in news:
        if fact["is"] == "refused by":
            world.happened[f"{fact['reason']} of {fact['level']}"] += 1
        elif fact["is"] == "bypassed":
            world.happened[f"bypassed: {fact['reason']}"] += 1
    model, state = world.model, world.driver.state
    for name in world.seats:
        wanted = model.terms(name)["bypass"]
        world.same(f"bypass of {name}", wanted, set(state.strategies[name].account.terms.bypass))
    world.same("bound together", _modelled(world), _seen(world))
    bypassed = {str(why): n for (why, what), n in state.counts.checks.items() if what == "bypassed"}
    world.same("bypassed", dict(model_bypass.bypassed(model)), bypassed)
    levels = {(level, str(reason)): n for (level, reason), n in state.counts.levels.items()}
    world.same("refused by", dict(model_bypass.refusals(model)), levels)


def _modelled(world: "DeskWorld") -> dict[str, Any]:
    model, found = world.model, {}
    for scope, limits in model_pools.bounds(model, model.policies()).items():
        marks = model_marks.of_scope(model, scope)
        rates = [name for name in RATES if name in limits]
        found[str(scope)] = {
            **limits,
            "marks": (marks.start, marks.peak, marks.last) if marks else None,
            **{f"{n} left": model_rates.of_scope(model, scope, n, world.now_ns) for n in rates},
        }
    return found


def _seen(world: "DeskWorld") -> dict[str, Any]:
    """The same of the desk."""
    pools, found = world.driver.state.pools, {}
    policies = world.driver.state.policies.bounds
    for scope, bound in pools._bounds.items():
        marks = pools.all_watermarks.get(str(scope))
        left = {"max_orders_per_second": bound.second, "max_orders_per_minute": bound.minute}
        limits = model_pools.limits(world.model, scope)  # which names are written
        found[str(scope)] = {
            **{name: getattr(policies[scope], name) for name in limits},
            "marks": (marks.day_start, marks.peak, marks.equity) if marks else None,
            **{f"{n} left": left[n].left(world.now_ns) for n in RATES if n in limits},
        }
    return found
