"""What the chart makes of each values file, in outline: kinds, names, and who may do what."""

from pathlib import Path

import pytest
import yaml

from chart_driver import CHART, VALUES, Object, Rendering, helm, rendered

OUTLINES = Path(__file__).parent / "outlines"
FILES = sorted(path.stem for path in VALUES.glob("*.yaml"))


def outline(rendering: Rendering) -> dict[str, object]:
    """Small enough to read in a review; pods and policies have tests of their own."""
    roles = rendering.of_kind("Role", "ClusterRole")
    return {
        "objects": sorted(map(_name, rendering.objects)),
        "rules": {_name(role): sorted(map(_rule, role["rules"])) for role in roles},
    }


def _name(thing: Object) -> str:
    return f"{thing['kind']} {thing['metadata']['name']}"


def _rule(rule: dict[str, list[str]]) -> str:
    names = f" named {' '.join(rule['resourceNames'])}" if "resourceNames" in rule else ""
    return f"{' '.join(rule['resources'])}{names}: {' '.join(rule['verbs'])}"


@pytest.mark.parametrize("values", FILES)
def test_the_outline_is_the_one_that_was_reviewed(values: str) -> None:
    """Delete a file of `outlines` to have it written anew."""
    path, found = OUTLINES / f"{values}.yaml", outline(rendered(values))
    if not path.exists():
        path.write_text(yaml.safe_dump(found, width=1_000))
        pytest.fail(f"{path.name} was missing, and is written: read it")
    assert found == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("values", FILES)
def test_helm_3_renders_what_helm_4_renders(values: str) -> None:
    assert rendered(values, version=3).objects == rendered(values, version=4).objects


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("values", FILES)
def test_lint_finds_nothing(values: str, version: int) -> None:
    said = helm("lint", "--strict", CHART, "-f", VALUES / f"{values}.yaml", version=version)
    assert "1 chart(s) linted, 0 chart(s) failed" in said


def test_the_demo_of_the_chart_is_the_demo_of_the_tests() -> None:
    shipped = yaml.safe_load((CHART / "values-demo.yaml").read_text())
    assert shipped == yaml.safe_load((VALUES / "demo.yaml").read_text())


def test_the_packaged_chart_has_all_it_needs(tmp_path: Path) -> None:
    helm("package", CHART, "-d", tmp_path)
    (package,) = tmp_path.glob("stratops-*.tgz")
    desk = ("-n", "trading", "-f", CHART / "values-demo.yaml")
    packaged, plain = (helm("template", "desk", chart, *desk) for chart in (package, CHART))
    assert packaged == plain


@pytest.mark.parametrize(
    ("values", "hooks"),
    [
        ("demo", {"stratops-uninstall"}),
        ("desk-only", {"stratops-strategies-gone"}),
        ("operator-only", {"stratops-uninstall"}),
    ],
)
def test_no_uninstall_leaves_anybody_armed(values: str, hooks: set[str]) -> None:
    jobs = rendered(values).of_kind("Job")
    before = {
        each["metadata"]["name"]
        for each in jobs
        if each["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    }
    assert before == hooks


def test_no_object_is_rendered_twice() -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered("demo").objects]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", FILES)
def test_what_is_not_of_the_release_namespace_needs_crds_install_cluster_wide_or_people(
    values: str,
) -> None:
    sets = ["crds.install=false", "operator.clusterWide=false", "gateway.people=[]"]
    for each in rendered(values, sets).objects:
        assert each["metadata"]["namespace"] == "trading", each


def test_the_version_is_the_package_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[1] / "pyproject.toml").read_text()
    assert chart["version"] == chart["appVersion"]
    assert f'version = "{chart["version"]}"' in project


def test_monitors_need_the_kinds_of_the_prometheus_operator() -> None:
    monitors = {"PodMonitor", "ServiceMonitor"}
    assert monitors <= {each["kind"] for each in rendered("monitoring").objects}
    assert monitors.isdisjoint(each["kind"] for each in rendered("demo").objects)
    without = rendered("monitoring", monitors=False).objects
    assert monitors.isdisjoint(each["kind"] for each in without)


def test_notes_say_the_next_three_commands() -> None:
    # the server's part is not needed to render the notes
    said = helm("install", "desk", CHART, "-n", "trading", "--dry-run=client", *_demo())
    notes = said[said.index("NOTES:") :]
    for command in ("helm test desk -n trading", "kubectl apply -n trading", "kubectl wait -n"):
        assert f"\n{command}" in notes


def _demo() -> list[str]:
    return ["-f", str(CHART / "values-demo.yaml")]
