"""Limits and standings of a strategy, a symbol, an account and the desk, on a real journal."""

import json
from decimal import Decimal
from typing import Any, get_args

import pytest

from desk_driver import AMPLE, DeskDriver, Runner, buy, cancel, content, fill
from platform_spec.policy import Bypass
from risk_gateway.desk import NotAllowed, scope_from
from risk_gateway.explanation import explained
from risk_gateway.explanation_text import to_text
from risk_gateway.findings import Result
from risk_gateway.policies import Policies, parse_policy
from risk_gateway.report import Surroundings, desk_to_proto, levels
from stratops_wire import InvalidMessage
from trading.rules import BYPASSABLE
from trading.scopes import DESK, Level, Scope
from trading.signals import Action, OrderType, Side
from trading.standings import Standing

OF_S, OF_BTC = Scope(Level.STRATEGY, "s"), Scope(Level.SYMBOL, "BTCUSDT")
MAIN = Scope(Level.ACCOUNT, "main")


def of(account: str, mode: str = "simulation") -> str:
    return json.dumps({**json.loads(content(mode)), "account": account})


async def crew(desk: DeskDriver, text: str = "", **policies: Any) -> tuple[Runner, Runner]:
    """Strategies `s` and `t` of account `main`, on a desk that has read these policies."""
    desk.desk.bounds.list_policies(policies)
    return await desk.armed(text or of("main")), await desk.armed(text or of("main"), "b", "t")


async def said(runner: Runner, name: str, quantity: str = "1", **more: Any) -> str:
    runner.desk.feed_next()
    (verdict,) = await runner.decide(buy(name, runner.count + 1, quantity, **more))
    return f"{verdict.reason}: {verdict.message}" if verdict.reason else "accepted"


# ---- limits


@pytest.mark.parametrize(
    ("entry", "scope"),
    [
        ({"desk": {"limits": {"max_position_size": "1.5"}}}, "desk"),
        ({"accounts": {"main": {"limits": {"max_position_size": "1.5"}}}}, "account main"),
        ({"symbols": {"BTCUSDT": {"limits": {"max_position_size": "1.5"}}}}, "symbol BTCUSDT"),
    ],
    ids=["desk", "account", "symbol"],
)
async def test_strategies_share_the_room_of_what_they_are_part_of(
    bound_desk: DeskDriver, entry: dict[str, Any], scope: str
) -> None:
    """Of a policy that neither of them names."""
    one, other = await crew(bound_desk, main=entry)
    assert await said(one, "x") == "accepted"
    expected = f"max_position_size: {scope}: position 1.00000 could become 2.00000, allowed is 1.5"
    assert await said(other, "y") == expected
    assert bound_desk.state.counts.levels[scope.split()[0], "max_position_size"] == 1
    assert bound_desk.orders == ["x-0"]


async def test_the_tightest_of_several_policies_holds(bound_desk: DeskDriver) -> None:
    def at_most(size: str) -> dict[str, Any]:
        return {"desk": {"limits": {"max_position_size": size}}}

    one, _ = await crew(bound_desk, wide=at_most("9"), narrow=at_most("1"), none={})
    assert (await said(one, "x", "2")).endswith("allowed is 1")
    bound_desk.desk.bounds.policy_changed("narrow", None)
    assert await said(one, "y", "2") == "accepted"


async def test_what_fills_and_ends_gives_room_back(bound_desk: DeskDriver) -> None:
    limits = {"max_position_size": "1", "max_open_orders": "1"}
    one, other = await crew(bound_desk, main={"desk": {"limits": limits}})
    assert await said(one, "x") == "accepted"
    await bound_desk.filled(fill("x"))
    assert (await said(other, "y")).startswith("max_position_size: desk")
    assert await said(one, "out", side=Side.SELL) == "accepted"
    await bound_desk.filled(fill("out", side=Side.SELL))
    assert await said(other, "z") == "accepted"


async def test_a_restart_knows_what_they_have_together(bound_desk: DeskDriver) -> None:
    limits = {"max_position_size": "5", "max_daily_loss": "50"}
    one, other = await crew(bound_desk, main={"desk": {"limits": limits}})
    await said(one, "x", "3")
    await bound_desk.filled(fill("x", quantity="3"))
    bound_desk.feed_next(90.0)
    await said(other, "y", "1")  # its batch has the desk's watermarks
    pools = bound_desk.state.pools
    before = pools.watermarks(["BTCUSDT"], "main"), pools._of(DESK).lines, pools._of(DESK).funds
    again = bound_desk.again().state.pools
    assert (again.watermarks(["BTCUSDT"], "main"), again._of(DESK).lines) == before[:2]
    assert again._of(DESK).funds == before[2] == 2_000_000
    assert before[0]["desk"].equity < before[0]["desk"].peak


async def test_capital_of_one_that_observes_is_no_money(bound_desk: DeskDriver) -> None:
    await crew(
        bound_desk, of("main", "observation"), main={"desk": {"limits": {"max_drawdown": 1}}}
    )
    assert bound_desk.state.pools._of(DESK).funds == 0


async def test_an_account_stays_with_its_strategy(desk: DeskDriver) -> None:
    await desk.deploy("r1", of("main"))
    with pytest.raises(NotAllowed, match="s: account other, expected main: it stays"):
        await desk.deploy("r2", of("other"))


# ---- self-trade


@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ({}, False),
        ({"main": {"desk": {"self_trade": "allow"}}}, True),
        ({"main": {"accounts": {"main": {"self_trade": "allow"}}}}, True),
        ({"main": {"accounts": {"other": {"self_trade": "allow"}}}}, False),
        (
            {
                "main": {"desk": {"self_trade": "allow"}},
                "other": {"accounts": {"main": {"self_trade": "refuse"}}},
            },
            False,
        ),
        ({"main": {"desk": {"self_trade": "perhaps"}}}, False),
        ({"main": {"symbols": {"BTCUSDT": {"self_trade": "allow"}}}}, False),
    ],
    ids=str,
)
async def test_self_trade_is_refused_unless_policies_agree_to_it(
    bound_desk: DeskDriver, policies: dict[str, Any], allowed: bool
) -> None:
    await crew(bound_desk, **policies)
    assert bound_desk.state.policies.allow_self_trade("main") is allowed


async def test_an_order_that_could_trade_with_anothers_is_refused(desk: DeskDriver) -> None:
    one, other = await crew(desk)
    resting: dict[str, Any] = {
        "order_type": OrderType.LIMIT,
        "price": Decimal(150),
        "side": Side.SELL,
    }
    assert await said(one, "x", **resting) == "accepted"
    assert (await said(other, "y")).startswith("self_trade: account main: could trade with sell")
    assert desk.orders == ["x-0"]


# ---- bypass


def naming_main(mode: str = "simulation") -> str:
    return json.dumps({**json.loads(content(mode, max_order_value="10")), "policy": "main"})


async def test_a_bypassed_check_is_explained_as_left_out(bound_desk: DeskDriver) -> None:
    one, _ = await crew(bound_desk, naming_main(), main={"bypass": ["max_order_value"]})
    assert await said(one, "x") == "accepted"
    found = explained(bound_desk.archive, "x")
    assert {each.result for each in found.checks} == {Result.PASSED}
    assert "order_is_small_enough" not in {each.check for each in found.checks}


async def test_what_a_scope_refused_is_explained_by_its_name(bound_desk: DeskDriver) -> None:
    one, other = await crew(bound_desk, main={"desk": {"limits": {"max_position_size": "1.5"}}})
    await said(one, "x")
    assert (await said(other, "y")).startswith("max_position_size: desk: ")
    found = explained(bound_desk.archive, "y")
    assert {each.result for each in found.checks} == {Result.PASSED}
    assert (found.scope, found.verdict) == ("desk", "max_position_size")
    assert "refused by the desk" in to_text(found)


async def test_a_bypassed_check_lets_pass_and_is_counted_and_shown(bound_desk: DeskDriver) -> None:
    one, _ = await crew(bound_desk, naming_main(), main={"bypass": ["max_order_value"]})
    assert await said(one, "x") == "accepted"
    assert bound_desk.state.counts.checks["max_order_value", "bypassed"] == 1
    shown = desk_to_proto(bound_desk.desk, Surroundings())
    assert list(shown.strategies[0].bypassed) == ["max_order_value"]
    assert ("s", "max_order_value") in levels(bound_desk.desk, None).bypassed
    bound_desk.desk.bounds.policy_changed("main", {})
    assert (await said(one, "y")).startswith("max_order_value: order worth")


@pytest.mark.parametrize(("quantity", "counted"), [("3", 2), ("1", 1)], ids=["more", "less"])
async def test_what_a_bypass_lets_pass_of_a_modification_is_counted_and_recorded(
    bound_desk: DeskDriver, quantity: str, counted: int
) -> None:
    """Of one that asks for more: what asks for less, no limit would have refused."""
    one, _ = await crew(bound_desk, naming_main(), main={"bypass": ["max_order_value"]})
    price = Decimal(90)
    assert await said(one, "x", "2", order_type=OrderType.LIMIT, price=price) == "accepted"
    other_terms = {"action": Action.MODIFY, "modifies": "x", "price": price}
    assert await said(one, "m", quantity, **other_terms) == "accepted"
    assert bound_desk.state.counts.checks["max_order_value", "bypassed"] == counted
    decision = bound_desk.strategy.recent[-1]
    assert decision.signal.id == "m"
    assert decision.bypassed == ("max_order_value",) * (counted - 1)


async def test_a_bypass_of_what_nobody_limits_would_have_refused_nothing(
    bound_desk: DeskDriver,
) -> None:
    names = [name for name in BYPASSABLE if name not in AMPLE]
    one, _ = await crew(bound_desk, naming_main(), main={"bypass": [*names, "max_order_value"]})
    assert await said(one, "x") == "accepted"
    checks = bound_desk.state.counts.checks
    assert [why for why, what in checks if what == "bypassed"] == ["max_order_value"]


async def test_what_is_bypassed_for_a_strategy_still_bounds_the_desk(
    bound_desk: DeskDriver,
) -> None:
    policy = {"bypass": ["max_order_value"], "desk": {"limits": {"max_order_value": 10}}}
    one, _ = await crew(bound_desk, naming_main(), main=policy)
    assert (await said(one, "x")).startswith("max_order_value: desk: ")


async def test_live_bypasses_nothing(bound_desk: DeskDriver) -> None:
    policy = {"bypass": ["max_order_value"], "allowLive": True}
    bound_desk.again(real_venue=True).desk.allow_live = True
    one, _ = await crew(bound_desk, naming_main("live"), main=policy)
    why = "risk policy main bypasses max_order_value, which mode live forbids"
    assert (await said(one, "x")).endswith(why)
    assert bound_desk.strategy.account.terms.bypass == frozenset()


@pytest.mark.parametrize("name", ["halted", "fenced", "unknown_instrument", "self_trade", 3])
def test_what_must_hold_cannot_be_bypassed(name: Any) -> None:
    assert parse_policy({"bypass": [name]}).unreadable.startswith("bypass: ")


def test_the_resource_knows_what_may_be_bypassed() -> None:
    assert set(get_args(Bypass)) == BYPASSABLE


# ---- standings


@pytest.mark.parametrize("scope", [OF_S, OF_BTC, MAIN, DESK], ids=str)
async def test_a_halt_holds_for_what_it_covers(desk: DeskDriver, scope: Scope) -> None:
    one, other = await crew(desk)
    desk.desk.bounds.halt("drill", scope)
    assert await said(one, "x") == f"halted: the {scope} is halted: drill"
    expected = "accepted" if scope == OF_S else f"halted: the {scope} is halted: drill"
    assert await said(other, "y") == expected
    desk.desk.bounds.resume("", scope)
    assert await said(one, "z") == "accepted"


@pytest.mark.parametrize("scope", [OF_S, OF_BTC, MAIN, DESK], ids=str)
async def test_reducing_lets_only_close(desk: DeskDriver, scope: Scope) -> None:
    one, _ = await crew(desk)
    await said(one, "x", "2")
    await desk.filled(fill("x", quantity="2"))
    desk.desk.bounds.halt("drill", scope, Standing.REDUCING)
    assert (await said(one, "more")).endswith(f"may only reduce: the {scope} is reducing: drill")
    assert await said(one, "out", side=Side.SELL) == "accepted"


@pytest.mark.parametrize("scope", [OF_S, OF_BTC, MAIN, DESK], ids=str)
async def test_cancels_pass_whatever_is_halted(desk: DeskDriver, scope: Scope) -> None:
    one, _ = await crew(desk)
    await one.decide(buy("x"))
    desk.desk.bounds.halt("drill", scope)
    desk.feed_next()
    halted, cancelled = await one.decide(buy("y", cause=2), cancel("no", "x", cause=2))
    assert (halted.reason, cancelled.reason) == ("halted", None)


async def test_the_worst_holds_and_each_source_takes_back_its_own(bound_desk: DeskDriver) -> None:
    reducing = {"desk": {"standing": "reducing", "reason": "news"}}
    one, _ = await crew(bound_desk, main=reducing)
    bounds = bound_desk.desk.bounds
    bounds.halt("drill", OF_S)
    assert (await said(one, "x")).startswith("halted: the strategy s is halted: drill")
    bounds.resume("", DESK)  # nothing of the operator's is set there
    bounds.resume("", OF_S)
    assert "the desk is reducing: policy/main: news" in await said(one, "y")
    bounds.policy_changed("main", {})
    assert await said(one, "z") == "accepted"


@pytest.mark.parametrize(
    "entry",
    [
        {"symbols": {"BTCUSDT": {"standing": "halted"}}},
        {"accounts": {"main": {"standing": "halted"}}},
        {"desk": {"standing": "halted"}},
        {"halted": True},
    ],
    ids=str,
)
async def test_a_policy_halts_a_part_or_all(bound_desk: DeskDriver, entry: dict[str, Any]) -> None:
    one, _ = await crew(bound_desk, main=entry)
    assert (await said(one, "x")).endswith("halted: policy/main: no reason given")


async def test_an_order_on_its_way_out_expires_with_the_halt_of_its_part(desk: DeskDriver) -> None:
    one, other = await crew(desk)
    await said(one, "x")
    await said(other, "y")
    desk.desk.bounds.halt("drill", OF_S)
    assert [desk.desk.execution.may_leave(each) for each in desk.left] == [False, True]


async def test_standings_are_known_after_a_restart_and_shown(desk: DeskDriver) -> None:
    await crew(desk)
    for scope in (OF_S, OF_BTC):
        desk.desk.bounds.halt("drill", scope, Standing.REDUCING)
    desk.desk.bounds.halt("drill", MAIN)
    desk.desk.bounds.resume("over", OF_BTC)
    await desk.journal.durable()
    shown = desk_to_proto(desk.again().desk, Surroundings())
    found = {(each.scope, each.standing, each.why) for each in shown.standings}
    assert found == {("strategy s", "reducing", "drill"), ("account main", "halted", "drill")}
    assert shown.halted == ""
    assert shown.strategies[0].account == "main"


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        (Scope(Level.STRATEGY, "q"), "strategy: 'q', expected one of: s, t"),
        (Scope(Level.SYMBOL, "BTC"), "symbol: 'BTC', expected one of: "),
        (Scope(Level.ACCOUNT, "q"), "account: 'q', expected one of: main"),
    ],
    ids=str,
)
async def test_what_is_not_known_cannot_be_halted(
    desk: DeskDriver, scope: Scope, says: str
) -> None:
    await crew(desk)
    with pytest.raises(InvalidMessage, match=says):
        desk.desk.check_known(scope)


def test_a_halt_names_one_part_at_most() -> None:
    assert scope_from("", "", "") == DESK
    with pytest.raises(InvalidMessage, match="strategy s and account a"):
        scope_from("s", "", "a")


# ---- policies that cannot be read


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"desk": 3}, "desk: 3, expected an object"),
        ({"accounts": {"a": 3}}, "accounts.a: 3, expected an object"),
        ({"desk": {"limits": {"max_fun": 1}}}, "limit max_fun: unknown"),
        ({"desk": {"limits": {"min_confidence": 1}}}, "limit min_confidence of the desk: expected"),
        (
            {"symbols": {"B": {"limits": {"max_drawdown": "0.1"}}}},
            "limit max_drawdown of the symbol B: expected one of max_daily_loss, ",
        ),
        ({"desk": {"standing": "resting"}}, "standing of the desk: 'resting', expected one of"),
    ],
    ids=str,
)
def test_what_may_bound_everybody_and_cannot_be_read_lets_nobody_open(
    entry: dict[str, Any], why: str
) -> None:
    policy = parse_policy(entry)
    assert policy.unreadable.startswith(why)
    assert policy.stands[DESK].standing is Standing.REDUCING
    assert parse_policy({**entry, "halted": True}).stands[DESK].standing is Standing.HALTED


@pytest.mark.parametrize("slip", [{"sizing": "all of it"}, {"limits": {"max_fun": 1}}], ids=str)
@pytest.mark.parametrize(
    ("entry", "scope"),
    [
        ({"desk": {"standing": "halted"}}, DESK),
        ({"accounts": {"main": {"standing": "halted"}}}, MAIN),
        ({"symbols": {"BTCUSDT": {"standing": "halted"}}}, OF_BTC),
        ({"symbols": {"BTCUSDT": {"standing": "halted"}, "ETHUSDT": {"standing": 3}}}, OF_BTC),
    ],
    ids=str,
)
def test_a_slip_elsewhere_lifts_no_halt(
    entry: dict[str, Any], scope: Scope, slip: dict[str, Any]
) -> None:
    stands = parse_policy(entry | slip).stands
    assert stands[scope].standing is Standing.HALTED
    assert stands[DESK].standing is not Standing.ACTIVE


def test_a_policy_that_says_nothing_of_several_bounds_none() -> None:
    policies = Policies(asked_for=True)
    for change in policies.differences({"main": {"limits": {"max_order_value": 1}, "desk": {}}}):
        policies.take(change)
    assert (dict(policies.bounds), dict(policies.stands)) == ({}, {})


async def test_a_modification_is_counted_when_it_is_made(bound_desk: DeskDriver) -> None:
    """Not when its order was: what that took has long been refilled."""
    one, _ = await crew(bound_desk, main={"desk": {"limits": {"max_orders_per_second": "1"}}})
    assert await said(one, "x", order_type=OrderType.LIMIT, price=Decimal(90)) == "accepted"
    for _ in range(9):
        bound_desk.feed_next()
    one.count = 10
    more = buy("m", 10, "2", action=Action.MODIFY, modifies="x")
    modified, refused = await one.decide(more, buy("y", 10))
    assert modified.accepted
    assert refused.message.startswith("desk: allowed are 1 a second")
