"""What supervisors ask for: terms, revisions, what tightens at once and what waits."""

import json
from decimal import Decimal
from typing import Any

import pytest

from desk_driver import DeskDriver, buy, content
from handover.messages import Arm, Hello, Release
from risk_gateway.callers import (
    Caller,
    NotPermitted,
    NotWanted,
    Pod,
    Runners,
    UnknownCaller,
    runners_by_pods,
    runners_by_token,
)
from risk_gateway.content import Mode, parse_content, tighter
from risk_gateway.desk import LowerTerm, NotAllowed, deployment_of
from risk_gateway.journal import Record
from stratops_wire import InvalidMessage
from trading.reasons import Reason

RUNNERS = Runners("0" * 64)


async def test_a_lower_term_is_refused(desk: DeskDriver) -> None:
    first = desk.desk.begin_term("one")
    desk.desk.begin_term("another")
    with pytest.raises(LowerTerm, match="term 1, the last one begun is 2"):
        desk.desk.deploy(first, "s", deployment_of("r1", content(), RUNNERS))


async def test_before_any_term_nothing_is_deployed(desk: DeskDriver) -> None:
    with pytest.raises(LowerTerm, match="term 0, none yet"):
        desk.desk.deploy(0, "s", deployment_of("r1", content(), RUNNERS))
    assert not desk.state.strategies


async def test_terms_go_on_after_a_restart(desk: DeskDriver) -> None:
    desk.desk.begin_term("one")
    await desk.journal.durable()
    assert desk.again().desk.begin_term("two") == 2


async def test_a_term_that_is_refused_has_not_begun(desk: DeskDriver) -> None:
    term = desk.desk.begin_term("one")
    with pytest.raises(InvalidMessage, match="holder"):
        desk.desk.begin_term("")
    assert desk.state.term == term


async def test_the_same_revision_again_changes_nothing(desk: DeskDriver) -> None:
    runner = await desk.armed()
    written = desk.journal.written
    await desk.deploy()
    assert desk.journal.written == written + 1  # the term
    assert desk.strategy.grants.epoch == runner.epoch


# ---- pods

PODS = runners_by_pods(["u-1", "u-2"])


async def deployed_to(desk: DeskDriver, *uids: str, revision: str = "r1") -> None:
    made = deployment_of(revision, content(), runners_by_pods(uids))
    desk.desk.deploy(desk.state.term or desk.desk.begin_term("test"), "s", made)
    await desk.settled()


async def test_other_pods_replace_the_set_and_nothing_else(desk: DeskDriver) -> None:
    await deployed_to(desk, "u-1")
    written = desk.journal.written
    await deployed_to(desk, "u-1", "u-2")
    assert desk.journal.written == written + 1
    assert desk.strategy.deployments["r1"].runners == PODS
    assert desk.strategy.grants.wanted == "r1"


async def test_the_same_pods_in_any_order_write_nothing(desk: DeskDriver) -> None:
    await deployed_to(desk, "u-1", "u-2")
    written = desk.journal.written
    await deployed_to(desk, "u-2", "u-1")
    assert desk.journal.written == written


async def test_pods_are_known_after_a_restart(desk: DeskDriver) -> None:
    await deployed_to(desk, "u-2", "u-1")
    desk.again()
    assert desk.strategy.deployments["r1"].runners == PODS
    written = desk.journal.written
    await deployed_to(desk, "u-1", "u-2")
    assert desk.journal.written == written


async def test_only_a_named_pod_is_let_in(desk: DeskDriver) -> None:
    await deployed_to(desk, "u-1")
    hello = Hello("s", "r1", "s-1.0", "")
    caller = Caller(subject="x", is_runner=True, pod=Pod("s-1", "u-2"))
    with pytest.raises(NotPermitted):
        desk.desk.connect(desk.runner(), hello, caller)
    await deployed_to(desk, "u-1", "u-2")
    assert desk.desk.connect(desk.runner("s-1.0"), hello, caller) is desk.strategy


async def test_a_pod_that_is_named_no_more_has_no_session(desk: DeskDriver) -> None:
    await deployed_to(desk, "u-1", "u-2")
    stays, goes = desk.runner("s-1.0"), desk.runner("s-2.0")
    for runner, uid in ((stays, "u-1"), (goes, "u-2")):
        caller = Caller(subject="x", is_runner=True, pod=Pod(runner.instance[:3], uid))
        desk.desk.connect(runner, Hello("s", "r1", runner.instance, ""), caller)
    await deployed_to(desk, "u-1")
    assert not stays.closed
    assert goes.closed.startswith("pod s-2 (u-2) is not named")
    assert [each.connected for each in desk.strategy.grants.runners] == [True, False]


async def test_a_pod_of_one_strategy_is_nobody_at_another(desk: DeskDriver) -> None:
    await deployed_to(desk, "u-1")
    made = deployment_of("r1", content(), runners_by_pods(["u-9"]))
    desk.desk.deploy(desk.state.term, "other", made)
    caller = Caller(subject="x", is_runner=True, pod=Pod("s-1", "u-1"))
    with pytest.raises(NotPermitted):
        desk.desk.connect(desk.runner(), Hello("other", "r1", "s-1.0", ""), caller)


async def test_a_journal_from_before_pods_and_policies_is_read(desk: DeskDriver) -> None:
    body = json.dumps({"revision": "r1", "content": content(), "runner_token_sha256": "0" * 64})
    desk.journal.append([Record("deployed", body, 1, "s")])
    await desk.journal.durable()
    assert desk.again().strategy.deployments["r1"].runners == RUNNERS


# ---- what tightens, and what waits


async def test_a_tighter_limit_holds_at_once(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await desk.deploy("r2", content(max_position_size="1"))
    (verdict,) = await runner.decide(buy("x", quantity="2"))
    assert verdict.reason == "max_position_size"


async def test_a_looser_limit_waits_until_its_revision_is_armed(desk: DeskDriver) -> None:
    runner = await desk.armed(content(max_position_size="1"))
    await desk.deploy("r2", content(max_position_size="5"))
    assert not (await runner.decide(buy("x", quantity="2")))[0].accepted
    runner.leave()
    await desk.settled(3)
    successor = desk.runner("b", "r2")
    successor.connect()
    await desk.settled()
    desk.feed_next()
    (verdict,) = await successor.decide(buy("y", cause=2, quantity="2"))
    assert verdict.accepted


async def test_a_lesser_mode_holds_at_once(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await desk.deploy("r2", content(mode="observation"))
    assert (await runner.decide(buy("x")))[0].accepted
    assert desk.orders == []


async def test_a_simulation_is_refused_at_a_real_venue(desk: DeskDriver) -> None:
    desk.again(real_venue=True)
    with pytest.raises(
        NotAllowed, match="mode simulation, venue main of BTCUSDT is real: expected another mode"
    ):
        await desk.deploy()
    await desk.deploy(text=content("observation"))


async def test_a_simulation_deployed_before_may_only_close_at_a_real_venue(
    desk: DeskDriver,
) -> None:
    await desk.deploy()
    desk.again(real_venue=True)
    (verdict,) = await (await desk.armed()).decide(buy("x"))
    assert verdict.reason is Reason.REDUCING_ONLY
    assert "venue main of BTCUSDT is real" in verdict.message


async def test_live_is_refused_where_it_is_not_allowed(desk: DeskDriver) -> None:
    with pytest.raises(NotAllowed, match="mode live, this desk allows"):
        await desk.deploy("r1", content(mode="live"))


async def test_what_is_withdrawn_is_released(desk: DeskDriver) -> None:
    runner = await desk.armed()
    desk.desk.withdraw(desk.state.term, "s", "done")
    await desk.settled()
    assert runner.last(Release)
    assert desk.strategy.grants.epoch == 0


@pytest.mark.parametrize("token", ["", "the-operator's", "the-runner's "])
async def test_a_wrong_token_is_an_unknown_caller(desk: DeskDriver, token: str) -> None:
    await desk.deploy()
    with pytest.raises(UnknownCaller):
        desk.runner().connect(token)


async def test_a_revision_that_is_not_deployed_has_no_token(desk: DeskDriver) -> None:
    await desk.deploy()
    with pytest.raises(UnknownCaller):
        desk.runner(revision="r9").connect()


async def test_the_old_revision_may_come_back_while_it_is_armed(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await desk.deploy("r2")
    runner.leave()
    runner.connect(phase="armed", epoch=runner.epoch)
    assert desk.strategy.grants.revision == "r1"


async def test_a_revision_long_gone_is_not_deployed_any_more(desk: DeskDriver) -> None:
    (await desk.armed()).leave()
    await desk.deploy("r2")
    await desk.settled(3)
    with pytest.raises(NotWanted) as refused:
        desk.runner("c", "r1").connect()
    assert refused.value.refusal == "not_wanted"


async def test_a_restart_keeps_grant_and_wanted_revision(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await desk.deploy("r2")
    desk.again()
    grants = desk.strategy.grants
    assert (grants.epoch, grants.revision, grants.wanted) == (runner.epoch, "r1", "r2")


async def test_a_capital_that_grew_is_no_gain(desk: DeskDriver) -> None:
    runner = await desk.armed(content(capital="1000"))
    await desk.deploy("r2", content(capital="5000"))
    runner.leave()
    await desk.settled(3)
    successor = desk.runner("b", "r2")
    successor.connect()
    await desk.settled()
    assert successor.last(Arm)
    account = desk.strategy.account
    assert (account.ledger.capital, account.watermarks.peak) == (Decimal(5_000), Decimal(5_000))


def changed(text: str, **fields: Any) -> str:
    return json.dumps({**json.loads(text), **fields})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"mode": "wild"}, "content.mode"),
        ({"symbols": []}, "content.symbols"),
        ({"symbols": "BTCUSDT"}, "content.symbols"),
        ({"capital": {"amount": "-1"}}, "content.capital.amount"),
        ({"capital": {"amount": "much"}}, "content.capital.amount"),
        ({"capital": 7}, "content.capital.amount"),
        ({"limits": None}, "content.limits"),
        ({"limits": {"max_fun": "1"}}, "content.limits"),
        ({"limits": {"max_drawdown": "2"}}, "content.limits"),
    ],
)
def test_content_that_cannot_be_meant_names_its_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidMessage, match=f"^{named}:"):
        parse_content(changed(content(), **fields))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"limits": ' * 5_000])
def test_content_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match=r"^content"):
        parse_content(text)


@pytest.mark.parametrize("hash_", ["", "x" * 64, "0" * 63, "0" * 65])
def test_a_token_hash_has_64_hex_digits(hash_: str) -> None:
    with pytest.raises(InvalidMessage, match="runner_token_sha256"):
        runners_by_token(hash_)


def test_of_two_contents_what_both_allow_is_in_force() -> None:
    one = parse_content(content(max_order_value="5", min_account_balance="7"))
    other = parse_content(content("observation", max_order_value="9", blocked_symbols=["X"]))
    both = tighter(one, other)
    limits = both.terms.limits
    assert both.mode is Mode.OBSERVATION
    assert (limits.max_order_value, limits.min_account_balance) == (Decimal(5), Decimal(7))
    assert limits.blocked_symbols == {"X"}


def test_no_allowed_symbol_in_common_means_none_not_all() -> None:
    one = parse_content(content(allowed_symbols=["BTCUSDT"]))
    other = parse_content(content(allowed_symbols=["ETHUSDT"]))
    assert tighter(one, other).terms.symbols == frozenset()


async def test_what_only_the_successor_does_not_allow_is_refused_by_its_limits_name(
    desk: DeskDriver,
) -> None:
    runner = await desk.armed(content(allowed_symbols=["BTCUSDT", "ETHUSDT"]))
    await desk.deploy("r2", content(allowed_symbols=["ETHUSDT"]))
    (verdict,) = await runner.decide(buy("x"))
    assert verdict.reason is Reason.ALLOWED_SYMBOLS


async def test_a_successor_on_other_symbols_leaves_the_old_one_its_own(desk: DeskDriver) -> None:
    runner = await desk.armed()
    await desk.deploy("r2", changed(content(), symbols=["ETHUSDT"]))
    assert (await runner.decide(buy("x")))[0].accepted
