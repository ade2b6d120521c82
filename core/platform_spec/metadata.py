"""What each of our resources says of itself: its format, its kind, its name and labels."""

from typing import Literal

from pydantic import Field, StrictStr

from platform_spec.resource import Resource
from platform_spec.shapes import LabelKey, LabelValue, Namespace, ObjectName

GROUP = "stratops.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
ApiVersion = Literal["stratops.dev/v1alpha1"]


class ObjectMetadata(Resource):
    name: ObjectName = Field(description="Its name, unique in its namespace.")
    namespace: Namespace | None = Field(None, description="The desk that it belongs to.")
    labels: dict[LabelKey, LabelValue] | None = Field(None, description="For selecting.")
    annotations: dict[LabelKey, StrictStr] | None = Field(None, description="For tools.")

    @property
    def ref(self) -> str:
        """`<name>`, with a namespace `<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
