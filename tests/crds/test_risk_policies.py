"""A RiskPolicy bounds what the strategies of its namespace may write, at admission."""

from collections.abc import Callable
from typing import Any

import pytest

from crd_driver import LIVE, SMALLEST, Api, Refused, policy, strategy
from platform_spec.objects import policy_of, strategy_of
from platform_spec.policy import excesses

pytestmark = pytest.mark.cluster

SENTINEL = {"max_orders_per_minute": 1}  # what every test's policy has, to see it in force
Named = Callable[..., None]


def under(name: str, **limits: Any) -> dict[str, Any]:
    """A spec that names a policy, with limits of its own."""
    return SMALLEST | {"risk": {"policy": name, "limits": limits}}


@pytest.fixture
def named(desk: Api) -> Named:
    """Makes a policy, and waits until strategies are held to it."""

    def make(name: str = "calm", **spec: Any) -> None:
        spec["limits"] = SENTINEL | spec.get("limits", {})
        desk.create_object(policy(name, spec))
        desk.until_refused(under(name, max_orders_per_minute=2))

    return make


def refusal(desk: Api, spec: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        desk.tried(spec)
    return str(caught.value).replace('\\"', '"')


@pytest.mark.parametrize(
    ("most", "own", "problem"),
    [
        ({"max_order_value": "50000"}, 50000.01, "50000.01, expected at most 50000"),
        ({"max_position_size": 1}, "1.000000001", "1.000000001, expected at most 1"),
        ({"max_daily_loss": 1e-7}, 2e-7, "2e-07, expected at most 1e-07"),
        ({"max_daily_loss": "5000"}, "6e3", "6e3, expected at most 5000"),
        ({"max_drawdown": 0.1}, "0.11", "0.11, expected at most 0.1"),
        ({"max_drawdown": "0.1"}, 1, "1, expected at most 0.1"),
        ({"max_order_value": "1e25"}, "1e26", "1e26, expected at most 1e25"),
        ({"max_orders_per_second": 5}, "6", "6, expected at most 5"),
        ({"max_orders_per_minute": 1}, 1000, "1000, expected at most 1"),
        ({"min_account_balance": 100}, "99.9", "99.9, expected at least 100"),
        ({"min_confidence": "0.5"}, 0.4, "0.4, expected at least 0.5"),
        ({"max_gross_exposure": 1000}, "1000.1", "1000.1, expected at most 1000"),
        ({"max_net_exposure": "1000"}, 1001, "1001, expected at most 1000"),
        ({"max_concentration": 2}, "2.1", "2.1, expected at most 2"),
        ({"max_open_orders": 3}, 4, "4, expected at most 3"),
        ({"max_price_deviation": "0.05"}, 0.06, "0.06, expected at most 0.05"),
    ],
)
def test_a_limit_beyond_that_of_its_policy_is_refused(
    desk: Api, named: Named, most: dict[str, Any], own: Any, problem: str
) -> None:
    (name,) = most
    named(limits=most)
    said = refusal(desk, under("calm", **{name: own}))
    assert f"spec.risk.limits.{name}: {problem}, of RiskPolicy calm" in said


WITHIN = {
    "max_order_value": ("50000", 5e4),
    "max_position_size": (1, "1.0"),
    "max_daily_loss": (1e-7, "0.0000001"),
    "max_drawdown": ("0.1", 0.1),
    "max_orders_per_second": (5, 5.0),
    "max_orders_per_minute": (1, "1"),
    "min_account_balance": (100, "1e2"),
    "min_confidence": ("0.5", 0.50),
    "max_gross_exposure": ("1000", 1e3),
    "max_net_exposure": (1000, "1e3"),
    "max_concentration": ("2", 2.0),
    "max_open_orders": (3, "3"),
    "max_price_deviation": ("0.05", 0.05),
}


def test_a_limit_that_is_the_policy_s_is_taken_however_it_is_spelled(
    desk: Api, named: Named
) -> None:
    named(limits={name: most for name, (most, _) in WITHIN.items()})
    assert desk.tried(under("calm", **{name: own for name, (_, own) in WITHIN.items()}))


def test_a_limit_that_is_not_written_is_the_gateway_s_to_tighten(desk: Api, named: Named) -> None:
    named(limits={"max_order_value": 1})
    assert desk.tried(under("calm"))


@pytest.mark.parametrize(
    ("most", "own"),
    [
        ({"allowed_symbols": ["BTCUSDT"]}, ["BTCUSDT", "ETHUSDT"]),
        ({"blocked_symbols": ["ETHUSDT"]}, ["ETHUSDT"]),
    ],
    ids=["not allowed", "blocked"],
)
def test_a_symbol_beyond_the_policy_is_refused(
    desk: Api, named: Named, most: dict[str, Any], own: list[str]
) -> None:
    named(limits=most)
    said = refusal(desk, under("calm", allowed_symbols=own))
    assert "spec.risk.limits.allowed_symbols: expected symbols that the RiskPolicy allows" in said
    assert desk.tried(under("calm", allowed_symbols=["BTCUSDT"]))


def test_live_needs_a_policy_that_allows_it(desk: Api, named: Named) -> None:
    named("calm")
    named("bold", allowLive=True)
    live = SMALLEST | LIVE
    said = refusal(desk, live | {"risk": {"policy": "calm"}})
    assert "spec.mode: live, expected another mode: the RiskPolicy does not allow live" in said
    assert desk.tried(live | {"risk": {"policy": "bold"}})


def test_only_the_policy_that_is_named_bounds(desk: Api, named: Named) -> None:
    named("calm", limits={"max_order_value": 1})
    assert desk.tried(under("nobody", max_order_value=2))
    assert desk.tried(SMALLEST | {"risk": {"limits": {"max_order_value": 2}}})


def test_who_is_within_a_policy_on_a_laptop_is_so_on_the_cluster(desk: Api, named: Named) -> None:
    named(limits={"max_order_value": "0.3", "min_confidence": 0.3})
    held = policy_of(desk.get("RiskPolicy", "calm"))
    for own in (0.1, 0.3, "0.30", 0.3000001, "0.30000000000000000001", 1e-9, "3e-1", 0.4):
        spec = under("calm", max_order_value=own, min_confidence=0.3)
        beyond = bool(list(excesses(strategy_of(strategy(spec)).spec, held)))
        assert _is_refused(desk, spec) is beyond, own


def _is_refused(desk: Api, spec: dict[str, Any]) -> bool:
    try:
        desk.tried(spec)
    except Refused:
        return True
    return False


def test_a_tightened_policy_does_not_freeze_what_was_there_before(desk: Api, named: Named) -> None:
    named(limits={"max_order_value": 10})
    kept = desk.create(under("calm", max_order_value=10))
    tighter = desk.get("RiskPolicy", "calm")
    tighter["spec"]["limits"]["max_order_value"] = 5
    desk.replace(tighter)
    desk.until_refused(under("calm", max_order_value=10), name="other")

    kept["metadata"] |= {"labels": {"a": "b"}, "finalizers": ["stratops.dev/disarm"]}
    kept = desk.replace(kept)
    kept = desk.replace_status(kept | {"status": {"phase": "Running", "observedGeneration": 1}})
    assert kept["status"]["phase"] == "Running"
    with pytest.raises(Refused, match="expected at most 5"):
        desk.replace(kept | {"spec": under("calm", max_order_value=9)})

    desk.delete("Strategy", "probe")
    kept = desk.get("Strategy", "probe")
    del kept["metadata"]["finalizers"]
    desk.replace(kept)
    desk.until_gone("Strategy", "probe")


def test_a_spec_that_comes_back_within_its_policy_is_taken(desk: Api, named: Named) -> None:
    named(limits={"max_order_value": 5})
    kept = desk.create(under("calm", max_order_value=5))
    kept["spec"]["risk"]["limits"]["max_order_value"] = "4.5"
    assert desk.replace(kept)["spec"]["risk"]["limits"] == {"max_order_value": "4.5"}
