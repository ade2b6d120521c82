"""A look of the operator at a strategy that is as it should be, against reading its spec alone."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.table import Figure

from strategy_operator.actions import CreatePod, CreateRevision
from strategy_operator.desired import wish
from strategy_operator.names import FINALIZER
from strategy_operator.observed import (
    Desk,
    GatewayView,
    Observed,
    Pod,
    PodPhase,
    RunnerSeen,
    StoredRevision,
)
from strategy_operator.reconcile import reconcile

TIMES = 500
_STRATEGY = {
    "apiVersion": "stratops.dev/v1alpha1",
    "kind": "Strategy",
    "metadata": {
        "name": "btc", "namespace": "desk", "uid": "strategy", "generation": 1,
        "finalizers": [FINALIZER], "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {
        "strategy": {"builtin": "sma_crossover"},
        "parameters": {"quantity": "0.1"},
        "symbols": ["BTCUSDT"],
    },
}  # fmt: skip


def figures() -> list[Figure]:
    observed = _at_rest()

    def look() -> None:
        assert reconcile(observed).actions == ()

    def read() -> None:
        assert wish(observed).revision

    look_us, read_us = _cpu_us(look), _cpu_us(read)
    return [
        Figure("operator: a look at rest", look_us, "us CPU", read_us, "us, its spec read",
               aim="<= 1,000 us"),
    ]  # fmt: skip


def _at_rest() -> Observed:
    """Armed, and its status written: the operator's own actions, as if they were done."""
    seen = Observed(
        _STRATEGY, 100.0, "2026-01-01T00:01:00Z", "runner:1", "Never",
        desk=Desk("gateway:9090", "redis://feed:6379"), gateway=GatewayView(),
    )  # fmt: skip
    first = reconcile(seen)
    (kept,) = (each.manifest["spec"] for each in first.actions if isinstance(each, CreateRevision))
    name = kept["revision"]
    stored = StoredRevision(name, "strategy", 1.0, kept["content"], kept["runner"], "")
    seen = replace(
        _written(seen), revisions=(stored,), config_maps={f"btc-{name}": "strategy"},
        gateway=GatewayView(known=True, wanted=name),
    )  # fmt: skip
    (made,) = (each.manifest for each in reconcile(seen).actions if isinstance(each, CreatePod))
    seen = replace(_written(seen), pods=(_pod(made, name),), gateway=_armed(made, name))
    return _written(seen)


def _written(seen: Observed) -> Observed:
    status = reconcile(seen).status
    assert status
    return replace(seen, strategy={**seen.strategy, "status": status.written()})


def _pod(made: Mapping[str, Any], revision: str) -> Pod:
    metadata = made["metadata"]
    return Pod(
        metadata["name"], "pod", "strategy", revision, 1, PodPhase.RUNNING, "runner:1", 100.0,
        started=True, labels=metadata["labels"],
    )  # fmt: skip


def _armed(made: Mapping[str, Any], revision: str) -> GatewayView:
    runner = RunnerSeen(made["metadata"]["name"], revision, True, True, True, 0.1)
    return GatewayView(
        known=True, wanted=revision, runner_pods=frozenset({"pod"}), armed=revision, epoch=1,
        runners=(runner,),
    )  # fmt: skip


def _cpu_us(call: Callable[[], None]) -> float:
    """The best of five rounds."""
    return min(_round(call) for _ in range(5)) * 1e6


def _round(call: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(TIMES):
        call()
    return (time.process_time() - began) / TIMES
