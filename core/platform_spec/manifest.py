"""Manifests: files of one or more resources, read into models or into problems.

`parse(data, file)` reads every Strategy and RiskPolicy of a file, and the ConfigMaps beside them,
which may hold code. All of a file is good, or none of it is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from platform_spec.documents import Document, InvalidDocument, Path, documents
from platform_spec.metadata import API_VERSION
from platform_spec.policy import KIND as POLICY
from platform_spec.policy import RiskPolicy
from platform_spec.problems import (
    InvalidManifest,
    Problem,
    nearest,
    path_text,
    problems_of,
    shown,
)
from platform_spec.strategy import KIND, Strategy

_CONFIG_MAP = "ConfigMap"
_KINDS = (KIND, POLICY, _CONFIG_MAP)
# What an API server adds to an object; `kubectl get -o yaml` writes it.
_ADDED = frozenset(
    (
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "finalizers",
        "ownerReferences",
        "selfLink",
        "generateName",
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """A document and the file that it stands in."""

    document: Document
    file: str

    def problem(self, path: Path, value: str, expected: str, did_you_mean: str = "") -> Problem:
        """A problem of what stands at `path` in the document."""
        line = self.document.line_of(path)
        return Problem(self.file, line, path_text(path), value, expected, did_you_mean)


@dataclass(frozen=True, slots=True)
class Written(Place):
    """A strategy and where it was written."""

    strategy: Strategy


@dataclass(frozen=True, slots=True)
class WrittenPolicy(Place):
    """A policy and where it was written."""

    policy: RiskPolicy


@dataclass(frozen=True, slots=True)
class Manifest:
    strategies: tuple[Written, ...] = ()
    policies: tuple[WrittenPolicy, ...] = ()
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # ref -> data


def parse(data: bytes, file: str) -> Manifest:
    """The resources in `data`; `file` is its name in messages. Raises InvalidManifest."""
    found: list[Written | WrittenPolicy] = []
    config_maps: dict[str, Mapping[str, str]] = {}
    problems: list[Problem] = []
    for document in _documents(data, file):
        try:
            kind = _kind(document, file)
            if kind == _CONFIG_MAP:
                ref, texts = _config_map(document.value)
                config_maps[ref] = texts
            else:
                found.append(_read(kind, document, file))
        except InvalidManifest as invalid:
            problems += invalid.problems
    strategies = tuple(each for each in found if isinstance(each, Written))
    policies = tuple(each for each in found if isinstance(each, WrittenPolicy))
    problems += _written_twice("strategy", [(each.strategy.ref, each) for each in strategies])
    problems += _written_twice("policy", [(each.policy.ref, each) for each in policies])
    if problems:
        raise InvalidManifest(problems)
    return Manifest(strategies, policies, config_maps)


def _documents(data: bytes, file: str) -> tuple[Document, ...]:
    try:
        found = tuple(documents(data))
    except InvalidDocument as bad:
        problem = Problem(file, bad.line, path_text(bad.path), bad.value, bad.expected)
        raise InvalidManifest([problem]) from None
    if not found:
        raise InvalidManifest([Problem(file, 1, "", "nothing", f"a resource of kind {KIND}")])
    return found


def _read(kind: str, document: Document, file: str) -> Written | WrittenPolicy:
    model: type[Strategy | RiskPolicy] = Strategy if kind == KIND else RiskPolicy
    try:
        resource = model.model_validate(without_server_fields(document.value))
    except ValidationError as error:
        raise InvalidManifest(problems_of(error, model, document, file)) from None
    if doubts := tuple(_doubts(Place(document, file))):
        raise InvalidManifest(doubts)
    if isinstance(resource, Strategy):
        return Written(document, file, resource)
    return WrittenPolicy(document, file, resource)


def _doubts(place: Place) -> Iterator[Problem]:
    """What was taken as text and would be something else when kubectl applies it."""
    for path, text in place.document.doubtful.items():
        yield place.problem(path, text, f'"{text}" in quotes: kubectl reads it as no text')


def _kind(document: Document, file: str) -> str:
    """Raises InvalidManifest for what is none of the kinds."""
    value = document.value
    if not isinstance(value, dict):
        problem = Problem(
            file, document.line, "", shown(value), f"a mapping with apiVersion {API_VERSION}"
        )
        raise InvalidManifest([problem])
    kind = value.get("kind")
    if kind in _KINDS:
        return str(kind)
    hint = nearest(str(kind), _KINDS) if isinstance(kind, str) else ""
    found = "missing" if "kind" not in value else shown(kind)
    line = document.line_of(("kind",))
    expected = f"{', '.join(_KINDS[:-1])} or {_KINDS[-1]}"
    raise InvalidManifest([Problem(file, line, "kind", found, expected, hint)])


def _config_map(value: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Reference and texts of a ConfigMap; what is not as it should be is not there."""
    metadata, data = value.get("metadata"), value.get("data")
    names = metadata if isinstance(metadata, dict) else {}
    texts = data if isinstance(data, dict) else {}
    namespace, name = names.get("namespace"), names.get("name")
    ref = f"{namespace}/{name}" if namespace else str(name)
    return ref, {key: text for key, text in texts.items() if isinstance(text, str)}


def without_server_fields(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A resource without its status and what an API server adds to its metadata."""
    written = {name: each for name, each in value.items() if name != "status"}
    if isinstance(metadata := written.get("metadata"), dict):
        written["metadata"] = {name: each for name, each in metadata.items() if name not in _ADDED}
    return written


def _written_twice(kind: str, written: Sequence[tuple[str, Place]]) -> Iterator[Problem]:
    seen: dict[str, Place] = {}
    for ref, place in written:
        if ref in seen:
            first = seen[ref].document.line_of(("metadata", "name"))
            expected = f"each {kind} once; first on line {first}"
            yield place.problem(("metadata", "name"), f"{ref!r} again", expected)
        seen.setdefault(ref, place)
