"""What a RiskPolicy says of aggregation: how the strategies that name it vote."""

from typing import Literal

from pydantic import Field

from platform_spec.resource import Resource
from platform_spec.shapes import DeadlineSeconds, Fraction


class Aggregation(Resource):
    """An order that opens needs the consensus of the strategies that name this policy."""

    method: Literal["majority", "weighted_average", "unanimous", "first_signal"] = Field(
        description="How votes come to one direction."
    )
    window_seconds: DeadlineSeconds | None = Field(
        None, alias="windowSeconds", description="How long an intention is a vote; 5."
    )
    threshold: Fraction | None = Field(
        None, description="What a weighted average must be beyond, of 1; 0.3."
    )
