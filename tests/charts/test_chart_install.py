"""The demo on the test cluster by Helm 4: installed, used, upgraded, uninstalled, and back again.

One desk for all of them: they run in this order.
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from chart_driver import CHART, ROOT, blocks, pasted, rendered
from cluster_desk import ClusterDesk, Failed, strategy, until
from dev_cluster.built import BuiltCluster
from dev_cluster.cluster import Cluster
from flows import OUTSIDE, between, connections, flows
from platform_spec.shapes import processors_of
from rights import Right, asked, granted

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# Made by the cluster in every namespace; an event is a message, not an object of ours.
OF_THE_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
CLAIM = {"persistentvolumeclaim/journal-stratops-gateway-0"}
_SQL = """
import json, sqlite3, sys
journal = sqlite3.connect("/var/lib/stratops/journal.db", timeout=30, isolation_level=None)
print(json.dumps(journal.execute(sys.argv[1]).fetchall()))
"""
LASTING = ("operator", "gateway", "runner", "venue", "feed")  # the rest ends within seconds
# Each needs what a test of this length does not wait for.
GONE = "what a list lacks, or what lost the label of its watch, is asked for by name"
RARELY = {
    Right("stratops-operator", "get", "pods"): GONE,
    Right("stratops-operator", "get", "riskpolicies.stratops.dev"): GONE,
    Right("stratops-certificates", "update", "secrets"): "a certificate that grows old",
    Right("stratops-certificates", "update", "configmaps"): "a certificate that grows old",
    Right("stratops-operator", "patch", "events"): "what is said again within 30 s to 10 minutes",
}


@pytest.fixture(scope="module")
def desk(
    cluster: Cluster,
    restricted: str,
    image: dict[str, object],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ClusterDesk]:
    """As the chart before this one installs it."""
    made = ClusterDesk(cluster, restricted, values={"image": image})
    # CRDs that another release left on the shared cluster are taken over.
    made.install(previous_chart(tmp_path_factory.mktemp("previous")), flags=["--take-ownership"])
    yield made
    made.helm("uninstall", "desk", "--ignore-not-found", "--wait")


def previous_chart(place: Path) -> Path:
    """As of the last commit that has it otherwise; this one in a clone without a history."""
    folder = str(CHART.relative_to(ROOT))
    for commit in _git("log", "--format=%H", "--", folder).decode().split():
        if _git("diff", "--name-only", commit, "--", folder):
            with tarfile.open(fileobj=BytesIO(_git("archive", commit, folder))) as tar:
                tar.extractall(place, filter="data")
            return place / folder
    return CHART


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout


# ---- installed and used


def test_a_live_strategy_is_refused_where_the_desk_does_not_allow_it(desk: ClusterDesk) -> None:
    desk.apply(policy("firm"), live("real"))
    until(lambda: desk.is_so("real", "Stalled", "Rejected"), "the gateway's refusal is told")
    assert "mode live" in desk.condition("real", "Stalled")["message"]
    assert desk.pods("real") == []


def test_an_upgrade_after_a_day_of_other_writes_meets_no_conflict(desk: ClusterDesk) -> None:
    a_day_of_writes(desk)
    before = uids(desk)
    desk.install(gateway={"allowLive": True})
    assert uids(desk) == before
    assert field(desk, "deployment/stratops-operator", "spec.replicas") == "2"
    assert field(desk, "strategy/probe", "spec.parameters.long_period") == "31"


def field(desk: ClusterDesk, what: str, path: str) -> str:
    return desk.kubectl("get", what, "-o", f"jsonpath={{.{path}}}")


def a_day_of_writes(desk: ClusterDesk) -> None:
    """By kubectl as people and pipelines use it, and by the operator, which answers to them."""
    probe = strategy("probe", revisionHistoryLimit=0)
    desk.apply(probe)
    desk.until_ready("probe")
    desk.kubectl("label", "pods", "-l", "stratops.dev/strategy=probe", "--overwrite",
                 "stratops.dev/revision=edited")  # fmt: skip
    probe["spec"]["parameters"]["long_period"] = 30
    applied = ("apply", "--server-side", "--field-manager=pipeline", "--force-conflicts")
    desk.kubectl(*applied, "-f", "-", stdin=json.dumps(probe))
    desk.until_ready("probe")
    desk.patch("probe", {"parameters": {"long_period": 31}})
    desk.kubectl("annotate", "strategy/probe", "stratops.dev/restart=today")
    desk.kubectl("patch", "riskpolicy/firm", "--type=merge", "-p", '{"spec":{"halted":true}}')
    desk.kubectl("annotate", "statefulset/stratops-gateway", "desk.example/note=watched")
    desk.kubectl("rollout", "restart", "deployment/stratops-operator")
    desk.kubectl("scale", "deployment/stratops-operator", "--replicas=2")
    desk.kubectl("patch", "riskpolicy/firm", "--type=merge", "-p", '{"spec":{"halted":false}}')


def uids(desk: ClusterDesk) -> dict[str, str]:
    """Of what must be the same object after an upgrade."""
    kinds = "statefulsets,deployments,persistentvolumeclaims,secrets,services,strategies"
    return {
        f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"]
        for each in desk.listed(kinds)
        if not each["metadata"]["name"].startswith("sh.helm.release")
    }


def policy(name: str) -> dict[str, object]:
    return {
        "apiVersion": "stratops.dev/v1alpha1",
        "kind": "RiskPolicy",
        "metadata": {"name": name},
        "spec": {"allowLive": True, "limits": {"max_position_size": "1"}},
    }


def live(name: str) -> dict[str, object]:
    risk = {"policy": "firm", "limits": {"max_position_size": "1"}}
    return strategy(name, mode="live", capital={"amount": "1000"}, risk=risk)


def test_the_notes_commands_work_as_they_are(desk: ClusterDesk, tmp_path: Path) -> None:
    """`helm test`, a first strategy, and waiting for it."""
    notes = desk.helm("get", "notes", "desk")
    said = pasted(desk.cluster, notes[notes.index("helm test") :], tmp_path)
    assert "Succeeded" in said
    assert "strategy.stratops.dev/first condition met" in said


def test_a_live_strategy_trades_where_desk_and_policy_allow_it(desk: ClusterDesk) -> None:
    desk.until_ready("real")
    desk.until_ready("probe")


def test_every_pod_is_ready_and_was_never_restarted(desk: ClusterDesk) -> None:
    until(lambda: all(each.get("ready") for each in containers(desk)), "every container is ready")
    assert {each["restartCount"] for each in containers(desk)} == {0}


def containers(desk: ClusterDesk) -> list[dict[str, object]]:
    pods = desk.listed("pods")
    return [each for pod in pods for each in pod["status"].get("containerStatuses", [{}])]


# ---- who may what


def test_people_may_what_their_role_says(desk: ClusterDesk) -> None:
    """Kubernetes' own roles, which take the chart's in by their labels."""
    for role in ("view", "edit", "admin"):
        desk.kubectl("create", "rolebinding", f"trader-{role}", f"--clusterrole={role}",
                     f"--user={role}")  # fmt: skip
    questions = {
        ("view", "list", "strategies"): True,
        ("view", "create", "strategies"): False,
        ("edit", "patch", "strategies"): True,
        ("edit", "get", "riskpolicies"): True,
        ("edit", "patch", "riskpolicies"): False,
        ("edit", "delete", "strategyrevisions"): False,
        ("admin", "patch", "riskpolicies"): True,
    }
    until(lambda: allowed(desk, *questions) == list(questions.values()), "all as it should be")


def allowed(desk: ClusterDesk, *questions: tuple[str, str, str]) -> list[bool]:
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": who,
                "resourceAttributes": {
                    "namespace": desk.namespace,
                    "verb": verb,
                    "group": "stratops.dev",
                    "resource": resource,
                },
            },
        }
        for who, verb, resource in questions
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    answer = ("-o", 'jsonpath={.status.allowed}{"\\n"}')
    said = desk.kubectl("create", "-f", "-", *answer, stdin=document)
    return [line == "true" for line in said.split()]


@pytest.fixture(scope="module")
def audited(cluster: Cluster) -> BuiltCluster:
    if not isinstance(cluster, BuiltCluster):
        pytest.skip("another cluster's audit log cannot be read from here")
    return cluster


def test_nobody_asked_for_what_is_not_granted(desk: ClusterDesk, audited: BuiltCluster) -> None:
    assert asked(audited, desk.namespace, "forbid") == set()


def test_who_is_connected_to_whom_is_what_the_network_policies_let(desk: ClusterDesk) -> None:
    let = {flow for flow in between(flows(rendered("demo"))) if flow[0] in LASTING}
    let |= {("operator", OUTSIDE, 443), ("gateway", OUTSIDE, 443)}  # the API server
    until(lambda: connections(desk) == let, f"connections are {sorted(let)}")


def test_a_drain_waits_for_the_gateway_and_not_for_an_operator(desk: ClusterDesk) -> None:
    assert not may_be_evicted(desk, "gateway")
    until(lambda: may_be_evicted(desk, "operator"), "one of two may go")


def may_be_evicted(desk: ClusterDesk, part: str) -> bool:
    """Asked as a drain does, without doing it."""
    pod = desk.listed("pods", f"app.kubernetes.io/name=stratops-{part}")[0]["metadata"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["name"], "namespace": desk.namespace},
        "deleteOptions": {"dryRun": ["All"]},
    }
    path = f"/api/v1/namespaces/{desk.namespace}/pods/{pod['name']}/eviction"
    said = desk.tried_kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    return said.returncode == 0


# ---- the journal


def test_a_journal_is_put_back_by_the_commands_of_the_page(
    desk: ClusterDesk, tmp_path: Path
) -> None:
    """docs/install.md; what was decided after the copy is gone."""
    backup, restore = blocks("## The journal", desk.namespace)
    journal(desk, "CREATE TABLE drill (word TEXT)")
    journal(desk, "INSERT INTO drill VALUES ('kept')")
    pasted(desk.cluster, backup, tmp_path)
    journal(desk, "INSERT INTO drill VALUES ('lost')")
    pasted(desk.cluster, restore, tmp_path)
    desk.kubectl("rollout", "status", "statefulset/stratops-gateway", "--timeout=110s")
    assert journal(desk, "SELECT word FROM drill") == [["kept"]]


def journal(desk: ClusterDesk, sql: str) -> list[list[str]]:
    said = desk.kubectl("exec", "stratops-gateway-0", "--", "python", "-c", _SQL, sql)
    found: list[list[str]] = json.loads(said)
    return found


# ---- uninstalled


def test_an_uninstall_on_a_full_node_lets_strategies_go_and_keeps_them(desk: ClusterDesk) -> None:
    with full_node(desk.cluster):
        desk.helm("uninstall", "desk", "--wait", "--timeout", "280s")
    until(lambda: not desk.listed("pods"), "no pod is left")
    kept = {each["metadata"]["name"]: each["metadata"] for each in desk.listed("strategies")}
    assert set(kept) == {"first", "probe", "real"}
    assert not any("finalizers" in metadata for metadata in kept.values())


@contextmanager
def full_node(cluster: Cluster) -> Iterator[None]:
    """No processor is left to be asked for."""
    try:
        fill(cluster)
        yield
    finally:
        cluster.kubectl("delete", "pods", "-l", "app=filler", "--wait=false")


def fill(cluster: Cluster) -> None:
    for number in count():
        free_m = free_millis(cluster)
        if free_m <= 0:
            return
        resources = {"requests": {"cpu": f"{free_m}m"}}
        container = {"name": "filler", "image": "none", "resources": resources}
        overrides = json.dumps({"spec": {"containers": [container]}})
        run = ("run", f"filler-{number}", "--image=none", "--labels=app=filler")
        cluster.kubectl(*run, f"--overrides={overrides}")
        scheduled = ("--for=condition=PodScheduled", "--timeout=110s")
        cluster.kubectl("wait", f"pod/filler-{number}", *scheduled)


def free_millis(cluster: Cluster) -> int:
    (node,) = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    chosen = "--field-selector=status.phase!=Succeeded,status.phase!=Failed,spec.nodeName!="
    pods = json.loads(cluster.kubectl("get", "pods", "-A", chosen, "-o", "json"))["items"]
    asked_for = [
        processors_of(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
        for pod in pods
        for container in pod["spec"]["containers"]
    ]
    return int((processors_of(node["status"]["allocatable"]["cpu"]) - sum(asked_for)) * 1000)


def test_an_install_goes_on_with_what_was_left(desk: ClusterDesk) -> None:
    """The same release takes its definitions again, without being told to."""
    desk.install()
    assert journal(desk, "SELECT word FROM drill") == [["kept"]]
    desk.until_ready("probe")


def test_an_uninstall_leaves_the_claim_and_the_definitions(desk: ClusterDesk) -> None:
    desk.kubectl("delete", "rolebindings", "trader-view", "trader-edit", "trader-admin")
    desk.kubectl("delete", "strategies,riskpolicies", "--all", "--timeout=100s")
    desk.helm("uninstall", "desk", "--wait", "--timeout", "280s")
    until(lambda: left(desk) == CLAIM, "nothing else is left")
    ours = ("-l", "app.kubernetes.io/part-of=stratops", "-o", "name")
    assert desk.kubectl("get", "clusterroles,clusterrolebindings", *ours) == ""
    assert "strategies.stratops.dev" in desk.kubectl("get", "crds", *ours)


def left(desk: ClusterDesk) -> set[str]:
    kinds = desk.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    listed = ",".join(kind for kind in kinds if not kind.startswith("events"))
    found = desk.kubectl("get", listed, "-o", "name", "--ignore-not-found").split()
    return set(found) - OF_THE_NAMESPACE


def test_what_is_granted_was_used(desk: ClusterDesk, audited: BuiltCluster) -> None:
    rights = granted(rendered("demo")) - RARELY.keys()
    with suppress(Failed):  # what is missing says more
        until(lambda: rights <= asked(audited, desk.namespace, "allow"), "all was used", every_s=1)
    assert rights - asked(audited, desk.namespace, "allow") == set()
