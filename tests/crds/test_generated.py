"""What is committed in crds/ is what the models say, and keeps the rules of such files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_spec import crds
from platform_spec.installation import files

ROOT = Path(__file__).parents[2]
DEFINITIONS = {each["spec"]["names"]["kind"]: each for each in crds.definitions()}


def schema(kind: str) -> dict[str, Any]:
    (version,) = DEFINITIONS[kind]["spec"]["versions"]
    root: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return root


def parts(part: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, with its path."""
    yield path, part
    for name, inner in part.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in part:
            yield from parts(part[word], f"{path}[]")


@pytest.mark.parametrize("folder", ["crds", "charts/stratops/files/crds"])
def test_the_committed_files_are_those_of_the_models(folder: str) -> None:
    committed = {path.name: path.read_text() for path in (ROOT / folder).glob("*.yaml")}
    assert committed == files(), "run `make crds`"


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_no_default_would_change_what_is_stored(kind: str) -> None:
    """Else a chart upgrade would make a revision of each strategy."""
    with_default = [path for path, part in parts(schema(kind)) if "default" in part]
    assert with_default == ([".status"] if kind == "Strategy" else [])


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_each_field_says_what_it_is_for(kind: str) -> None:
    undescribed = [
        path
        for path, part in parts(schema(kind)["properties"]["spec"])
        if not path.endswith("[]") and "description" not in part
    ]
    assert undescribed == []


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_each_text_and_list_has_an_end(kind: str) -> None:
    """CEL's costs are counted from it."""
    ends = {"string": "maxLength", "array": "maxItems"}
    endless = [
        path
        for path, part in parts(schema(kind)["properties"]["spec"])
        if (end := ends.get(part.get("type", ""))) and not {end, "enum"} & part.keys()
    ]
    assert endless == []


def test_only_numbers_and_parameters_are_left_to_the_admission_policy() -> None:
    untyped = {
        path.rpartition(".")[2]
        for path, part in parts(schema("Strategy"))
        if "x-kubernetes-preserve-unknown-fields" in part
    }
    assert {"parameters", "amount", "cpu", "max_drawdown"} <= untyped
    assert not untyped & {"symbols", "mode", "builtin", "account", "deadlineSeconds"}


def test_lists_that_the_operator_writes_merge_by_key() -> None:
    status = schema("Strategy")["properties"]["status"]["properties"]
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert status["quarantined"]["x-kubernetes-list-map-keys"] == ["revision"]


def test_the_files_are_plain_yaml() -> None:
    kinds = [each["kind"] for text in files().values() for each in yaml.safe_load_all(text)]
    assert kinds.count("CustomResourceDefinition") == 3
    assert kinds.count("ValidatingAdmissionPolicy") == 2
    assert kinds.count("ValidatingAdmissionPolicyBinding") == 2
