"""The README's way onto a cluster: its manifest, and the commands that it names."""

import re
from pathlib import Path

import pytest
import yaml

from cluster_desk import ClusterDesk

pytestmark = pytest.mark.cluster

SECTION = (
    (Path(__file__).parents[2] / "README.md").read_text().partition("## On Kubernetes")[2]
).partition("\n## ")[0]


def test_its_manifest_becomes_ready(desk: ClusterDesk) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", SECTION, re.DOTALL)
    manifest = yaml.safe_load(text)
    manifest["metadata"]["namespace"] = desk.namespace
    desk.apply(manifest)
    desk.until_ready(manifest["metadata"]["name"])
    table = desk.kubectl("get", "strategies").splitlines()[0].split()
    (columns,) = re.findall(r"# (Ready, .*)$", SECTION, re.MULTILINE)
    assert [column.upper() for column in columns.split(", ")] == table[1:-1]
