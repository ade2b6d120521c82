"""Resources as an API server has them, read into models or into problems that name field and value.

Admission lets pass what a schema cannot say; whoever acts on an object reads it here first.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from platform_spec.documents import Document
from platform_spec.policy import RiskPolicy
from platform_spec.problems import InvalidManifest, problems_of
from platform_spec.resource import Resource
from platform_spec.stored import StrategyRevision
from platform_spec.strategy import Strategy

_METADATA = ("name", "namespace")  # the API server vouches for the rest, labels too

Model = TypeVar("Model", bound=Resource)


def strategy_of(resource: Mapping[str, Any]) -> Strategy:
    """Raises InvalidManifest."""
    return _read(resource, Strategy)


def policy_of(resource: Mapping[str, Any]) -> RiskPolicy:
    """Raises InvalidManifest."""
    return _read(resource, RiskPolicy)


def revision_of(resource: Mapping[str, Any]) -> StrategyRevision:
    """Raises InvalidManifest."""
    return _read(resource, StrategyRevision)


def _read(resource: Mapping[str, Any], model: type[Model]) -> Model:
    metadata = resource.get("metadata") or {}
    written = {name: each for name, each in resource.items() if name != "status"}
    written["metadata"] = {name: metadata[name] for name in _METADATA if name in metadata}
    try:
        return model.model_validate(written)
    except ValidationError as error:
        document = Document(written, 0, {})
        raise InvalidManifest(problems_of(error, model, document, "")) from None
