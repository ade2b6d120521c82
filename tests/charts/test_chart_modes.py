"""Other ways to install: one operator for the whole cluster, and one file for kubectl."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from chart_driver import CHART, ROOT, pasted
from cluster_desk import ClusterDesk, strategy, until
from cluster_driver import new_namespace
from dev_cluster import tools
from dev_cluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def system(cluster: Cluster, image: dict[str, Any]) -> Iterator[ClusterDesk]:
    """An operator for all namespaces, and no desk."""
    values = {"operator": {"clusterWide": True}, "gateway": {"enabled": False}, "image": image}
    made = ClusterDesk(cluster, new_namespace(cluster, "system"), "stratops", values)
    command = ("install", "stratops", CHART, "-n", made.namespace, "--take-ownership", "-f", "-")
    made.run(tools.helm(), *command, stdin=json.dumps(values))
    yield made
    made.remove()


def test_one_operator_serves_a_desk_that_its_notes_install(
    system: ClusterDesk, restricted: str
) -> None:
    """And lets its strategy go when it is uninstalled, before the desk is."""
    notes = system.helm("get", "notes", "stratops")
    script = re.sub(r"-n trading --create-namespace\b", f"-n {restricted}", notes)
    pasted(system.cluster, script[script.index("helm test") :], ROOT)
    desk = ClusterDesk(system.cluster, restricted)
    desk.apply(strategy("probe"))
    desk.until_ready("probe", within_s=120)
    roles = {each["metadata"]["name"] for each in system.listed("roles")}
    # What else it may do, a ClusterRole says.
    assert roles == {"stratops-operator-lease", "stratops-operator-token"}
    system.helm("uninstall", "stratops", "--wait")
    assert "finalizers" not in (desk.get("strategy", "probe") or {})["metadata"]
    until(lambda: not desk.pods("probe"), "its pods are gone")


def test_a_desk_of_one_file_becomes_ready(
    cluster: Cluster, other_restricted: str, image: dict[str, Any]
) -> None:
    desk = ClusterDesk(cluster, other_restricted)
    script = ["sh", str(ROOT / "scripts" / "install_yaml.sh"), desk.namespace]
    environment = {**cluster.environment, "HELM": str(tools.helm(4))}
    chosen = ["--set-json", f"image={json.dumps(image)}"]
    text = subprocess.check_output([*script, *chosen], env=environment, text=True)
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    desk.kubectl(*apply, stdin=text)
    until(lambda: desk.tried_kubectl("get", "strategies").returncode == 0, "the kinds are known")
    desk.apply(strategy("probe"))
    desk.until_ready("probe", within_s=120)
    desk.kubectl(*apply, stdin=text)  # again: the certificate's Job is not in the way
    desk.clear()
