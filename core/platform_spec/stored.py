"""The StrategyRevision resource: a revision as the cluster keeps it, unchanged for ever."""

from typing import Literal

from pydantic import Field

from platform_spec.metadata import ApiVersion, ObjectMetadata
from platform_spec.resource import Resource
from platform_spec.revision import Revision
from platform_spec.shapes import Document, Image, Name, RevisionName, Sha256

KIND = "StrategyRevision"


class RevisionSpec(Resource):
    strategy: Name = Field(description="Name of the Strategy that it is a revision of.")
    revision: RevisionName = Field(description="Name of the revision, ten hex digits of its hash.")
    hash: Sha256 = Field(description="SHA-256 of all that it is made of.")
    code_digest: Sha256 = Field(alias="codeDigest", description="SHA-256 of its code.")
    state_key: Sha256 = Field(
        alias="stateKey", description="Equal where one can hand its state to the other."
    )
    content: Document = Field(description="What the gateway is told of it, JSON.")
    runner: Document = Field(description="What a runner is told of it, JSON.")
    image: Image | None = Field(None, description="Image of its runner; the one that ships.")


class StrategyRevision(Resource):
    """What a Strategy was at one moment, self-contained."""

    api_version: ApiVersion = Field(
        alias="apiVersion", description="Version of this format, stratops.dev/v1alpha1."
    )
    kind: Literal["StrategyRevision"] = Field(description="Kind of resource, StrategyRevision.")
    metadata: ObjectMetadata = Field(description="A mapping with its name.")
    spec: RevisionSpec = Field(description="The revision; it never changes.")


def written(revision: Revision) -> dict[str, str]:
    """The spec of the StrategyRevision that keeps `revision`."""
    image = {"image": revision.image} if revision.image else {}
    return image | {
        "strategy": revision.strategy.rpartition("/")[2],
        "revision": revision.name,
        "hash": revision.hash,
        "codeDigest": revision.code_digest,
        "stateKey": revision.state_key,
        "content": revision.content,
        "runner": revision.runner,
    }
