"""A desk on the test cluster, installed by its chart, and what a person would ask of it."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
from prometheus_client.parser import text_string_to_metric_families

from dev_cluster import tools
from dev_cluster.cluster import Cluster
from stratops_wire.audience import audience_of

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "stratops"
Fact = TypeVar("Fact")
Object = Mapping[str, Any]
Measured = Callable[[str, float], None]  # what took how many seconds, for the summary

_JOURNAL = """
import json, sqlite3, sys
rows = sqlite3.connect("file:/var/lib/stratops/journal.db?mode=ro", uri=True).execute(sys.argv[1])
print(json.dumps([list(row) for row in rows]))
"""
_ASK = """
import asyncio, json, sys
from google.protobuf.json_format import MessageToDict
from stratops_wire.gateway_client import GatewayClient

async def ask(address, token, ca):
    async with GatewayClient(address, token, ca.encode()) as gateway:
        print(json.dumps(MessageToDict(await gateway.get_desk(reconcile=True))))

asyncio.run(ask(*sys.argv[1:]))
"""


class Failed(AssertionError):
    """A command that was expected to work; says what it printed."""


def until(
    fact: Callable[[], Fact | None], what: str, *, within_s: float = 120.0, every_s: float = 0.2
) -> Fact:
    """The first answer that is true; a command that fails is none. Raises Failed with `what`."""
    deadline = time.monotonic() + within_s
    why = ""
    while time.monotonic() < deadline:
        try:
            if found := fact():
                return found
        except Failed as failed:
            why = f": {failed}"
        time.sleep(every_s)
    raise Failed(f"not within {within_s:.0f} s: {what}{why}")


@dataclass(slots=True)
class ClusterDesk:
    """One release in one namespace."""

    cluster: Cluster
    namespace: str
    release: str = "desk"
    values: dict[str, Any] = field(default_factory=dict)

    # ---- commands

    def run(self, *command: str | Path, stdin: str = "", timeout_s: float = 300) -> str:
        """What it prints. Raises Failed."""
        done = self.tried(*command, stdin=stdin, timeout_s=timeout_s)
        if done.returncode:
            raise Failed(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout

    def tried(
        self, *command: str | Path, stdin: str = "", timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            env=self.cluster.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.run(*self._kubectl, *arguments, stdin=stdin)

    def tried_kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.tried(*self._kubectl, *arguments, stdin=stdin)

    @property
    def _kubectl(self) -> Sequence[str | Path]:
        return (self.cluster.kubectl_program, "-n", self.namespace)

    def helm(self, *arguments: str | Path, version: int = 4) -> str:
        return self.run(tools.helm(version), *arguments, "-n", self.namespace, timeout_s=300)

    # ---- the release

    def install(self, chart: Path = CHART, flags: Sequence[str] = (), **values: Any) -> None:
        """Installs or upgrades, and waits until all of it is ready."""
        self.values |= values
        demo = chart / "values-demo.yaml"
        usual = ("--install", "--wait", "--timeout", "240s", "-f", demo, "-f", "-")
        command = (tools.helm(), "upgrade", self.release, chart, "-n", self.namespace)
        self.run(*command, *usual, *flags, stdin=json.dumps(self.values), timeout_s=300)

    def remove(self) -> None:
        """The release, and the namespace with all that is left in it."""
        self.helm("uninstall", self.release, "--ignore-not-found", "--wait", "--timeout", "120s")
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")

    # ---- strategies

    def clear(self) -> None:
        """Deletes every strategy; a node has room for few."""
        self.kubectl("delete", "strategies", "--all", "--timeout=240s")

    def apply(self, *objects: Object) -> None:
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(document))

    def patch(self, name: str, spec: Mapping[str, Any]) -> None:
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "strategy", name, "--type=merge", "-p", patch)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """None: there is none."""
        done = self.tried_kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        if done.returncode:
            raise Failed(done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def listed(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        chosen = ("-l", selector) if selector else ()
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json", *chosen))[
            "items"
        ]
        return found

    def status(self, name: str) -> dict[str, Any]:
        found = self.get("strategy", name)
        return dict((found or {}).get("status") or {})

    def condition(self, name: str, type_: str) -> dict[str, Any]:
        """Empty: it is not stated."""
        conditions = self.status(name).get("conditions", [])
        return next((dict(each) for each in conditions if each["type"] == type_), {})

    def is_so(self, name: str, type_: str, reason: str = "") -> bool:
        found = self.condition(name, type_)
        return found.get("status") == "True" and reason in ("", found.get("reason"))

    def until_ready(self, name: str, *, within_s: float = 120.0) -> dict[str, Any]:
        """Its status, once what the spec asks for now is ready."""

        def ready() -> dict[str, Any] | None:
            found = self.get("strategy", name) or {}
            status = found.get("status", {})
            now = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
            return status if now and _is_true(status, "Ready") else None

        try:
            return until(ready, f"{name} is ready", within_s=within_s)
        except Failed as failed:
            raise Failed(f"{failed}; status {json.dumps(self.status(name))}") from None

    def pods(self, strategy: str) -> list[dict[str, Any]]:
        return self.listed("pods", f"stratops.dev/strategy={strategy}")

    def events(self, name: str) -> list[str]:
        """Their reasons, oldest first."""
        found = self.listed("events")
        about = [each for each in found if each["involvedObject"].get("name") == name]
        return [each["reason"] for each in sorted(about, key=_when)]

    # ---- what the gateway and the venue have

    def journal(self, sql: str) -> list[list[Any]]:
        """Rows of the gateway's journal, read beside the gateway."""
        python = ("python", "-c", _JOURNAL, sql)
        found: list[list[Any]] = json.loads(
            self.kubectl("exec", "stratops-gateway-0", "--", *python)
        )
        return found

    def reconciled(self) -> dict[str, Any]:
        """The gateway's own view of the desk, compared with the venue's."""
        audience = ("--audience", audience_of(self.namespace))
        token = self.kubectl("create", "token", "stratops-operator", *audience).strip()
        ca = (self.get("configmap", "stratops-gateway-ca") or {})["data"]["ca.crt"]
        address = (self.get("configmap", "stratops-desk") or {})["data"]["gateway"]
        python = ("python", "-P", "-c", _ASK, address, token, ca)
        found: dict[str, Any] = json.loads(
            self.kubectl("exec", "stratops-gateway-0", "--", *python)
        )
        return found

    def until_ledger_equals_venue(self, *, within_s: float = 120.0) -> None:
        def equal() -> bool:
            return bool(self.reconciled().get("reconciliation", {}).get("equal"))

        until(equal, "the ledger equals the venue's book", within_s=within_s, every_s=1)

    def metric(self, pod: str, name: str, **labels: str) -> float:
        """The sum of what the pod's page says of `name`, where the labels are these."""
        page = self.kubectl(
            "get", "--raw", f"/api/v1/namespaces/{self.namespace}/pods/{pod}:9092/proxy/metrics"
        )
        families = text_string_to_metric_families(page)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A local port that leads to `target`, as in `pod/NAME` or `service/NAME`."""
        words = [str(word) for word in self._kubectl]
        command = [*words, "port-forward", "--address", "127.0.0.1", target, f":{port}"]
        environ = self.cluster.environment
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as forward:
            try:
                assert forward.stdout is not None
                line = forward.stdout.readline()  # "Forwarding from 127.0.0.1:PORT -> ..."
                yield int(line.split(" -> ")[0].rpartition(":")[2])
            finally:
                forward.kill()


def runner_process(pod: str) -> psutil.Process:
    """The runner in a pod, as a process of this machine. Raises Failed."""

    def found() -> psutil.Process | None:
        for process in psutil.process_iter(["environ"]):
            environ = process.info["environ"] or {}
            if environ.get("STRATOPS_POD") == pod:
                return process
        return None

    return until(found, f"a process of pod {pod}")


def _is_true(status: Mapping[str, Any], type_: str) -> bool:
    conditions = status.get("conditions", [])
    return any(each["type"] == type_ and each["status"] == "True" for each in conditions)


def _when(event: Mapping[str, Any]) -> str:
    return str(
        event.get("eventTime") or event.get("lastTimestamp") or event.get("firstTimestamp") or ""
    )


def strategy(name: str, **spec: Any) -> dict[str, Any]:
    """A Strategy that trades a little on the sample; `spec` replaces parts of its spec."""
    usual: dict[str, Any] = {
        "strategy": {"builtin": "sma_crossover"},
        "version": "1.0.0",
        "parameters": {"short_period": 5, "long_period": 20, "quantity": "0.01"},
        "symbols": ["BTCUSDT"],
        "mode": "simulation",
    }
    return {
        "apiVersion": "stratops.dev/v1alpha1",
        "kind": "Strategy",
        "metadata": {"name": name},
        "spec": usual | spec,
    }


# Says something at every tick; `shade` is there to be edited.
EVERY_TICK = """
from decimal import Decimal

from strategy_sdk import Event, Strategy, Tick


class EveryTick(Strategy):
    shade: int = 0

    def on_market_data(self, event: Event) -> None:
        if isinstance(event, Tick):
            self.buy(event.symbol, Decimal("0.001"))
"""
MOST = {"max_orders_per_second": 1000000, "max_orders_per_minute": 1000000}


def every_tick(name: str, **spec: Any) -> dict[str, Any]:
    return strategy(
        name,
        strategy={"source": {"inline": EVERY_TICK}},
        parameters={"shade": 0},
        mode="observation",
        risk={"limits": MOST},
        **spec,
    )


def decided(desk: ClusterDesk, name: str) -> list[tuple[int, int, str, int]]:
    """Sequence, epoch, revision and time of each signal, as journalled."""
    rows = desk.journal(
        "SELECT json_extract(body, '$.signal.cause.sequence'), json_extract(body, '$.epoch'),"
        " json_extract(body, '$.revision'), at_ns FROM log"
        f" WHERE kind = 'decided' AND strategy = '{desk.namespace}/{name}' ORDER BY number"
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def check_each_tick_once(
    ours: Sequence[tuple[int, int, str, int]], others: Sequence[tuple[int, int, str, int]]
) -> None:
    """Of two that say something at every tick, as `decided` has them: while both ran, ours said it
    once at each tick, in their order, and epochs only rose."""
    sequences, control = [each[0] for each in ours], [each[0] for each in others]
    assert len(sequences) == len(set(sequences)), "a tick was decided twice"
    first, last = max(sequences[0], control[0]), min(sequences[-1], control[-1])
    both = [each for each in sequences if first <= each <= last]
    assert both
    assert both == sorted(each for each in control if first <= each <= last)
    epochs = [each[1] for each in ours]
    assert epochs == sorted(epochs)


def edit(desk: ClusterDesk, name: str, shade: int) -> dict[str, Any]:
    """Its status, once the new revision is armed and the old one gone."""
    before = desk.status(name)
    desk.patch(name, {"parameters": {"shade": shade}})

    def switched() -> dict[str, Any] | None:
        status = desk.status(name)
        new = status.get("revision") not in ("", None, before["revision"])
        return status if new and len(desk.pods(name)) == 1 else None

    try:
        return until(switched, f"{name} handed over", within_s=180)
    except Failed as failed:
        raise Failed(f"{failed}; {desk.status(name)}") from None
