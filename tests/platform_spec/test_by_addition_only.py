"""CRDs change by addition only: what was once a field, with its type and words, stays one.

`stored_fields.txt` has them all. A line is added with a field; none is ever taken out or changed,
since objects in clusters and policies in journals have it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

CRDS = Path(__file__).parents[2] / "crds"
KNOWN = Path(__file__).with_name("stored_fields.txt").read_text().splitlines()


@pytest.mark.parametrize("kind", ["strategies", "riskpolicies", "strategyrevisions"])
def test_what_was_a_field_stays_one(kind: str) -> None:
    known = {line for line in KNOWN if line.startswith(f"{kind} ")}
    there = set(fields_of(kind))
    assert not known - there, "gone, or changed"
    assert not there - known, "new: add it to stored_fields.txt"


def fields_of(kind: str) -> Iterator[str]:
    crd = next(yaml.safe_load_all((CRDS / f"{kind}.yaml").read_text()))
    for version in crd["spec"]["versions"]:
        yield from _fields(version["schema"]["openAPIV3Schema"], f"{kind} {version['name']}")


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    yield f"{path}: {schema.get('type', 'any')}"
    yield from (f"{path}: {schema['type']} {word}" for word in schema.get("enum", ()))
    for name, each in schema.get("properties", {}).items():
        yield from _fields(each, f"{path}.{name}")
    for part, name in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(part), Mapping):
            yield from _fields(schema[part], path + name)
