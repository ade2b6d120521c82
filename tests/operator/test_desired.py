"""What a spec asks for: a revision, or a refusal that names field, value and what was expected."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from operator_world import World, spec
from platform_spec.objects import strategy_of
from platform_spec.revision import Revision
from strategy_operator.desired import Refusal, wish
from strategy_operator.names import ADOPT
from strategy_operator.observed import GatewayView, Observed, Policy

CODE = "from strategy_sdk import Strategy\n"
LIVE: dict[str, Any] = {"mode": "live", "capital": {"amount": "1000"}, "risk": {"policy": "p"}}


def seen(**fields: Any) -> Observed:
    world = World(**fields)
    return world.look()


def revision(observed: Observed) -> Revision:
    found = wish(observed).revision
    assert found, wish(observed).refusal
    return found


def refusal(observed: Observed) -> Refusal:
    found = wish(observed).refusal
    assert found
    return found


# ---- Revisions


def test_the_reference_is_namespace_and_name() -> None:
    assert revision(seen()).strategy == "desk-a/btc"


def test_a_builtin_is_its_modules_source() -> None:
    from strategy_sdk.loading import code_digest

    assert revision(seen()).code_digest == code_digest({"builtin": "sma_crossover"})


@pytest.mark.parametrize(
    ("strategy", "sources"),
    [
        ({"source": {"inline": CODE}}, {}),
        ({"source": {"configMap": {"name": "code", "key": "a.py"}}}, {"code": {"a.py": CODE}}),
    ],
    ids=["inline", "config map"],
)
def test_text_travels_with_the_revision(strategy: Any, sources: Any) -> None:
    observed = replace(seen(strategy=strategy), sources=sources)
    assert CODE.strip() in revision(observed).runner


def test_the_text_makes_the_revision() -> None:
    strategy = {"source": {"configMap": {"name": "code", "key": "a.py"}}}
    first, second = (
        revision(replace(seen(strategy=strategy), sources={"code": {"a.py": code}}))
        for code in (CODE, CODE + "x = 1\n")
    )
    assert first.name != second.name


def test_a_class_runs_in_the_users_image() -> None:
    found = revision(seen(strategy={"class": "mine:Mine"}, image="mine/strategies:1"))
    assert found.image == "mine/strategies:1"
    assert '"code_digest":""' in found.runner


def test_authors_code_is_not_loaded() -> None:
    inline = {"source": {"inline": "raise SystemExit('loaded')"}}
    assert revision(seen(strategy=inline))


# ---- Refusals

REFUSED = {
    "an unknown field": (
        spec(symbol="X"), "InvalidSpec", "spec.symbol: unknown field, expected one of strategy"
    ),
    "a value out of bounds": (
        spec(risk={"limits": {"max_drawdown": "2"}}), "InvalidSpec", "max_drawdown: '2', expected"
    ),
    "live without a policy": (
        spec(mode="live"), "InvalidSpec", "spec.risk.policy: missing, expected"
    ),
    "an unknown builtin": (
        spec(strategy={"builtin": "sma_crosover"}), "InvalidSpec", "did you mean sma_crossover?"
    ),
    "an unknown parameter": (
        spec(parameters={"quantit": 1}),
        "InvalidParameters",
        "spec.parameters.quantit: unknown parameter, expected one of",
    ),
    "a parameter out of bounds": (
        spec(parameters={"short_period": 0}),
        "InvalidParameters",
        "spec.parameters.short_period: 0, expected a whole number, at least 1",
    ),
    "parameters that do not fit": (
        spec(parameters={"short_period": 30}),
        "InvalidParameters",
        "spec.parameters: short_period: 30, expected less than long_period, which is 20",
    ),
    "a parameter nested too deeply": (
        spec(parameters={"short_period": [[[[[1]]]]]}),
        "InvalidSpec",
        "spec.parameters.short_period: a list, expected text, true, false, a number of at most 40 "
        "digits, or lists and mappings of them, at most 4 deep",
    ),
    "a file": (
        spec(strategy={"source": {"file": "a.py"}}),
        "InvalidSpec",
        "spec.strategy.source.file: 'a.py', expected inline or configMap",
    ),
    "a config map that is not there": (
        spec(strategy={"source": {"configMap": {"name": "code", "key": "a.py"}}}),
        "CodeNotFound",
        "spec.strategy.source.configMap.name: 'code', expected a ConfigMap of this namespace",
    ),
    "a sidecar": (
        spec(strategy={"image": "mine/go:1"}), "SidecarNotSupported", "spec.strategy.image: 'mine/"
    ),
    "a feed on nats": (
        spec(feed={"nats": {"url": "nats://bus:4222"}}), "FeedNotSupported", "spec.feed.nats.url"
    ),
    "a rollout that is not known": (
        spec(rollout={"type": "Canary"}),
        "RolloutNotSupported",
        "spec.rollout.type: 'Canary', expected Rolling",
    ),
    "working orders that would be cancelled": (
        spec(rollout={"workingOrders": "Cancel"}), "RolloutNotSupported", "spec.rollout.working"
    ),
    "a policy that is not there": (
        spec(risk={"policy": "q"}),
        "PolicyNotFound",
        "spec.risk.policy: 'q', expected a RiskPolicy of this namespace",
    ),
    "live that is not allowed": (
        spec(**LIVE), "LiveNotAllowed", "spec.mode: 'live', expected a mode that RiskPolicy p"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "reason", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_names_field_value_and_expectation(
    written: Any, reason: str, message: str
) -> None:
    world = World()
    world.apply(written)
    found = refusal(replace(world.look(), policies={"p": Policy("p")}))
    assert (found.reason, message in found.message) == (reason, True), found.message


def test_a_key_that_is_not_there_is_named() -> None:
    strategy = {"source": {"configMap": {"name": "code", "key": "b.py"}}}
    found = refusal(replace(seen(strategy=strategy), sources={"code": {"a.py": CODE}}))
    assert found.message == (
        "spec.strategy.source.configMap.key: 'b.py', expected one of its keys: a.py"
    )


def test_a_namespace_without_a_desk_is_named() -> None:
    found = refusal(replace(seen(), desk=None))
    assert (found.reason, "stratops-desk" in found.message) == ("NoDesk", True)


# ---- Live


def live(**fields: Any) -> Observed:
    allowed = {"p": Policy("p", allow_live=True)}
    return replace(seen(**LIVE), policies=allowed, **fields)


def test_live_is_taken_where_its_policy_allows_it() -> None:
    assert revision(live()).name


def test_live_does_not_take_on_a_position_unasked() -> None:
    held = GatewayView(known=True, positions={"BTCUSDT": Decimal(1)})
    assert refusal(live(gateway=held)).reason == "AdoptionNotConfirmed"


def test_live_takes_on_a_position_when_told_to() -> None:
    held = GatewayView(known=True, positions={"BTCUSDT": Decimal(1)})
    observed = live(gateway=held)
    metadata = {**observed.strategy["metadata"], "annotations": {ADOPT: "yes"}}
    confirmed = replace(observed, strategy={**observed.strategy, "metadata": metadata})
    assert revision(confirmed).name


# ---- What ran goes on


@pytest.mark.parametrize("written", [each[0] for each in REFUSED.values()], ids=REFUSED.keys())
def test_what_ran_goes_on_beside_a_refused_spec(written: Any) -> None:
    world = World()
    world.settle()
    pods, armed = world.ours, world.gateway.revision
    world.cluster.policies = {"p": Policy("p")}
    world.apply(written)
    world.settle()
    assert (world.ours, world.gateway.revision) == (pods, armed)
    stalled, ready = world.condition("Stalled"), world.condition("Ready")
    assert (stalled["status"], ready["status"], ready["reason"]) == (
        "True", "False", stalled["reason"]
    )  # fmt: skip
    assert world.condition("Armed")["status"] == "True"


def test_a_pod_that_is_lost_beside_a_refused_spec_is_replaced() -> None:
    world = World()
    world.settle()
    armed = world.gateway.revision
    world.apply(spec(mode="live"))
    world.delete_pod(world.ours[0].name)
    world.settle()
    assert world.gateway.revision == armed


def test_a_spec_without_a_policy_is_the_models_own() -> None:
    assert strategy_of(seen().strategy).spec.risk is None
