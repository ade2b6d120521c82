"""The chart's copies of the cluster-wide objects are those of crds/."""

from pathlib import Path

import yaml

from chart_driver import CHART, ROOT, Object, rendered

CRDS = ROOT / "crds"
KEEP = "helm.sh/resource-policy"


def test_the_copies_are_equal() -> None:
    """`make crds` writes them."""
    copies = {path.name: path.read_text() for path in (CHART / "files" / "crds").glob("*.yaml")}
    assert copies == {path.name: path.read_text() for path in CRDS.glob("*.yaml")}
    assert copies


def test_they_are_rendered_as_they_are_and_kept() -> None:
    rendering = rendered("demo")
    for wanted in originals():
        found = rendering.one(wanted["kind"], wanted["metadata"]["name"])
        assert found["metadata"]["annotations"][KEEP] == "keep"
        assert found["spec"] == wanted["spec"]


def test_only_they_are_kept() -> None:
    kept = {
        (each["kind"], each["metadata"]["name"])
        for each in rendered("demo").objects
        if KEEP in each["metadata"].get("annotations", {})
    }
    assert kept == {(each["kind"], each["metadata"]["name"]) for each in originals()}


def test_they_are_left_out_where_an_admin_installs_them() -> None:
    rendering = rendered("demo", ["crds.install=false"])
    assert rendering.of_kind("CustomResourceDefinition", "ClusterRole") == ()
    assert rendering.of_kind("ValidatingAdmissionPolicy") == ()


def originals() -> list[Object]:
    return [each for path in _files() for each in yaml.safe_load_all(path.read_text()) if each]


def _files() -> list[Path]:
    return sorted(CRDS.glob("*.yaml"))
