"""The RiskPolicy resource: what the strategies that name it may have at most, and the halt."""

from typing import Literal

from pydantic import Field, StrictBool

from platform_spec.limits import Limits
from platform_spec.metadata import ApiVersion, ObjectMetadata
from platform_spec.resource import Resource
from platform_spec.shapes import Reason

KIND = "RiskPolicy"


class PolicySpec(Resource):
    limits: Limits | None = Field(
        None, description="The most that a strategy naming this policy may have."
    )
    allow_live: StrictBool | None = Field(
        None, alias="allowLive", description="True: such a strategy may be live; false."
    )
    halted: StrictBool | None = Field(
        None, description="True: no order of the whole namespace goes out; false."
    )
    reason: Reason | None = Field(None, description="Why it is halted, for people.")


class RiskPolicy(Resource):
    """Bounds of the strategies that name it; halted, of its whole namespace."""

    api_version: ApiVersion = Field(
        alias="apiVersion", description="Version of this format, stratops.dev/v1alpha1."
    )
    kind: Literal["RiskPolicy"] = Field(description="Kind of resource, RiskPolicy.")
    metadata: ObjectMetadata = Field(description="A mapping with its name.")
    spec: PolicySpec = Field(description="A mapping that says what is allowed.")

    @property
    def ref(self) -> str:
        """`<name>`, with a namespace `<namespace>/<name>`."""
        return self.metadata.ref
