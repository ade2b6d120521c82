"""Other ways to install: one operator for the whole cluster, and one file for kubectl."""

import subprocess
from collections.abc import Iterator

import pytest

from chart_driver import CHART, ROOT, helm, probe_becomes_ready
from cluster_driver import new_namespace
from dev_cluster import tools
from dev_cluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PATIENCE = ("--wait", "--timeout", "300s")


@pytest.fixture
def system(cluster: Cluster, image_values: list[str]) -> Iterator[str]:
    """The namespace of an operator for all of them."""
    name, environment = new_namespace(cluster, "system"), cluster.environment
    flags = ("--take-ownership", "--set", "operator.clusterWide=true,gateway.enabled=false")
    where = ("-n", name)
    options = [*where, *PATIENCE, *flags, *image_values]
    helm("install", "stratops", CHART, *options, environment=environment)
    yield name
    helm("uninstall", "stratops", *where, *PATIENCE, environment=environment)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_one_operator_serves_a_desk_in_another_namespace(
    cluster: Cluster, system: str, restricted: str, image_values: list[str]
) -> None:
    here = ("-n", restricted)
    served = f"crds.install=false,operator.enabled=false,operator.namespace={system}"
    demo = ("-f", CHART / "values-demo.yaml", "--set", served)
    environment = cluster.environment
    helm("install", "desk", CHART, *here, *PATIENCE, *demo, *image_values, environment=environment)
    helm("test", "desk", *here, environment=environment)
    probe_becomes_ready(cluster, restricted)
    cluster.kubectl("delete", "strategy", "probe", *here, "--timeout=60s")
    helm("uninstall", "desk", *here, *PATIENCE, environment=environment)


def test_a_desk_of_one_file_becomes_ready(cluster: Cluster, image_values: list[str]) -> None:
    name = new_namespace(cluster, "static")
    script = ["sh", str(ROOT / "scripts" / "install_yaml.sh"), name, *image_values]
    environment = {**cluster.environment, "HELM": str(tools.helm(4))}
    text = subprocess.check_output(script, env=environment, text=True)
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    cluster.kubectl(*apply, stdin=text)
    probe_becomes_ready(cluster, name)
    cluster.kubectl(*apply, stdin=text)  # again: the certificate's Job is not in the way
    cluster.kubectl("delete", "strategy", "probe", "-n", name, "--timeout=60s")
    cluster.kubectl("delete", "namespace", name, "--wait=false")
