"""Risk policies: what they allow, whom they halt, and that a restart knows them."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk_driver import DeskDriver, Runner, buy, content, fill
from risk_gateway.content import Mode, parse_content
from risk_gateway.policies import Policies, PolicyChange, parse_policy
from risk_gateway.report import Surroundings, desk_to_proto
from trading.limits import Limits
from trading.routes import Route, Routes
from trading.scopes import DESK
from trading.signals import Side


def naming(policy: str, mode: str = "simulation", **limits: Any) -> str:
    return json.dumps({**json.loads(content(mode, **limits)), "policy": policy})


async def trading(desk: DeskDriver, text: str = "", **policies: Any) -> Runner:
    """An armed runner on a desk that has read these policies."""
    desk.desk.bounds.list_policies(policies)
    return await desk.armed(text or naming("main"))


async def reason_of(runner: Runner, name: str = "x", quantity: str = "1", **more: Any) -> Any:
    """What is said to one more signal, on one more tick."""
    runner.desk.feed_next()
    (verdict,) = await runner.decide(buy(name, runner.count + 1, quantity, **more))
    return verdict.reason


# ---- who may trade


async def test_within_its_policy_a_strategy_trades(bound_desk: DeskDriver) -> None:
    assert await reason_of(await trading(bound_desk, main={})) is None


async def test_without_a_policy_of_its_own_too(bound_desk: DeskDriver) -> None:
    assert await reason_of(await trading(bound_desk, content())) is None


async def test_until_policies_were_read_nothing_is_opened(bound_desk: DeskDriver) -> None:
    runner = await bound_desk.armed(content())
    (verdict,) = await runner.decide(buy("x"))
    assert verdict.reason == "reducing_only"
    assert verdict.message.endswith("risk policies were never read")
    bound_desk.desk.bounds.list_policies({})
    assert await reason_of(runner, "y") is None


async def test_a_policy_that_is_not_there_lets_nothing_be_opened(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, other={})
    (verdict,) = await runner.decide(buy("x"))
    assert verdict.message.endswith("risk policy main does not exist")


async def test_what_only_closes_passes_without_a_policy(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={})
    await reason_of(runner, "x")
    await bound_desk.filled(fill("x"))
    bound_desk.desk.bounds.policy_changed("main", None)
    assert await reason_of(runner, "more") == "reducing_only"
    assert await reason_of(runner, "out", side=Side.SELL) is None
    assert await reason_of(runner, "through", "2", side=Side.SELL) == "reducing_only"


async def test_a_desk_that_asks_for_none_is_bound_by_none(desk: DeskDriver) -> None:
    runner = await trading(desk, naming("main"), main={"halted": True})
    assert await reason_of(runner) is None


@pytest.mark.parametrize(
    ("text", "policy", "why"),
    [
        (content("live"), {}, "mode live needs a risk policy"),
        (naming("main", "live"), {}, "risk policy main does not allow mode live"),
        (naming("main", "live"), {"allowLive": "yes"}, "risk policy main does not allow mode live"),
        (naming("main", "live"), {"allowLive": True}, ""),
        (naming("main"), {"limits": {"max_fun": 1}}, "risk policy main cannot be read: limit"),
        (naming("main"), {"limits": [1]}, "risk policy main cannot be read: limits"),
    ],
)
def test_why_only_closing_is_allowed(text: str, policy: dict[str, Any], why: str) -> None:
    real = parse_content(text).mode is Mode.LIVE
    policies = Policies(asked_for=True, routes=Routes((Route(real=real),)))
    for change in policies.differences({"main": policy}):
        policies.take(change)
    assert policies.objection(parse_content(text)).startswith(why)
    assert bool(policies.objection(parse_content(text))) == bool(why)


# ---- limits


async def test_a_policy_caps_its_strategies(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={"limits": {"max_position_size": 1}})
    assert await reason_of(runner, quantity="2") == "max_position_size"


async def test_a_wider_policy_leaves_them_their_own(bound_desk: DeskDriver) -> None:
    text = naming("main", max_position_size="1")
    runner = await trading(bound_desk, text, main={"limits": {"max_position_size": "5"}})
    assert await reason_of(runner, quantity="2") == "max_position_size"


async def test_a_policy_acts_when_it_changes_both_ways(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={})
    bound_desk.desk.bounds.policy_changed("main", {"limits": {"max_order_value": "1"}})
    assert await reason_of(runner, "x") == "max_order_value"
    bound_desk.desk.bounds.policy_changed("main", {"limits": {"max_order_value": "1e6"}})
    assert await reason_of(runner, "y") is None


async def test_armed_and_wanted_revision_are_both_held_to_their_policies(
    bound_desk: DeskDriver,
) -> None:
    runner = await trading(bound_desk, one={}, main={"limits": {"max_order_value": "1"}})
    await bound_desk.deploy("r2", naming("one"))
    assert await reason_of(runner) == "max_order_value"


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "max_order_value": st.integers(0, 99).map(str),
        "max_drawdown": st.sampled_from(["0", "0.5", "1"]),
        "min_account_balance": st.integers(0, 99),
        "max_orders_per_second": st.integers(0, 99),
        "min_confidence": st.sampled_from([0, 0.5, 1]),
        "blocked_symbols": st.lists(st.sampled_from(["A", "B"]), unique=True),
    },
)


@given(LIMITS, LIMITS)
def test_in_force_is_the_tighter_of_strategy_and_policy(
    mine: dict[str, Any], bound: dict[str, Any]
) -> None:
    policies = Policies(asked_for=True)
    for change in policies.differences({"main": {"limits": bound}}):
        policies.take(change)
    own = parse_content(naming("main", **mine))
    found, limits = policies.capped(own, "main").terms.limits, own.terms.limits
    assert found.max_order_value == min(
        limits.max_order_value, Decimal(bound.get("max_order_value", "Infinity"))
    )
    assert found.min_account_balance == max(
        limits.min_account_balance, Decimal(bound.get("min_account_balance", 0))
    )
    assert found.max_orders_per_second <= limits.max_orders_per_second
    assert found.blocked_symbols >= limits.blocked_symbols | set(bound.get("blocked_symbols", ()))
    assert policies.capped(own, "main") == policies.capped(policies.capped(own, "main"), "main")


def test_a_policy_that_says_nothing_changes_no_limit() -> None:
    policies = Policies(asked_for=True)
    policies.take(PolicyChange("main", {}))
    own = parse_content(naming("main"))
    assert policies.capped(own, "main") == own


# ---- halts


async def test_any_halted_policy_halts_the_desk(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={}, other={"halted": True, "reason": "news"})
    assert await reason_of(runner) == "halted"
    assert bound_desk.state.halted == "policy/other: news"


async def test_a_halt_is_lifted_where_it_was_set(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={"halted": True})
    bound_desk.desk.bounds.halt("drill")
    bound_desk.desk.bounds.resume("")
    assert await reason_of(runner, "x") == "halted"
    bound_desk.desk.bounds.halt("drill")
    bound_desk.desk.bounds.policy_changed("main", {})
    assert bound_desk.state.halts == {"operator": "drill"}
    assert await reason_of(runner, "y") == "halted"
    bound_desk.desk.bounds.resume("")
    assert await reason_of(runner, "z") is None


async def test_a_policy_that_is_deleted_halts_no_more(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={}, other={"halted": True})
    bound_desk.desk.bounds.list_policies({"main": {}})
    assert await reason_of(runner) is None


async def test_orders_on_their_way_out_expire(bound_desk: DeskDriver) -> None:
    runner = await trading(bound_desk, main={})
    await runner.decide(buy("x"))
    bound_desk.desk.bounds.policy_changed("main", {"halted": True})
    assert not bound_desk.desk.execution.may_leave(bound_desk.left[0])


async def test_a_desk_says_who_halts_it_and_who_may_only_close(bound_desk: DeskDriver) -> None:
    await trading(bound_desk, other={"halted": True, "reason": "news"})
    bound_desk.desk.bounds.halt("drill")
    shown = desk_to_proto(bound_desk.desk, Surroundings())
    assert dict(shown.halt_sources) == {"operator": "drill", "policy/other": "news"}
    assert shown.strategies[0].closing_only == "risk policy main does not exist"
    assert shown.strategies[0].policy == "main"


# ---- restarts


async def test_a_restart_knows_the_policies(bound_desk: DeskDriver) -> None:
    specs: dict[str, Any] = {
        "main": {"limits": {"max_order_value": "1"}},
        "other": {"halted": True},
    }
    await trading(bound_desk, main={}, gone={})
    bound_desk.desk.bounds.list_policies(specs)
    before = bound_desk.strategy.account.terms
    await bound_desk.journal.durable()
    state = bound_desk.again().state
    assert (state.policies.specs, state.policies.known) == (specs, True)
    assert state.halts == {"policy/other": "no reason given"}
    assert bound_desk.strategy.account.terms == before


async def test_what_did_not_change_is_not_written(bound_desk: DeskDriver) -> None:
    await trading(bound_desk, main={"halted": False})
    await bound_desk.journal.durable()
    written = bound_desk.journal.written
    bound_desk.desk.bounds.list_policies({"main": {"halted": False}})
    bound_desk.desk.bounds.policy_changed("main", {"halted": False})
    bound_desk.desk.bounds.policy_changed("never", None)
    await bound_desk.journal.durable()
    assert bound_desk.journal.written == written


SPECS = st.dictionaries(st.sampled_from("abc"), st.fixed_dictionaries({"halted": st.booleans()}))


@given(st.lists(SPECS, max_size=5))
def test_differences_lead_from_any_list_to_any_other(lists: list[dict[str, Any]]) -> None:
    policies = Policies(asked_for=True)
    for listed in lists:
        for change in policies.differences(listed):
            policies.take(change)
        assert policies.specs == listed
        assert set(policies.stands) == {
            (DESK, f"policy/{n}") for n, spec in listed.items() if spec["halted"]
        }
        assert not policies.differences(listed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["limits", "allowLive", "halted", "reason"]), JSON))
def test_any_policy_can_be_read_and_allows_nothing_by_mistake(spec: dict[str, Any]) -> None:
    policy = parse_policy(spec)
    assert policy.allow_live in (False, spec.get("allowLive") is True)
    assert policy.halted == (spec.get("halted", False) is not False)
    assert not policy.unreadable or policy.limits == Limits()
