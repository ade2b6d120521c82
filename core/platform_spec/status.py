"""Strategy.status: what the operator saw and decided, for people and for the operator after it.

Written by the operator alone, as a whole. What a newer operator added is ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

MOST_QUARANTINED = 20
LONGEST_WHY = 400  # characters, of each
NOT_YET = -1  # observedGeneration of a strategy that no operator has seen

_CAMEL = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

Short = Annotated[str, Field(max_length=63)]
Word = Annotated[str, Field(max_length=1_024)]
Message = Annotated[str, Field(max_length=32_768)]
Amount = Annotated[str, Field(max_length=100)]
Time = Annotated[str, Field(max_length=64)]


class ConditionType(StrEnum):
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    ARMED = "Armed"
    FEED_HEALTHY = "FeedHealthy"
    GATEWAY_CONNECTED = "GatewayConnected"
    PAUSED = "Paused"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Phase(StrEnum):
    DRAFT = "Draft"
    TESTING = "Testing"
    APPROVED = "Approved"
    DEPLOYED = "Deployed"
    RUNNING = "Running"
    PAUSED = "Paused"
    STOPPED = "Stopped"
    ERROR = "Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    __pydantic_config__ = _CAMEL

    type: Annotated[Word, Field(description="What it is about: Ready, Stalled, Armed.")]
    status: Annotated[ConditionStatus, Field(description="Whether that is so.")]
    reason: Annotated[Word, Field(description="Why, in one word of CamelCase.")]
    message: Annotated[Message, Field(description="Why, for a person.")] = ""
    last_transition_time: Annotated[Time, Field(description="Since when the status is that.")]
    observed_generation: Annotated[
        int | None, Field(description="Generation of the spec that it was found for.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    __pydantic_config__ = _CAMEL

    revision: Annotated[Short, Field(description="Revision that is not tried again.")]
    reason: Annotated[Word, Field(description="Why not, in one word of CamelCase.")] = ""
    message: Annotated[Word, Field(description="Why not, and what its last pod said.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """What the gateway counted; written when it changed, at most once a minute."""

    __pydantic_config__ = _CAMEL

    signals: Annotated[int, Field(description="Signals that were judged.")] = 0
    accepted: Annotated[int, Field(description="Signals that were approved.")] = 0
    orders: Annotated[int, Field(description="Orders that left.")] = 0
    fills: Annotated[int, Field(description="Fills that came back.")] = 0
    positions: Annotated[
        Mapping[str, Amount],
        Field(max_length=256, description="Signed quantity held, by symbol."),
    ] = field(default_factory=dict)
    position: Annotated[Word, Field(description='In words: "0.5 BTCUSDT", or "flat".')] = ""
    realized_pnl: Annotated[Amount, Field(description="Realised profit, before fees.")] = ""
    at: Annotated[Time, Field(description="When this was so.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyStatus:
    __pydantic_config__ = _CAMEL

    observed_generation: Annotated[
        int, Field(description="Generation of the spec that this is about; -1: none yet.")
    ] = NOT_YET
    phase: Annotated[Phase | None, Field(description="Where the strategy is in its life.")] = None
    mode: Annotated[Short, Field(description="Mode in force.")] = ""
    revision: Annotated[Short, Field(description="Revision that is armed.")] = ""
    wanted_revision: Annotated[Short, Field(description="Revision that is wanted.")] = ""
    attempt: Annotated[int, Field(description="Attempt of the wanted revision's pod.")] = 0
    restart: Annotated[
        Word, Field(description="Value of stratops.dev/restart that was acted on.")
    ] = ""
    epoch: Annotated[int, Field(description="Epoch of the grant; it only grows.")] = 0
    good_revision: Annotated[
        Short, Field(description="Armed before the wanted one, to fall back on.")
    ] = ""
    handovers: Annotated[int, Field(description="Hand-overs between runners.")] = 0
    quarantined: Annotated[
        tuple[Quarantined, ...],
        Field(max_length=MOST_QUARANTINED, description="Revisions that are not tried again."),
    ] = ()
    trading: Annotated[Trading | None, Field(description="What the gateway counted.")] = None
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=32, description="What is so, by type.")
    ] = ()

    def condition(self, type_: ConditionType) -> Condition | None:
        return next((each for each in self.conditions if each.type == type_), None)

    def written(self) -> dict[str, Any]:
        """As JSON has it; what is None is not written."""
        document: dict[str, Any] = STATUS.dump_python(
            self, mode="json", by_alias=True, exclude_none=True
        )
        return document


STATUS = TypeAdapter(StrategyStatus)


def status_of(resource: Mapping[str, Any]) -> StrategyStatus:
    """The status of a Strategy object; one that says nothing where none can be read."""
    try:
        return STATUS.validate_python(resource.get("status") or {})
    except ValidationError:
        return StrategyStatus()
