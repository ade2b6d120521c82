"""Names, labels and annotations of what belongs to a strategy, each spelled here once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platform_spec.metadata import API_VERSION, GROUP

FINALIZER = f"{GROUP}/disarm"
RESTART = f"{GROUP}/restart"  # a new value: a new pod, by hand-over
ADOPT = f"{GROUP}/adopt"  # "yes": a live strategy may go on with the position of an earlier one

STRATEGY = f"{GROUP}/strategy"
REVISION = f"{GROUP}/revision"
TEMPLATE = f"{GROUP}/template"  # of what, beside its revision, the pod was made
IMAGE = f"{GROUP}/image"  # digest of the image that the pod was made with

DESK = "stratops-desk"
GATEWAY_CA = "stratops-gateway-ca"
FEED_CA = "stratops-feed-ca"
RUNNER_SECRETS = "stratops-runner-secrets"
RUNNER_ACCOUNT = "stratops-runner"
OPERATOR_ACCOUNT = "stratops-operator"

_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Owner:
    """The Strategy that children belong to."""

    namespace: str
    name: str
    uid: str

    def reference(self) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": "Strategy",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }


def child_name(strategy: str, revision: str) -> str:
    """Of a revision's StrategyRevision and ConfigMap."""
    return f"{strategy}-{revision}"


def pod_name(strategy: str, revision: str, attempt: int) -> str:
    return f"{strategy}-{revision}-{attempt}"


def labels(strategy: str, revision: str) -> Mapping[str, str]:
    """Those that every child of the strategy has."""
    return {
        "app.kubernetes.io/name": "stratops-runner",
        "app.kubernetes.io/managed-by": "stratops-operator",
        "app.kubernetes.io/part-of": "stratops",
        STRATEGY: strategy,
        REVISION: revision,
    }


def digest(text: str) -> str:
    """Short enough for a label."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
