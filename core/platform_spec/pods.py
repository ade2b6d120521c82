"""What Kubernetes is told of runner pods; no part of a revision."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from platform_spec.resource import Resource
from platform_spec.shapes import (
    MOST_LABELS,
    Cpu,
    LabelKey,
    LabelValue,
    Memory,
    Note,
    ObjectName,
    Seconds,
    bytes_of,
    processors_of,
    wrong,
)


class TolerationOperator(StrEnum):
    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Quantities(Resource):
    cpu: Cpu | None = Field(default=None, description="Processors.")
    memory: Memory | None = Field(default=None, description="Bytes.")


class Resources(Resource):
    requests: Quantities | None = Field(
        None, description="What is set aside for the runner; 10m and 64Mi."
    )
    limits: Quantities | None = Field(
        None, description="What the runner may use at most; memory 256Mi."
    )

    @model_validator(mode="after")
    def _what_is_set_aside_may_be_used(self) -> Self:
        asked, most = self.requests or Quantities(), self.limits or Quantities()
        if asked.cpu and most.cpu and processors_of(asked.cpu) > processors_of(most.cpu):
            raise wrong(f"at most limits.cpu, {most.cpu}", field="requests.cpu")
        if asked.memory and most.memory and bytes_of(asked.memory) > bytes_of(most.memory):
            raise wrong(f"at most limits.memory, {most.memory}", field="requests.memory")
        return self


class Toleration(Resource):
    """As of a pod."""

    key: LabelKey | None = Field(None, description="Key of the taint; not written: of any.")
    operator: TolerationOperator | None = Field(None, description="How it is compared; Equal.")
    value: LabelValue | None = Field(None, description="Value of the taint, with Equal.")
    effect: TaintEffect | None = Field(None, description="Effect of the taint; not written: any.")
    toleration_seconds: Seconds | None = Field(
        None, alias="tolerationSeconds", description="How long NoExecute is borne; for ever."
    )


class PullSecret(Resource):
    name: ObjectName = Field(description="Name of the Secret, in the strategy's namespace.")


class PodTemplate(Resource):
    """What Kubernetes is told of runner pods; no part of a revision."""

    labels: dict[LabelKey, LabelValue] | None = Field(
        None, max_length=MOST_LABELS, description="Added to the pods' own labels."
    )
    annotations: dict[LabelKey, Note] | None = Field(
        None, max_length=MOST_LABELS, description="Annotations of the pods."
    )
    node_selector: dict[LabelKey, LabelValue] | None = Field(
        None,
        alias="nodeSelector",
        max_length=MOST_LABELS,
        description="Labels of the nodes that pods may run on.",
    )
    tolerations: tuple[Toleration, ...] | None = Field(
        None, max_length=16, description="Taints of nodes that pods bear."
    )
    priority_class_name: ObjectName | None = Field(
        None, alias="priorityClassName", description="PriorityClass of the pods."
    )
    image_pull_secrets: tuple[PullSecret, ...] | None = Field(
        None,
        alias="imagePullSecrets",
        max_length=8,
        description="Secrets for pulling the image.",
    )
