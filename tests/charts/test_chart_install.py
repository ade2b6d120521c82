"""The demo on the test cluster by Helm 4: installed, tested, upgraded, uninstalled."""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from chart_driver import CHART, ROOT, HelmFailed, helm, probe_becomes_ready
from cluster_driver import wait_for
from dev_cluster import tools
from dev_cluster.cluster import Cluster, KubectlFailed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# Made by the cluster in every namespace; an event is a message, not an object of ours.
OF_THE_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
CLAIM = {"persistentvolumeclaim/journal-stratops-gateway-0"}
ROLES = ("view", "edit", "admin")
_SQL = """
import json, sqlite3, sys
journal = sqlite3.connect("/var/lib/stratops/journal.db", timeout=30, isolation_level=None)
print(json.dumps(journal.execute(sys.argv[1]).fetchall()))
"""
PATIENCE = ("--wait", "--timeout", "300s")


@dataclass(frozen=True, slots=True)
class Release:
    cluster: Cluster
    namespace: str
    image_values: list[str]

    def helm(self, *arguments: str | Path) -> str:
        where = ("-n", self.namespace)
        return helm(*arguments, *where, environment=self.cluster.environment)

    def install(self, *options: str, chart: Path = CHART) -> str:
        """Or upgrade. CRDs that another release of the shared cluster left are taken over."""
        demo = ("-f", chart / "values-demo.yaml")
        flags = ("--install", "--take-ownership", *PATIENCE)
        try:
            return self.helm("upgrade", "desk", chart, *flags, *demo, *self.image_values, *options)
        except HelmFailed as failed:
            raise HelmFailed(f"{failed}\n{self.state()}") from None

    def state(self) -> str:
        """For whoever reads a failure: the pods, and what those say that are not ready."""
        pods = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        unready = [
            each["metadata"]["name"]
            for each in pods
            if not all(status["ready"] for status in each["status"].get("containerStatuses", []))
        ]
        logs = [self.kubectl("logs", name, "--tail=15", "--ignore-errors") for name in unready]
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp")
        shown = [self.kubectl("get", "pods", "-o", "wide"), *logs, *events.splitlines()[-20:]]
        return "\n".join(shown)

    def uninstall(self) -> str:
        return self.helm("uninstall", "desk", *PATIENCE)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments)

    def until_no_pod_is_left(self) -> None:
        with suppress(AssertionError):  # what is said below is clearer
            wait_for(lambda: not self.kubectl("get", "pods", "-o", "name"))
        assert self.kubectl("get", "pods", "-o", "name") == "", self.state()

    def uids(self) -> dict[str, str]:
        """Of what must be the same object after an upgrade."""
        kinds = "statefulsets,deployments,persistentvolumeclaims,secrets,services"
        found = json.loads(self.kubectl("get", kinds, "-o", "json"))["items"]
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"]
            for each in found
            if not each["metadata"]["name"].startswith("sh.helm.release")
        }

    def left(self) -> set[str]:
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        listed = ",".join(kind for kind in kinds if not kind.startswith("events"))
        found = self.kubectl("get", listed, "-o", "name", "--ignore-not-found").split()
        return set(found) - OF_THE_NAMESPACE


@pytest.fixture(scope="module")
def release(cluster: Cluster, restricted: str, image_values: list[str]) -> Iterator[Release]:
    made = Release(cluster, restricted, image_values)
    made.install(chart=previous_chart())
    yield made
    if "desk" in made.helm("list", "-q"):
        made.uninstall()


def previous_chart() -> Path:
    """As it was before the version that the chart has now; the same where there was none."""
    folder = CHART.relative_to(ROOT)
    changes = _git("log", "--format=%H", "-G^version:", "--", str(folder / "Chart.yaml")).split()
    if len(changes) < 2:
        return CHART
    archive = subprocess.run(
        ["git", "archive", f"{changes[0]}^", str(folder)], cwd=ROOT, capture_output=True, check=True
    )
    place = ROOT / "build" / "previous-chart"
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(place, filter="data")
    return place / folder


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout


# One desk for all of them: they run in this order.


def test_the_installed_desk_passes_its_own_test(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "desk", "--timeout", "180s")


def test_every_pod_is_ready_and_was_never_restarted(release: Release) -> None:
    for pod in json.loads(release.kubectl("get", "pods", "-o", "json"))["items"]:
        (status,) = pod["status"]["containerStatuses"]
        assert (status["ready"], status["restartCount"]) == (True, 0), pod["metadata"]["name"]


def test_an_upgrade_to_this_chart_keeps_journal_certificate_and_sets(release: Release) -> None:
    before = release.uids()
    release.install()
    assert release.uids() == before
    release.helm("test", "desk", "--timeout", "180s")


def test_an_upgrade_after_somebody_scaled_meets_no_conflict(release: Release) -> None:
    release.kubectl("scale", "deployment/stratops-operator", "--replicas=2")
    release.kubectl("annotate", "statefulset/stratops-gateway", "desk.example/note=watched")
    release.install("--set", "logLevel=warning")
    replicas = "jsonpath={.spec.replicas}"
    found = release.kubectl("get", "deployment/stratops-operator", "-o", replicas)
    assert found == "2"


@pytest.mark.parametrize(
    ("who", "verb", "what", "may"),
    [
        ("stratops-gateway", "list", "riskpolicies", True),
        ("stratops-gateway", "get", "secrets", False),
        ("stratops-gateway", "get", "pods", False),
        ("stratops-runner", "get", "configmaps", False),
        ("stratops-runner", "list", "strategies", False),
        ("stratops-operator", "create", "pods", True),
        ("stratops-operator", "get", "secrets", False),
        ("stratops-operator", "create", "pods/exec", False),
        ("default", "list", "strategies", False),
    ],
)
def test_accounts_may_what_they_need(
    release: Release, who: str, verb: str, what: str, may: bool
) -> None:
    account = f"system:serviceaccount:{release.namespace}:{who}"
    assert release_allows(release, account, verb, what) is may
    elsewhere = release_allows(release, account, verb, what, "default")
    assert not elsewhere


@pytest.mark.parametrize(
    ("role", "verb", "what", "may"),
    [
        ("view", "list", "strategies", True),
        ("view", "create", "strategies", False),
        ("edit", "patch", "strategies", True),
        ("edit", "patch", "riskpolicies", False),
        ("edit", "get", "riskpolicies", True),
        ("edit", "delete", "strategyrevisions", False),
        ("admin", "patch", "riskpolicies", True),
    ],
)
def test_people_may_what_their_role_says(
    release: Release, role: str, verb: str, what: str, may: bool
) -> None:
    binding = ("create", "rolebinding", f"trader-{role}", f"--clusterrole={role}")
    if not release.kubectl("get", "rolebinding", f"trader-{role}", "--ignore-not-found"):
        release.kubectl(*binding, f"--user=trader-{role}")
    wait_for(lambda: release_allows(release, f"trader-{role}", "get", "strategies"))
    assert release_allows(release, f"trader-{role}", verb, what) is may


def release_allows(release: Release, who: str, verb: str, what: str, namespace: str = "") -> bool:
    resource, _, part = what.partition("/")
    if resource in ("strategies", "strategyrevisions", "riskpolicies"):
        resource = f"{resource}.stratops.dev"
    question = (verb, resource, f"--subresource={part}", f"--as={who}")
    where = ("-n", namespace) if namespace else ()
    try:
        said = release.kubectl("auth", "can-i", *question, *where)
    except KubectlFailed:
        return False  # it says no by its exit code too
    return said.strip() == "yes"


def test_a_journal_is_put_back_by_the_commands_of_the_page(
    release: Release, tmp_path: Path
) -> None:
    """docs/install.md; what was decided after the copy is gone."""
    backup, restore = commands("## The journal", release.namespace)
    journal(release, "CREATE TABLE drill (word TEXT)")
    journal(release, "INSERT INTO drill VALUES ('kept')")
    run(release, backup, tmp_path)
    journal(release, "INSERT INTO drill VALUES ('lost')")
    run(release, restore, tmp_path)
    release.kubectl("rollout", "status", "statefulset/stratops-gateway", "--timeout=180s")
    assert journal(release, "SELECT word FROM drill") == [["kept"]]


def commands(section: str, namespace: str) -> list[str]:
    """What its blocks say, for a desk in that namespace."""
    text = (ROOT / "docs" / "install.md").read_text()
    start = text.index(section)
    end = text.find("\n## ", start)
    blocks = re.findall(r"```\n(.*?)```", text[start : end if end > 0 else None], re.DOTALL)
    return [re.sub(r"-n trading\b", f"-n {namespace}", block) for block in blocks]


def run(release: Release, script: str, folder: Path) -> None:
    environment = dict(release.cluster.environment)
    environment["PATH"] = f"{tools.kubectl().parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def journal(release: Release, sql: str) -> list[list[str]]:
    said = release.kubectl("exec", "stratops-gateway-0", "--", "python", "-c", _SQL, sql)
    found: list[list[str]] = json.loads(said)
    return found


def test_an_uninstall_lets_strategies_go_and_keeps_them(release: Release) -> None:
    probe_becomes_ready(release.cluster, release.namespace)
    release.uninstall()
    release.until_no_pod_is_left()
    finalizers = "jsonpath={.metadata.finalizers}"
    assert release.kubectl("get", "strategy", "probe", "-o", finalizers) == ""


def test_an_install_goes_on_with_what_was_left(release: Release) -> None:
    release.install()
    assert journal(release, "SELECT word FROM drill") == [["kept"]]
    release.kubectl("wait", "--for=condition=Ready", "strategy/probe", "--timeout=110s")


def test_an_uninstall_leaves_the_claim_and_the_definitions(release: Release) -> None:
    bindings = [f"trader-{role}" for role in ROLES]
    release.kubectl("delete", "rolebindings", *bindings, "--ignore-not-found")
    release.kubectl("delete", "strategy", "probe", "--timeout=60s")
    release.uninstall()
    with suppress(AssertionError):  # what is said below is clearer
        wait_for(lambda: release.left() == CLAIM, 120)
    assert release.left() == CLAIM
    ours = ("-l", "app.kubernetes.io/part-of=stratops", "-o", "name")
    assert release.kubectl("get", "clusterroles,clusterrolebindings", *ours) == ""
    assert "strategies.stratops.dev" in release.kubectl("get", "crds", *ours)
