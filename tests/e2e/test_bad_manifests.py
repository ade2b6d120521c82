"""Bad manifests, by the hundred: refused, or stalled by their field, and nobody else notices."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cluster_desk import ClusterDesk, Failed, Measured, strategy, until
from crd_driver import LIVE, SMALLEST, Api, Refused, policy
from platform_spec.objects import strategy_of
from platform_spec.problems import InvalidManifest
from platform_spec.strategy import RolloutType, Spec, WorkingOrders
from spec_strategies import damaged
from strategy_sdk.loading import builtins

pytestmark = pytest.mark.cluster

FUZZED = 520  # a few are right after all
AT_LEAST = 500

# What no schema sees, and the field that its condition names.
INLINE = "from strategy_sdk import Strategy\n\n\nclass Mine(Strategy):\n    period: int = 1\n"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "policy": ({"risk": {"policy": "desk-defualt"}}, "spec.risk.policy: 'desk-defualt'"),
    "builtin": (
        {"strategy": {"builtin": "sma_crosover"}},
        "spec.strategy.builtin: 'sma_crosover', expected one of momentum, sma_crossover",
    ),
    "parameter": (
        {"parameters": {"short_perod": 5}},
        "spec.parameters.short_perod: unknown parameter, expected one of short_period",
    ),
    "value": (
        {"parameters": {"short_period": 0}},
        "spec.parameters.short_period: 0, expected a whole number, at least 1",
    ),
    "values": (
        {"parameters": {"short_period": 20, "long_period": 5}},
        "spec.parameters: short_period: 20, expected less than long_period",
    ),
    "nesting": ({"parameters": {"a": [[[[[1]]]]]}}, "spec.parameters.a: a list"),
    "config-map": (
        {"strategy": {"source": {"configMap": {"name": "nobody", "key": "mine.py"}}}},
        "spec.strategy.source.configMap.name: 'nobody', expected a ConfigMap of this namespace",
    ),
    "feed": (
        {"feed": {"nats": {"url": "nats://feed:4222"}}},
        "spec.feed.nats.url: 'nats://feed:4222', expected spec.feed.redis",
    ),
    "sidecar": ({"strategy": {"image": "example/go:1.4"}}, "spec.strategy.image: 'example/go:1.4'"),
    "rollout": ({"rollout": {"type": "Canary"}}, "spec.rollout.type: 'Canary', expected Rolling"),
    "orders": ({"rollout": {"workingOrders": "Cancel"}}, "spec.rollout.workingOrders: 'Cancel'"),
    # These only their runners can see.
    "symbol": ({"symbols": ["DOGEUSDT"]}, "spec.symbols: instrument 'DOGEUSDT'"),
    "syntax": (
        {"strategy": {"source": {"inline": "def on_tick(:\n"}}, "parameters": {}},
        "spec.strategy.source: ",
    ),
    "own": (
        {"strategy": {"source": {"inline": INLINE}}, "parameters": {"perod": 2}},
        "spec.parameters.perod: unknown parameter, expected one of period",
    ),
}


# What fuzzing comes upon of that.
UNSEEN: dict[str, Callable[[Spec], object]] = {
    "spec.feed.nats.url": lambda spec: spec.feed and spec.feed.nats,
    "spec.rollout.type": lambda spec: (
        spec.rollout and spec.rollout.type not in (None, RolloutType.ROLLING)
    ),
    "spec.rollout.workingOrders": lambda spec: (
        spec.rollout and spec.rollout.working_orders is WorkingOrders.CANCEL
    ),
    "spec.risk.policy": lambda spec: spec.risk and spec.risk.policy,  # there is none
    "spec.strategy.image": lambda spec: spec.strategy.image,
    "spec.strategy.source.configMap": lambda spec: (
        spec.strategy.source and spec.strategy.source.config_map
    ),
    "spec.strategy.builtin": lambda spec: spec.strategy.builtin not in (None, *builtins()),
    "spec.parameters": lambda spec: spec.strategy.builtin and spec.parameters,  # nobody has them
}


@dataclass(frozen=True, slots=True)
class Operator:
    """What must not change, whatever is applied."""

    uid: str
    restarts: int
    faults: float

    @classmethod
    def of(cls, desk: ClusterDesk) -> "Operator":
        (pod,) = desk.listed("pods", "app.kubernetes.io/name=stratops-operator")
        (container,) = pod["status"]["containerStatuses"]
        name = pod["metadata"]["name"]
        faults = desk.metric(name, "stratops_operator_faults_total")
        return cls(pod["metadata"]["uid"], container["restartCount"], faults)


@pytest.fixture
def unmoved(desk: ClusterDesk) -> Iterator[None]:
    """The operator is the same at the end, and complains of nothing."""
    before, began = Operator.of(desk), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    yield
    assert Operator.of(desk) == before
    said = desk.kubectl("logs", "deployment/stratops-operator", f"--since-time={began}")
    assert "Traceback" not in said
    assert '"fault' not in said


@pytest.mark.usefixtures("unmoved")
def test_what_no_schema_sees_is_stalled_by_its_field(desk: ClusterDesk) -> None:
    desk.apply(*(strategy(f"bad-{name}", **spec) for name, (spec, _) in BAD.items()))
    with suppress(Failed):  # what is missing says more
        until(lambda: not unsaid(desk), "each is stalled by its field", within_s=180, every_s=1)
    assert unsaid(desk) == {}


def unsaid(desk: ClusterDesk) -> dict[str, str]:
    """What is said of those that are not stalled as they should be."""
    said = {each["metadata"]["name"]: _stalled(each) for each in desk.listed("strategies")}
    wanted = {f"bad-{name}": words for name, (_, words) in BAD.items()}
    return {name: said[name] for name, words in wanted.items() if words not in said[name]}


def test_what_a_policy_bounds_is_refused_at_once(desk: ClusterDesk) -> None:
    api = Api(desk.cluster, desk.namespace)
    api.create_object(policy("tight", {"limits": {"max_order_value": 10}}))
    beyond = {"risk": {"policy": "tight", "limits": {"max_order_value": 11}}}
    api.until_refused(SMALLEST | beyond)
    with pytest.raises(Refused, match=r"spec\.risk\.limits\.max_order_value: 11, expected at most"):
        api.create(SMALLEST | beyond)
    with pytest.raises(Refused, match=r"spec\.mode: live, expected another mode"):
        api.create(SMALLEST | LIVE | {"risk": {"policy": "tight"}})
    api.delete("RiskPolicy", "tight")


@pytest.mark.usefixtures("unmoved")
def test_bad_manifests_by_the_hundred_delay_nobody(desk: ClusterDesk, measured: Measured) -> None:
    desk.apply(strategy("steady"))
    epoch = desk.until_ready("steady")["epoch"]
    _becomes_ready(desk, "before", measured)
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(applied, Api(desk.cluster, desk.namespace), fuzzed())
        _becomes_ready(desk, "among", measured)
        refused, taken = flood.result()
    assert [words for words in refused if "spec." not in words] == []
    seen = until(lambda: observed(desk, taken), "the operator has seen each", within_s=120)
    assert [each for each in seen if not _is_judged_right(each)] == []
    assert len(refused) + sum(bool(faults(each)) for each in seen) >= AT_LEAST
    _becomes_ready(desk, "after", measured)
    assert desk.status("steady")["epoch"] == epoch


def fuzzed() -> list[dict[str, Any]]:
    """The same ones each time. Suspended: it is about manifests, not about room on a node."""
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=FUZZED, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(damaged())
    def collect(spec: dict[str, Any]) -> None:
        found.append(copy.deepcopy(spec) | {"suspend": True})

    collect()
    return found


def applied(api: Api, specs: list[dict[str, Any]]) -> tuple[list[str], set[str]]:
    """Why some were refused, and the names of those that were taken."""
    refused: list[str] = []
    taken: set[str] = set()
    for number, spec in enumerate(specs):
        try:
            taken.add(api.create(spec, name=f"fuzz-{number}")["metadata"]["name"])
        except Refused as no:
            refused.append(str(no))
    return refused, taken


def observed(desk: ClusterDesk, names: set[str]) -> list[dict[str, Any]] | None:
    """Those of that name, once there is a status about each as it is."""
    found = [each for each in desk.listed("strategies") if each["metadata"]["name"] in names]
    seen = (
        each["status"]["observedGeneration"] == each["metadata"]["generation"] for each in found
    )
    return found if len(found) == len(names) and all(seen) else None


def _is_judged_right(resource: Mapping[str, Any]) -> bool:
    """Stalled by what is wrong with it, or not at all."""
    said, wrong = _stalled(resource), set(faults(resource))
    return any(field in said for field in wrong) if wrong else not said


def faults(resource: Mapping[str, Any]) -> list[str]:
    """The fields of one that was taken which the operator has to refuse."""
    try:
        spec = strategy_of(resource).spec
    except InvalidManifest as invalid:
        return [problem.path for problem in invalid.problems]
    return [field for field, is_wrong in UNSEEN.items() if is_wrong(spec)]


def _stalled(resource: Mapping[str, Any]) -> str:
    """What is said of it; empty: it is not."""
    conditions = resource["status"].get("conditions", [])
    return next((str(each["message"]) for each in conditions if _is_true(each, "Stalled")), "")


def _is_true(condition: Mapping[str, str], type_: str) -> bool:
    return (condition["type"], condition["status"]) == (type_, "True")


def _becomes_ready(desk: ClusterDesk, name: str, measured: Measured) -> None:
    began = time.monotonic()
    desk.apply(strategy(name))
    desk.until_ready(name, within_s=120)
    measured(f"from apply to Ready, {name} bad ones", time.monotonic() - began)
    (pod,) = desk.pods(name)
    until_pod = _created(pod) - _created(desk.get("strategy", name) or {})
    # The operator's own part; the rest is the node's, which the flood keeps busy.
    measured(f"until its pod is made, {name} bad ones", until_pod.total_seconds())


def _created(resource: Mapping[str, Any]) -> datetime:
    """To the second."""
    return datetime.fromisoformat(resource["metadata"]["creationTimestamp"])
