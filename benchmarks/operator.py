"""The operator with many Strategies on a real API server: CPU per look, memory, writes.

Objects without pods: their namespace is no desk, so each is told so, once. The reference does the
same the usual way, with kopf's handlers for created and changed objects (`naive_operator`).
"""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from benchmarks.table import Figure

from dev_cluster.cluster import Cluster
from dev_cluster.machine import MachineUnfit
from dev_cluster.provide import provide

SIZES = (1_000, 5_000)
NAIVE = SIZES[0]
_CRDS = Path(__file__).parents[1] / "crds"
_DECIDED_S, _QUIET_S = 900.0, 3.0
_OURS = "sys.modules['kubernetes'] = None; import strategy_operator.process"
_COUNT = "stratops_operator_reconcile_duration_seconds_count"
_SPEC = {
    "strategy": {"builtin": "sma_crossover"},
    "version": "1.0.0",
    "parameters": {"short_period": 5, "long_period": 20, "quantity": "0.1"},
    "symbols": ["BTCUSDT"],
    "capital": {"amount": "100000", "currency": "USDT"},
    "risk": {"limits": {"max_order_value": "50000", "max_position_size": "1"}},
}
_API = {"apiVersion": "stratops.dev/v1alpha1", "kind": "Strategy"}


def figures() -> list[Figure]:
    found: list[Figure] = []
    try:
        with provide() as cluster:
            cluster.kubectl("apply", "--server-side", "-f", str(_CRDS))
            naive = _naive(cluster)
            for size in SIZES:
                found += _of_size(cluster, size, naive if size == NAIVE else None)
    except MachineUnfit as unfit:
        print(f"operator: no cluster, so little to measure: {unfit}")
    return found


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_s: float
    rss_mib: float
    looks: float = 0
    writes: float = 0


def _of_size(cluster: Cluster, size: int, naive: Cost | None) -> Iterator[Figure]:
    with _namespace(cluster) as namespace:
        _create(cluster, namespace, size)
        first = _pass(cluster, namespace, size, writes=size)
        again = _pass(cluster, namespace, size, writes=0)
    aim = {1_000: "< 110 MiB", 5_000: "< 200 MiB"}.get(size, "")
    against = {"against": naive.rss_mib, "reference": "MiB, naive"} if naive else {}
    yield Figure(f"memory, {size:,}", max(first.rss_mib, again.rss_mib), "MiB", **against, aim=aim)  # type: ignore[arg-type]  # both of their fields
    told_ms = first.cpu_s / size * 1e3
    against = {"against": naive.cpu_s / NAIVE * 1e3, "reference": "ms, naive"} if naive else {}
    yield Figure(f"told for the first time, {size:,}", told_ms, "ms CPU each", **against)  # type: ignore[arg-type]  # as above
    each_ms = first.cpu_s / first.looks * 1e3
    yield Figure(f"a look, writes and watches included, {size:,}", each_ms, "ms CPU", aim="< 3 ms")
    yield Figure(f"writes per strategy told, {size:,}", first.writes / size, "", aim="1")
    yield Figure(f"full pass after a start, {size:,}", again.cpu_s, "s CPU", aim="< 60 s")
    yield Figure(f"writes of that pass, {size:,}", again.writes, "", aim="0")


def _pass(cluster: Cluster, namespace: str, size: int, writes: int) -> Cost:
    """From its start until all were looked at and `writes` statuses written; imports left out."""
    with _operator(cluster, namespace) as (process, port):
        _until(lambda: _metrics(port).get(_COUNT, 0) >= 0 and bool(_metrics(port)))
        imported = _cpu_s(_OURS)

        def done() -> bool:
            metrics = _metrics(port)
            return metrics.get(_COUNT, 0) >= size and _status_writes(metrics) >= writes

        _until(done)
        time.sleep(_QUIET_S)
        metrics, used = _metrics(port), process.cpu_times()
        return Cost(
            cpu_s=used.user + used.system - imported,
            rss_mib=process.memory_info().rss / 2**20,
            looks=metrics[_COUNT],
            writes=_status_writes(metrics),
        )


def _status_writes(metrics: Mapping[str, float]) -> float:
    return metrics.get('stratops_operator_writes_total{kind="Strategy",verb="patch"}', 0.0)


def _cpu_s(imports: str) -> float:
    """What a process costs that imports these and does nothing."""
    before = psutil.Process().cpu_times()
    subprocess.run([sys.executable, "-P", "-c", f"import sys; {imports}"], check=True)
    after = psutil.Process().cpu_times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system


@contextlib.contextmanager
def _operator(cluster: Cluster, namespace: str) -> Iterator[tuple[psutil.Process, int]]:
    port = _free_port()
    environment = {
        **os.environ,
        **cluster.environment,
        "STRATOPS_NAMESPACE": namespace,
        "STRATOPS_IDENTITY": "bench",
        "STRATOPS_RUNNER_IMAGE": "none",
        "STRATOPS_METRICS_PORT": str(port),
        "STRATOPS_LOG_LEVEL": "error",
    }
    with _process([sys.executable, "-P", "-m", "strategy_operator"], environment) as process:
        yield process, port


def _naive(cluster: Cluster) -> Cost:
    """The same told by kopf's handlers."""
    with _namespace(cluster) as namespace:
        _create(cluster, namespace, NAIVE)
        environment = {**os.environ, **cluster.environment, "BENCH_NAMESPACE": namespace}
        command = [sys.executable, "-P", str(Path(__file__).with_name("naive_operator.py"))]
        with _process(command, environment) as process:
            _until(lambda: _told(cluster, namespace) >= NAIVE)
            time.sleep(_QUIET_S)
            used = process.cpu_times()
            cpu_s = used.user + used.system - _cpu_s("import kopf")
            return Cost(cpu_s, process.memory_info().rss / 2**20)


def _told(cluster: Cluster, namespace: str) -> int:
    found = cluster.kubectl("get", "strategies", "-n", namespace, "-o", "jsonpath={..phase}")
    time.sleep(1.0)
    return len(found.split())


@contextlib.contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(command, env=environment, stderr=log, stdout=log)
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(20)


@contextlib.contextmanager
def _namespace(cluster: Cluster) -> Iterator[str]:
    name = f"bench-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def _create(cluster: Cluster, namespace: str, count: int) -> None:
    items = [
        {**_API, "metadata": {"name": f"s-{number}", "namespace": namespace}, "spec": _SPEC}
        for number in range(count)
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("create", "-f", "-", stdin=document, timeout_s=_DECIDED_S)


def _metrics(port: int) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def _until(fact: Any) -> None:
    deadline = time.monotonic() + _DECIDED_S
    while not fact():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {_DECIDED_S:.0f} s")
        time.sleep(1.0)  # what is measured makes a page for each look


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
