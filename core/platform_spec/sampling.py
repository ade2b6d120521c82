"""How far back value at risk and correlation look, as a policy writes it."""

from typing import Annotated

from pydantic import Field

from platform_spec.resource import Resource
from platform_spec.shapes import Shape, Whole
from trading.sampling import LEAST_SAMPLES, LONGEST_INTERVAL_S, MOST_SAMPLES

_CONFIDENCE = Shape(r"0\.[5-9][0-9]{0,3}", 'a share from 0.5 to 0.9999 as text: "0.99"', 6)


class SamplingRule(Resource):
    interval_seconds: Annotated[int, Whole(1, LONGEST_INTERVAL_S)] | None = Field(
        None,
        alias="intervalSeconds",
        description="Time from one sample of prices to the next, the horizon; 60.",
    )
    interval_seconds_before: Annotated[int, Whole(1, LONGEST_INTERVAL_S)] | None = Field(
        None, alias="interval_seconds", description="intervalSeconds, by its name of before."
    )
    samples: Annotated[int, Whole(LEAST_SAMPLES, MOST_SAMPLES)] | None = Field(
        None, description="Returns that are looked at, and needed before anything is opened; 250."
    )
    confidence: Annotated[str, _CONFIDENCE] | None = Field(
        None, description="Share of the samples that lose no more than the value at risk; 0.99."
    )
