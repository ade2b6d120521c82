"""The files of `crds/`, as text: what an administrator applies once to a cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from platform_spec import admission, crds

_HEAD = "# Made from platform_spec by `make crds`; do not edit.\n"


def files() -> Mapping[str, str]:
    """Text by name of the file."""
    resources = {each["metadata"]["name"].partition(".")[0]: [each] for each in crds.definitions()}
    documents = resources | {"admission": list(admission.policies())}
    return {f"{name}.yaml": _text(parts) for name, parts in documents.items()}


def _text(documents: Iterable[Mapping[str, Any]]) -> str:
    return _HEAD + yaml.dump_all(
        documents, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True
    )


class _Plain(yaml.SafeDumper):
    """Without anchors: what is said twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
