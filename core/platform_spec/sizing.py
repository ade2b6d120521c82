"""What a RiskPolicy says of sizing: how large a position is that a strategy intends."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from platform_spec.resource import OneOf, Resource
from platform_spec.shapes import DeadlineSeconds, Share, Whole, Within

_ZERO = Decimal(0)
Returns = Annotated[int, Whole(2, 1_000)]
Volatility = Annotated[
    Decimal, Within("a number above 0, at most 10", above=_ZERO, most=Decimal(10))
]
Payoff = Annotated[
    Decimal, Within("a number above 0, at most 1000", above=_ZERO, most=Decimal(1_000))
]
_CAP = "Most that the position may be worth, as a share of equity."


class FixedFraction(Resource):
    """The same share of equity each time."""

    fraction: Share = Field(description="What the position is worth, as a share of equity.")


class VolatilityTarget(Resource):
    """The less, the more the price moves."""

    volatility: Volatility = Field(
        description="What the position should move equity by in a year; 0.2 is 20 %."
    )
    cap: Share = Field(description=_CAP)
    step_seconds: DeadlineSeconds | None = Field(
        None, alias="stepSeconds", description="Between the prices that are compared; 60."
    )
    returns: Returns | None = Field(None, description="How many changes are looked at; 60.")


class Kelly(Resource):
    """A fraction of what Kelly's formula says of a stated edge."""

    fraction: Share = Field(description="How much of Kelly's share; 0.5 is half Kelly.")
    win_rate: Share = Field(alias="winRate", description="The share of trades that gain.")
    payoff: Payoff = Field(description="An average gain over an average loss.")
    cap: Share = Field(description=_CAP)


class Sizing(OneOf):
    """Exactly one method."""

    fixed_fraction: FixedFraction | None = Field(
        None, alias="fixedFraction", description="The same share of equity each time."
    )
    volatility_target: VolatilityTarget | None = Field(
        None, alias="volatilityTarget", description="The less, the more the price moves."
    )
    kelly: Kelly | None = Field(
        None, description="A fraction of what Kelly's formula says of a stated edge."
    )
