"""The Strategy resource: what runs, on which market data, within which limits.

Names are those of the manifest. What is not written stays None, so that a revision is made of what
was written; defaults are filled in at use: `Spec.limits_in_force()`, `Spec.capital_in_force()`.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, model_validator

from platform_spec.decimals import MOST_DIGITS, number
from platform_spec.limits import Limits
from platform_spec.metadata import ApiVersion, ObjectMetadata
from platform_spec.pods import PodTemplate, Resources
from platform_spec.resource import OneOf, Resource
from platform_spec.shapes import (
    BuiltinName,
    Channels,
    ClassPath,
    CodeText,
    Currency,
    DataKey,
    DeadlineSeconds,
    HistoryLimit,
    Image,
    Name,
    NatsUrl,
    ObjectName,
    ParameterName,
    Positive,
    RedisUrl,
    Subjects,
    Symbols,
    Text,
    Version,
    bytes_of,
    wrong,
)

KIND = "Strategy"
DEFAULT_CHANNEL = "market:{symbol}"
_MOST_PARAMETERS = 100
_DEEPEST_PARAMETER = 4
_HISTORY = 10
_PROGRESS_S = 60


class Mode(StrEnum):
    OBSERVATION = "observation"
    SIMULATION = "simulation"
    LIVE = "live"


class RolloutType(StrEnum):
    DIRECT = "Direct"
    ROLLING = "Rolling"
    BLUE_GREEN = "BlueGreen"
    CANARY = "Canary"
    IN_PLACE = "InPlace"
    AB_TEST = "ABTest"


class WorkingOrders(StrEnum):
    CANCEL = "Cancel"
    KEEP = "Keep"


class Supersede(StrEnum):
    """What a change does to a hand-over that is under way."""

    FINISH = "Finish"
    REPLACE = "Replace"


class PositionPolicy(StrEnum):
    KEEP = "Keep"
    FLATTEN = "Flatten"


class Metadata(ObjectMetadata):
    name: Name = Field(description="Name of the strategy, unique in its namespace.")


class ConfigMapKey(Resource):
    name: ObjectName = Field(description="Name of the ConfigMap, in the strategy's namespace.")
    key: DataKey = Field(description="Key of the code in its data, as in strategy.py.")


class Source(OneOf):
    """The code of one strategy class, from exactly one of three places."""

    config_map: ConfigMapKey | None = Field(
        None, alias="configMap", description="The code is a value of a ConfigMap."
    )
    inline: CodeText | None = Field(None, description="The code itself.")
    file: Text | None = Field(
        None, description="Path of the code, relative to the manifest; on one machine only."
    )


class Runnable(OneOf):
    """A built-in, a class, source code or an image: exactly one of them."""

    builtin: BuiltinName | None = Field(None, description="Name of a strategy that ships along.")
    class_: ClassPath | None = Field(
        None, alias="class", description="module:Class, installed or in the image."
    )
    source: Source | None = Field(None, description="Code that is no package.")
    image: Image | None = Field(
        None, description="Image of a sidecar that speaks StrategyService, in any language."
    )


class RedisFeed(Resource):
    url: RedisUrl = Field(description="Address of the Redis that publishes the market data.")
    channels: Channels | None = Field(
        None, description="Channels or patterns; {symbol} is each symbol in lower case."
    )


class NatsFeed(Resource):
    url: NatsUrl = Field(description="Address of the NATS that publishes the market data.")
    subjects: Subjects | None = Field(
        None, description="Subjects, wildcards allowed; {symbol} is each symbol."
    )


class Feed(OneOf):
    """Where the market data comes from; not written: the desk's own feed."""

    redis: RedisFeed | None = Field(None, description="Redis pub/sub.")
    nats: NatsFeed | None = Field(None, description="NATS.")


class Capital(Resource):
    amount: Positive | None = Field(None, description="What the strategy begins with; 100000.")
    currency: Currency | None = Field(None, description="Its currency; USDT.")


class CapitalInForce(Resource):
    amount: Positive = Decimal(100_000)
    currency: Currency = "USDT"


class Risk(Resource):
    policy: ObjectName | None = Field(None, description="RiskPolicy that bounds the limits.")
    limits: Limits | None = Field(None, description="The strategy's own limits.")


class Rollout(Resource):
    type: RolloutType | None = Field(
        default=None, description="How a new revision takes over; Rolling."
    )
    working_orders: WorkingOrders | None = Field(
        default=None,
        alias="workingOrders",
        description="What becomes of working orders then; Keep.",
    )
    supersede: Supersede | None = Field(
        default=None,
        description="What a change does while a hand-over is under way; Replace: it is left for "
        "the newest revision; Finish: it ends first.",
    )


class Deletion(Resource):
    position_policy: PositionPolicy | None = Field(
        None,
        alias="positionPolicy",
        description="What becomes of positions when the strategy is deleted; Keep: they stay in "
        "the ledger; Flatten: they are closed at the market.",
    )
    deadline_seconds: DeadlineSeconds | None = Field(
        None,
        alias="deadlineSeconds",
        description="How long a deletion waits for the gateway before it goes on without; 30.",
    )


class DeletionInForce(Resource):
    position_policy: PositionPolicy = PositionPolicy.KEEP
    deadline_seconds: int = 30


def _is_plain(value: object, depth: int = 0) -> bool:
    """Whether `value` is made of texts, truths and bounded numbers, nested a little at most."""
    if depth > _DEEPEST_PARAMETER:
        return False
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and _is_plain(each, depth + 1) for key, each in value.items()
        )
    if isinstance(value, list | tuple):
        return all(_is_plain(each, depth + 1) for each in value)
    return isinstance(value, str | bool) or number(value) is not None


def _plain(value: Any) -> Any:
    if value is None:
        raise wrong("a value; leave the parameter out for its default")
    if not _is_plain(value):
        raise wrong(
            f"text, true, false, a number of at most {MOST_DIGITS} digits, or lists and mappings "
            f"of them, at most {_DEEPEST_PARAMETER} deep"
        )
    return value


Parameters = Annotated[
    dict[ParameterName, Annotated[Any, AfterValidator(_plain)]],
    Field(max_length=_MOST_PARAMETERS),
]


class Spec(Resource):
    strategy: Runnable = Field(description="What runs: exactly one of four.")
    image: Image | None = Field(
        None, description="Image of the runner, with the code of a class; the one that ships."
    )
    version: Version | None = Field(None, description="The author's version of it.")
    parameters: Parameters | None = Field(
        None, description="Parameters by name; the strategy's own defaults for the rest."
    )
    symbols: Symbols = Field(description="Symbols that it reads and trades, in upper case.")
    feed: Feed | None = Field(None, description="Where the market data comes from.")
    mode: Mode | None = Field(
        None,
        description="observation: no order exists; simulation: a paper venue, the default; live.",
    )
    capital: Capital | None = Field(None, description="What the strategy begins with.")
    account: Name | None = Field(None, description="Account at the venue that it trades on.")
    risk: Risk | None = Field(None, description="Limits that its orders must keep.")
    rollout: Rollout | None = Field(None, description="How a new revision takes over.")
    suspend: StrictBool | None = Field(None, description="True: it must not run.")
    resources: Resources | None = Field(None, description="Processors and memory of its runner.")
    deletion: Deletion | None = Field(None, description="What happens when it is deleted.")
    revision_history_limit: HistoryLimit | None = Field(
        None,
        alias="revisionHistoryLimit",
        description="Most StrategyRevisions that are kept beside those in use; 10.",
    )
    progress_deadline_seconds: DeadlineSeconds | None = Field(
        None,
        alias="progressDeadlineSeconds",
        description="Time for a new revision to be armed, before it counts as stalled; 60.",
    )
    pod_template: PodTemplate | None = Field(
        None, alias="podTemplate", description="What Kubernetes is told of its runner pods."
    )

    @model_validator(mode="after")
    def _live_is_bounded(self) -> Self:
        if self.mode is not Mode.LIVE:
            return self
        if self.risk is None or self.risk.policy is None:
            raise wrong("the name of a RiskPolicy, which mode live needs", field="risk.policy")
        if self.capital is None or self.capital.amount is None:
            raise wrong("an amount, which mode live needs", field="capital.amount")
        for field, image in (("strategy.image", self.strategy.image), ("image", self.image)):
            if image is not None and "@sha256:" not in image:
                raise wrong("an image with @sha256:, which mode live needs", field=field)
        return self

    @property
    def limits(self) -> Limits:
        """The limits as written; unset where nothing is."""
        return (self.risk and self.risk.limits) or Limits.model_validate({})

    def limits_in_force(self) -> Mapping[str, Decimal | tuple[str, ...]]:
        """Every limit of the contract by name, with its default where nothing is written."""
        return {**self.limits.symbols_in_force(), **self.limits.numbers_in_force()}

    def capital_in_force(self) -> CapitalInForce:
        written = self.capital.model_dump(exclude_none=True) if self.capital else {}
        return CapitalInForce.model_validate(written)

    def memory_limit_bytes(self) -> int | None:
        """What the runner may hold in memory at most; None where nothing is written."""
        most = self.resources.limits if self.resources else None
        return bytes_of(most.memory) if most and most.memory else None

    def mode_in_force(self) -> Mode:
        return self.mode or Mode.SIMULATION

    def supersede_in_force(self) -> Supersede:
        return (self.rollout and self.rollout.supersede) or Supersede.REPLACE

    def deletion_in_force(self) -> DeletionInForce:
        written = self.deletion.model_dump(exclude_none=True) if self.deletion else {}
        return DeletionInForce.model_validate(written)

    def revision_history_limit_in_force(self) -> int:
        return _HISTORY if self.revision_history_limit is None else self.revision_history_limit

    def progress_deadline_s(self) -> int:
        return self.progress_deadline_seconds or _PROGRESS_S

    @property
    def feed_url(self) -> str:
        """Address of its own Redis; empty: the desk's feed."""
        return self.feed.redis.url if self.feed and self.feed.redis else ""

    def channels_in_force(self) -> tuple[str, ...]:
        """Redis channels with their symbols filled in, each once, in the order of writing."""
        redis = self.feed.redis if self.feed else None
        templates = (redis and redis.channels) or (DEFAULT_CHANNEL,)
        filled = (
            template.replace("{symbol}", symbol.lower())
            for template in templates
            for symbol in self.symbols
        )
        return tuple(dict.fromkeys(filled))


class Strategy(Resource):
    """One strategy of a desk."""

    api_version: ApiVersion = Field(
        alias="apiVersion", description="Version of this format, stratops.dev/v1alpha1."
    )
    kind: Literal["Strategy"] = Field(description="Kind of resource, Strategy.")
    metadata: Metadata = Field(description="A mapping with its name.")
    spec: Spec = Field(description="A mapping that says what is wanted.")

    @property
    def ref(self) -> str:
        """`<name>`, with a namespace `<namespace>/<name>`."""
        return self.metadata.ref
