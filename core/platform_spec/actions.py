"""What a RiskPolicy has done about limits that are exceeded, and when its day begins."""

from typing import Self

from pydantic import Field, StrictBool, model_validator

from platform_spec.resource import Resource
from platform_spec.shapes import Hour, Share, TimeZone, wrong
from trading.breaches import BreachAction
from trading.days import InvalidDay, checked


class Answer(Resource):
    """What is done once, until it is taken back."""

    action: BreachAction = Field(
        description="alert (tells), pause (only closes), reduce (closes a share of each position, "
        "and pauses), or stop (cancels all, closes all, then halts)."
    )
    share: Share | None = Field(
        None, description="How much of each position reduce closes, as a share of it."
    )

    @model_validator(mode="after")
    def _share_is_of_reduce(self) -> Self:
        if (self.share is not None) != (self.action is BreachAction.REDUCE):
            raise wrong("one with reduce, and only there", field="share")
        return self


class DailyAnswer(Answer):
    until_next_day: StrictBool | None = Field(
        None, alias="untilNextDay", description="True: the next day takes it back; a person."
    )


class Actions(Resource):
    """By the limit that is exceeded by what stands, whether or not an order is asked for."""

    max_daily_loss: DailyAnswer | None = Field(None, description="Beyond the loss of a day.")
    max_drawdown: Answer | None = Field(None, description="Beyond the drawdown.")
    min_account_balance: Answer | None = Field(None, description="Below the least balance.")
    max_position_size: Answer | None = Field(None, description="Beyond the size of a position.")
    max_gross_exposure: Answer | None = Field(None, description="Beyond the gross exposure.")
    max_net_exposure: Answer | None = Field(None, description="Beyond the net exposure.")
    max_concentration: Answer | None = Field(None, description="Beyond the share of one symbol.")

    def check_beside(self, limits: Resource | None) -> None:
        """Several together are bound by what is written only. Raises a validator's error."""
        for name in type(self).model_fields:
            if getattr(self, name) is not None and getattr(limits, name, None) is None:
                raise wrong(f"a limit {name} beside its action", field=name)


class Day(Resource):
    """When the day begins that a loss is measured by."""

    time_zone: TimeZone | None = Field(
        None, alias="timeZone", description="Name of a time zone, as in Europe/London; UTC."
    )
    hour: Hour | None = Field(None, description="Hour of that zone's clocks; 0, midnight.")

    @model_validator(mode="after")
    def _zone_is_known(self) -> Self:
        try:
            checked(self.time_zone or "UTC", self.hour or 0)
        except InvalidDay as error:
            expected = "the name of a time zone, as in Europe/London"
            raise wrong(expected, field="timeZone") from error
        return self
