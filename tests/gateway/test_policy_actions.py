"""What policies have done about breaches, and when their day begins: read, and of several."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from desk_driver import content
from platform_spec.policy import PolicySpec
from risk_gateway.content import Content, parse_content
from risk_gateway.policies import Policies, parse_policy
from trading.breaches import Answer, BreachAction
from trading.days import UTC_DAYS, Days
from trading.scopes import DESK, Level, Scope
from trading.standings import Standing

LONDON_17 = {"timeZone": "Europe/London", "hour": 17}
LOSS = {"max_daily_loss": "100"}
STOPS = {"max_daily_loss": {"action": "stop"}}
PAUSES = {"max_daily_loss": {"action": "pause", "untilNextDay": True}}


def policies(**specs: Any) -> Policies:
    found = Policies(asked_for=True)
    for change in found.differences(specs):
        found.take(change)
    return found


def of(policy: str) -> Content:
    return parse_content(json.dumps({**json.loads(content()), "policy": policy}))


def test_a_strategy_has_what_its_policy_says() -> None:
    found = policies(a={"actions": STOPS}, b={"actions": PAUSES})
    assert found.actions_of([of("a")]) == {"max_daily_loss": Answer(BreachAction.STOP)}
    assert found.actions_of([of("other")]) == {}
    assert found.actions == {}


def test_while_a_revision_takes_over_the_sterner_of_both_holds() -> None:
    found = policies(a={"actions": STOPS}, b={"actions": PAUSES})
    assert found.actions_of([of("b"), of("a")]) == {"max_daily_loss": Answer(BreachAction.STOP)}


def test_the_desk_and_its_accounts_have_the_sternest_of_all() -> None:
    found = policies(
        a={"desk": {"limits": LOSS, "actions": PAUSES}},
        b={"desk": {"limits": LOSS, "actions": STOPS}},
        c={"accounts": {"main": {"limits": LOSS, "actions": PAUSES}}},
    )
    assert found.actions == {
        DESK: {"max_daily_loss": Answer(BreachAction.STOP)},
        Scope(Level.ACCOUNT, "main"): {
            "max_daily_loss": Answer(BreachAction.PAUSE, Decimal(1), True)
        },
    }


WRONG = [
    ({"actions": {"max_orders": {"action": "stop"}}}, "max_orders"),
    ({"actions": {"max_drawdown": {"action": "explode"}}}, "explode"),
    ({"actions": {"max_drawdown": {"action": "reduce"}}}, "reduce"),
    ({"actions": {"max_drawdown": {"action": "stop", "untilNextDay": True}}}, "untilNextDay"),
    ({"desk": {"actions": STOPS}}, "max_daily_loss"),
    ({"accounts": {"main": {"limits": {"max_drawdown": 1}, "actions": STOPS}}}, "max_daily_loss"),
    ({"symbols": {"BTCUSDT": {"limits": LOSS, "actions": STOPS}}}, "actions"),
    ({"day": {"timeZone": "Mars/Olympus"}}, "timeZone"),
    ({"day": {"hour": 24}}, "hour"),
    ({"day": {"hour": "17"}}, "hour"),
    ({"day": {"minute": 3}}, "minute"),
    ({"day": "17:00"}, "day"),
]


@pytest.mark.parametrize(("spec", "says"), WRONG, ids=str)
def test_what_cannot_be_read_is_no_permission_and_is_no_manifest_either(
    spec: dict[str, Any], says: str
) -> None:
    policy = parse_policy(spec | {"allowLive": True})
    assert says in policy.unreadable
    assert not policy.allow_live
    with pytest.raises(ValidationError, match=says):
        PolicySpec.model_validate(spec)


RIGHT = [
    {"actions": STOPS | {"max_gross_exposure": {"action": "reduce", "share": "0.5"}}},
    {"actions": PAUSES, "day": LONDON_17},
    {"day": {"hour": 17}},
    {"day": {"timeZone": "Asia/Kolkata"}},
    {"desk": {"limits": LOSS, "actions": PAUSES}},
]


@pytest.mark.parametrize("spec", RIGHT, ids=str)
def test_what_a_manifest_may_say_the_gateway_reads_as_it_was_written(spec: dict[str, Any]) -> None:
    assert not parse_policy(PolicySpec.model_validate(spec).as_written()).unreadable


# ---- the day


def test_a_strategys_day_is_its_policys() -> None:
    found = policies(a={"day": LONDON_17}, b={})
    assert found.days_of(of("a")) == Days("Europe/London", 17)
    assert found.days_of(of("b")) == found.days_of(of("other")) == UTC_DAYS
    assert found.days == UTC_DAYS  # it bounds no others


def test_a_desks_day_is_that_of_the_policy_that_bounds_it() -> None:
    found = policies(a={"day": LONDON_17, "desk": {"limits": LOSS}}, b={"desk": {"limits": LOSS}})
    assert found.days == Days("Europe/London", 17)
    assert not found.stands


def test_nobody_opens_anything_while_the_desks_day_begins_twice() -> None:
    bounded = {"desk": {"limits": LOSS}}
    found = policies(a={"day": LONDON_17} | bounded, b={"day": {"hour": 5}} | bounded)
    (stand,) = found.stands.values()
    assert stand.standing is Standing.REDUCING
    assert stand.why == (
        "the day begins by policy a at 17:00 Europe/London, b at 5:00 UTC: expected one day of "
        "the desk"
    )
