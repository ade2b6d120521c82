"""The alerts of the chart: rendered as they should be, read by a real promtool, and each one fires
on its trouble, in its time, and on nothing else.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_driver import CHART, ROOT, HelmFailed, Rendering, rendered
from desk_driver import DeskDriver
from dev_cluster import tools
from risk_gateway.metrics import DeskCollector
from risk_gateway.metrics import exposition as desk_page
from risk_gateway.report import FeedView, levels
from risk_gateway.room import Room
from strategy_operator.metrics import Counts, Levels, OperatorCollector
from strategy_operator.metrics import exposition as operator_page

ON = ["monitoring.enabled=true", "monitoring.alerts.enabled=true"]
SELECTOR = re.compile(r"\b((?:strategy_engine|stratops)_\w+)(?:\{([^}]*)\})?")
GIVEN = {"namespace", "job", "instance"}  # to every series, by whoever scrapes

# By their files: nothing is rendered before a test asks for it.
FILES = (CHART / "files" / "alerts").glob("*.yaml")
ALERTS = sorted(name for path in FILES for name in re.findall(r"alert: (\w+)", path.read_text()))
each_alert = pytest.mark.parametrize("alert", ALERTS)

Rule = Mapping[str, Any]


def alerting(values: str = "replicas", *sets: str) -> Rendering:
    return rendered(values, [*ON, *sets])


def groups(rendering: Rendering) -> list[dict[str, Any]]:
    spec = rendering.one("PrometheusRule", "stratops")["spec"]
    return list(spec["groups"])


def rules(rendering: Rendering) -> list[Rule]:
    return [rule for group in groups(rendering) for rule in group["rules"]]


def named(alert: str, *sets: str) -> Rule:
    (found,) = (rule for rule in rules(alerting("replicas", *sets)) if rule["alert"] == alert)
    return found


def names(rendering: Rendering) -> set[str]:
    return {rule["alert"] for rule in rules(rendering)}


# ---- Rendering


@pytest.mark.parametrize("values", ["demo", "monitoring"])
def test_there_are_none_unless_they_are_asked_for(values: str) -> None:
    assert rendered(values, ["monitoring.alerts.enabled=false"]).of_kind("PrometheusRule") == ()


def test_there_are_none_where_the_cluster_does_not_know_the_kind() -> None:
    assert rendered("demo", ON, monitors=False).of_kind("PrometheusRule") == ()


def test_alerts_without_metrics_are_refused() -> None:
    with pytest.raises(HelmFailed, match=r"monitoring\.alerts\.enabled: true, but monitoring\.en"):
        rendered("demo", ["monitoring.enabled=false", "monitoring.alerts.enabled=true"])


def test_whoever_selects_monitors_by_a_label_selects_these_by_it() -> None:
    rule = alerting("demo", 'monitoring.labels={"release":"prom"}').one(
        "PrometheusRule", "stratops"
    )
    assert rule["metadata"]["labels"]["release"] == "prom"


def test_a_release_has_the_alerts_of_its_parts() -> None:
    desk, operator = names(alerting("desk-only")), names(alerting("operator-only"))
    assert desk | operator == names(alerting("demo"))
    assert "StratOpsOperatorDown" in operator - desk
    assert "StratOpsGatewayDown" in desk - operator


def test_an_operator_for_all_looks_at_every_namespace() -> None:
    everywhere = named("StratOpsStrategyNotReady", "operator.clusterWide=true")
    assert "namespace=" not in everywhere["expr"]
    assert 'namespace="trading"' in named("StratOpsStrategyNotReady")["expr"]


def test_thresholds_are_the_values() -> None:
    sets = [
        "monitoring.alerts.feedStaleSeconds=77", "monitoring.alerts.journalFreeBytes=123456789012",
        "monitoring.alerts.callersRefused=0", 'monitoring.alerts.handOverFor="3m"',
        'monitoring.alerts.notReadyFor="4h"',
    ]  # fmt: skip
    found = {rule["alert"]: rule for rule in rules(alerting("demo", *sets))}
    assert found["StratOpsFeedStale"]["expr"].endswith("> 77")
    assert found["StratOpsJournalNearlyFull"]["expr"].endswith("< 123456789012")
    assert found["StratOpsCallersRefused"]["expr"].endswith("> 0")
    assert found["StratOpsHandOverStuck"]["for"] == "3m"
    assert found["StratOpsStrategyNotReady"]["for"] == "4h"


def test_nothing_is_left_to_be_filled_in() -> None:
    assert "@" not in yaml.safe_dump(groups(alerting()))


@each_alert
def test_an_alert_says_how_bad_where_and_what_to_do(alert: str) -> None:
    rule = named(alert)
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert re.fullmatch(r"[1-9]\d*[smh]", rule["for"])
    said = rule["annotations"]
    for text in (said["summary"], said["description"]):
        assert "$labels.namespace" in text or "$labels.strategy" in text
    page, _, anchor = said["runbook"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}


def test_the_docs_tell_of_no_other_alert() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted(names(alerting()))


# ---- Names


def documented() -> dict[str, set[str]]:
    """Labels of each metric in docs/metrics.md."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        if line.startswith("| `") and line.count("|") >= 6:
            name, _, labels, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            found[name.strip("`")] = set(re.findall(r"\w+", labels))
    return found


def selectors(rule: Rule) -> Iterator[tuple[str, set[str]]]:
    """Each metric that it asks for, and the labels that it asks for."""
    for name, matchers in SELECTOR.findall(rule["expr"]):
        yield name, set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\"", matchers))


@each_alert
def test_what_an_alert_asks_for_is_documented(alert: str) -> None:
    rule = named(alert)
    known = documented()
    told: set[str] = set(GIVEN)
    for name, labels in selectors(rule):
        assert labels - GIVEN <= known[name], name
        told |= known[name]
    said = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", said)) <= told


async def test_what_alerts_ask_for_is_exported(tmp_path: Path) -> None:
    asked = {name for rule in rules(alerting()) for name, _ in selectors(rule)}
    pages = await desk_text(tmp_path) + operator_page(OperatorCollector(Counts(), Levels)).decode()
    exported = set(re.findall(r"^# TYPE (\S+)", pages, re.MULTILINE))
    assert asked - exported == set()


async def desk_text(folder: Path) -> str:
    desk = DeskDriver(folder)
    room, feed = Room(desk.journal.path), FeedView(lambda: "", lambda: None)
    found = replace(levels(desk.desk, room, True, feed=feed), start_differences=())
    text = desk_page(DeskCollector(desk.state.counts, lambda: found)).decode()
    desk.close()
    return text


# ---- Behaviour, by promtool's own clock

STEP_S = 15
QUIET = 40  # steps before the trouble
LASTS = 60  # steps of it
NS = 'namespace="trading"'
GATEWAY = f'{NS}, job="stratops-gateway", instance="a"'
OPERATOR = f'{NS}, job="stratops-operator"'

# A desk that has no trouble, another one that has, and a strategy that is not meant to trade.
REST = {
    f"strategy_engine_halted{{{GATEWAY}}}": "0",
    f"up{{{GATEWAY}}}": "1",
    f'up{{{NS}, job="stratops-gateway", instance="b"}}': "1",
    f"strategy_engine_policies_followed{{{GATEWAY}}}": "1",
    f"strategy_engine_start_differences{{{GATEWAY}}}": "0",
    f"strategy_engine_stray_fills_total{{{GATEWAY}}}": "3",
    f'strategy_engine_orders_unknown{{{GATEWAY}, strategy="trading/s"}}': "0",
    f'strategy_engine_venue_breaker{{{GATEWAY}, venue="main", state="closed"}}': "1",
    f'strategy_engine_venue_breaker{{{GATEWAY}, venue="main", state="open"}}': "0",
    f"strategy_engine_feed_age_seconds{{{GATEWAY}}}": "0.4",
    f"strategy_engine_journal_stuck_seconds{{{GATEWAY}}}": "0.01",
    f"strategy_engine_journal_free_bytes{{{GATEWAY}}}": "1000000000",
    f"strategy_engine_journal_least_free_bytes{{{GATEWAY}}}": "67108864",
    f'strategy_engine_unknown_callers_total{{{GATEWAY}, reason="expired"}}': "9000",
    f'strategy_engine_unknown_callers_total{{{GATEWAY}, reason="missing_role"}}': "0",
    f'strategy_engine_unknown_callers_total{{{GATEWAY}, reason="not_wanted"}}': "0+1",
    f'stratops_operator_leader{{{OPERATOR}, instance="one"}}': "1",
    f'stratops_operator_leader{{{OPERATOR}, instance="two"}}': "0",
    f'stratops_operator_gateway_up{{{OPERATOR}, instance="one"}}': "1",
    f'stratops_operator_gateway_up{{{OPERATOR}, instance="two"}}': "1",  # from when it led
    f'stratops_operator_faults_total{{{OPERATOR}, instance="one"}}': "2",
    f'stratops_strategy_not_ready{{{OPERATOR}, strategy="trading/idle", reason="Suspended"}}': "1",
    'strategy_engine_halted{namespace="other"}': "1",
    'strategy_engine_standings{namespace="other", scope="desk", standing="halted"}': "1",
    'strategy_engine_feed_age_seconds{namespace="other"}': "+Inf",
    'stratops_operator_gateway_up{namespace="other", instance="one"}': "0",
    'stratops_strategy_not_ready{namespace="other", strategy="other/s", reason="NoDesk"}': "1",
}

GONE = "stale"
NOT_READY = f'stratops_strategy_not_ready{{{OPERATOR}, strategy="trading/s", reason="Starting"}}'
CALLERS = f"strategy_engine_unknown_callers_total{{{GATEWAY}"
BREACH = (
    f'strategy_engine_breaches_in_force{{{GATEWAY}, scope="strategy trading/s", type="max_drawdown"'
)
STANDING = f"strategy_engine_standings{{{GATEWAY}"

# Alert, severity, seconds until it fires, and what becomes of which series.
TROUBLES: Sequence[tuple[str, str, int, Mapping[str, str]]] = (
    ("GatewayDown", "critical", 60, {f"strategy_engine_halted{{{GATEWAY}}}": GONE}),
    (
        "StandbyDown", "warning", 300,
        {f'up{{{NS}, job="stratops-gateway", instance="b"}}': "0"},
    ),
    ("DeskHalted", "critical", 30, {f"strategy_engine_halted{{{GATEWAY}}}": "1"}),
    (
        "Halted", "critical", 30,
        {f'{STANDING}, scope="strategy trading/s", standing="halted"}}': "1"},
    ),
    ("Reducing", "warning", 120, {f'{STANDING}, scope="desk", standing="reducing"}}': "1"}),
    ("BreachInForce", "critical", 15, {f'{BREACH}, action="stop"}}': "1"}),
    ("LimitExceeded", "warning", 15, {f'{BREACH}, action="alert"}}': "1"}),
    (
        "CheckBypassed", "info", 60,
        {f'strategy_engine_checks_bypassed{{{GATEWAY}, strategy="s", type="slippage"}}': "1"},
    ),
    (
        "PoliciesNotFollowed", "warning", 300,
        {f"strategy_engine_policies_followed{{{GATEWAY}}}": "0"},
    ),
    ("LedgerDiffers", "critical", 60, {f"strategy_engine_start_differences{{{GATEWAY}}}": "2"}),
    (
        "LedgerNotCompared", "warning", 300,
        {f"strategy_engine_start_differences{{{GATEWAY}}}": GONE},
    ),
    ("StrayFill", "critical", 60, {f"strategy_engine_stray_fills_total{{{GATEWAY}}}": "4"}),
    (
        "OrdersUnknown", "critical", 120,
        {f'strategy_engine_orders_unknown{{{GATEWAY}, strategy="trading/s"}}': "1"},
    ),
    (
        "VenueDown", "critical", 60,
        {f'strategy_engine_venue_breaker{{{GATEWAY}, venue="main", state="closed"}}': "0"},
    ),
    ("FeedStale", "critical", 30, {f"strategy_engine_feed_age_seconds{{{GATEWAY}}}": "10.5"}),
    ("FeedStale", "critical", 30, {f"strategy_engine_feed_age_seconds{{{GATEWAY}}}": "+Inf"}),
    ("JournalStuck", "critical", 15, {f"strategy_engine_journal_stuck_seconds{{{GATEWAY}}}": "11"}),
    ("JournalFull", "critical", 15, {f"strategy_engine_journal_free_bytes{{{GATEWAY}}}": "6e7"}),
    (
        "JournalNearlyFull", "warning", 300,
        {f"strategy_engine_journal_free_bytes{{{GATEWAY}}}": "268435455"},
    ),
    (
        "HandOverStuck", "warning", 600,
        {f'strategy_engine_handing_over{{{GATEWAY}, strategy="trading/s"}}': "1"},
    ),
    ("CallersRefused", "warning", 60, {f'{CALLERS}, reason="expired"}}': "9030"}),
    ("CallersRefused", "warning", 60, {f'{CALLERS}, reason="missing_role"}}': "11"}),
    (
        "OperatorDown", "warning", 120,
        {f'stratops_operator_leader{{{OPERATOR}, instance="{n}"}}': GONE for n in ("one", "two")},
    ),
    (
        "OperatorNotLeading", "warning", 60,
        {f'stratops_operator_leader{{{OPERATOR}, instance="one"}}': "0"},
    ),
    (
        "OperatorFault", "warning", 60,
        {f'stratops_operator_faults_total{{{OPERATOR}, instance="one"}}': "3"},
    ),
    (
        "GatewayUnreachable", "critical", 60,
        {f'stratops_operator_gateway_up{{{OPERATOR}, instance="one"}}': "0"},
    ),
    ("StrategyNotReady", "warning", 600, {NOT_READY: "1"}),
    (
        "StrategyNotReady", "warning", 600,  # a reason that changes begins nothing anew
        {NOT_READY: f"1x9 {GONE}", NOT_READY.replace("Starting", "CrashLoop"): "_x9 1"},
    ),
)  # fmt: skip


def written(series: str, then: str) -> str:
    """At rest, then as the trouble has it."""
    before = f"{REST[series]}x{QUIET - 1}" if series in REST else f"_x{QUIET}"
    begun, _, last = then.rpartition(" ")
    lasting = f"stale _x{LASTS}" if last == GONE else lasts(last, LASTS)
    return f"{before} {begun} {lasting}".replace("  ", " ")


def lasts(value: str, steps: int) -> str:
    """promtool cannot read `+Infx7`."""
    return " ".join([value] * steps) if "Inf" in value else f"{value}x{steps}"


def case(trouble: Mapping[str, str], *looks: tuple[int, Sequence[Mapping[str, str]]]) -> Any:
    quiet = {series: lasts(value, QUIET + LASTS) for series, value in REST.items()}
    values = quiet | {series: written(series, then) for series, then in trouble.items()}
    return {
        "interval": f"{STEP_S}s",
        "input_series": [{"series": name, "values": text} for name, text in values.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
                "eval_time": f"{at_s}s",
                "exp_samples": [{"labels": _labels(each), "value": 1} for each in firing],
            }
            for at_s, firing in looks
        ],
    }


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def suite(*tests: Any) -> Mapping[str, Any]:
    every = {"evaluation_interval": f"{STEP_S}s"}
    return {"rule_files": ["rules.yml"], **every, "tests": list(tests)}


def promtool(folder: Path, what: str, document: Mapping[str, Any]) -> str:
    """What it says; AssertionError where it is not content."""
    (folder / "rules.yml").write_text(json.dumps({"groups": groups(alerting())}))
    (folder / "file.yml").write_text(json.dumps(document))
    file = folder / ("rules.yml" if what == "check" else "file.yml")
    command = [str(tools.promtool()), what, "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_can_read_every_rule(tmp_path: Path) -> None:
    assert f"{len(rules(alerting()))} rules found" in promtool(tmp_path, "check", {})


def test_every_alert_has_a_trouble_here() -> None:
    assert {f"StratOps{alert}" for alert, *_ in TROUBLES} == names(alerting()) == set(ALERTS)


def test_at_rest_nothing_fires(tmp_path: Path) -> None:
    looks: list[tuple[int, list[Any]]] = [(minute * 60, []) for minute in (1, 5, 20)]
    promtool(tmp_path, "test", suite(case({}, *looks)))


def test_each_trouble_fires_its_alert_in_its_time_and_no_other(tmp_path: Path) -> None:
    """In one run of promtool, which names what differs: it takes longer to start than to look."""
    promtool(tmp_path, "test", suite(*(fired(*each) for each in TROUBLES)))


def fired(alert: str, severity: str, after_s: int, trouble: Mapping[str, str]) -> Any:
    begins_s = QUIET * STEP_S
    firing = {"alertname": f"StratOps{alert}", "severity": severity}
    looks = [(begins_s + after_s - STEP_S, []), (begins_s + after_s, [firing])]
    return case(trouble, *looks) | {"name": alert}


def test_an_alert_names_whom_it_is_about(tmp_path: Path) -> None:
    strategy = "trading/s"
    test = case({f'strategy_engine_handing_over{{{GATEWAY}, strategy="{strategy}"}}': "1"})
    said = {
        "summary": "trading/s: a hand-over does not end",
        "description": "In trading the revision of trading/s that should trade has not taken over"
        " for 10m; the one before trades on.",
        "runbook": "docs/alerts.md#stratopshandoverstuck",
    }
    labels = {"severity": "warning", "strategy": strategy, "namespace": "trading"}
    labels |= {"job": "stratops-gateway", "instance": "a"}
    expected = {"exp_labels": labels, "exp_annotations": said}
    test["alert_rule_test"] = [
        {"eval_time": "22m", "alertname": "StratOpsHandOverStuck", "exp_alerts": [expected]}
    ]
    promtool(tmp_path, "test", suite(test))
