"""The RiskPolicy resource: what the strategies that name it may have at most, and what holds for
the whole desk, its accounts and its symbols.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, model_validator

from platform_spec.actions import Actions, Day
from platform_spec.decimals import spelling
from platform_spec.documents import Path
from platform_spec.limits import AT_LEAST, NUMBERS, Limits, PooledLimits, SymbolLimits
from platform_spec.metadata import ApiVersion, ObjectMetadata
from platform_spec.problems import shown
from platform_spec.resource import Resource
from platform_spec.sampling import SamplingRule
from platform_spec.shapes import EachOnce, Reason, Symbol
from platform_spec.sizing import Sizing
from platform_spec.strategy import Mode, Spec
from platform_spec.voting import Aggregation
from trading.standings import Standing

KIND = "RiskPolicy"


AccountName = Annotated[str, Field(min_length=1, max_length=253)]
_MANY = Field(max_length=256)


Bypass = Literal[
    "allowed_symbols", "blocked_symbols", "stale_price", "min_confidence", "max_order_value",
    "max_position_size", "max_daily_loss", "max_drawdown", "min_account_balance",
    "max_orders_per_second", "max_orders_per_minute", "max_price_deviation", "max_open_orders",
    "max_gross_exposure", "max_net_exposure", "max_concentration", "max_value_at_risk",
    "max_correlation",
]  # fmt: skip


class Rule(Resource):
    """What holds for a part of the desk, whatever policy its strategies name."""

    standing: Standing | None = Field(
        None, description="What it may do: active, reducing (only close), or halted; active."
    )
    reason: Reason | None = Field(None, description="Why it may not do more, for people.")


class SymbolRule(Rule):
    limits: SymbolLimits | None = Field(None, description="The most of all strategies together.")


class PooledRule(Rule):
    self_trade: Literal["refuse", "allow"] | None = Field(
        None, description="Orders of one account that could trade with each other; refuse."
    )
    limits: PooledLimits | None = Field(None, description="The most of all strategies together.")
    actions: Actions | None = Field(
        None, description="What is done when they exceed one of these limits; nothing."
    )

    @model_validator(mode="after")
    def _actions_have_limits(self) -> Self:
        if self.actions is not None:
            self.actions.check_beside(self.limits)
        return self


class DeskRule(PooledRule):
    sampling: SamplingRule | None = Field(
        None, description="How far back value at risk and correlation look."
    )


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
    bypass: Annotated[tuple[Bypass, ...], Field(max_length=18), EachOnce()] | None = Field(
        None,
        description="Checks that a strategy naming this policy leaves out; refused in mode live.",
    )
    actions: Actions | None = Field(
        None, description="What is done when a strategy naming this policy exceeds a limit."
    )
    day: Day | None = Field(
        None, description="When the day begins, of such strategies and of what stands below."
    )
    aggregation: Aggregation | None = Field(
        None,
        description="The consensus that an order of a strategy naming this policy needs to open; "
        "none.",
    )
    sizing: Sizing | None = Field(
        None,
        description="How large the positions are that a strategy naming this policy intends; its "
        "intentions are refused where nothing is written.",
    )
    desk: DeskRule | None = Field(None, description="What holds for the whole desk, the namespace.")
    accounts: Annotated[dict[AccountName, PooledRule], _MANY] | None = Field(
        None,
        description="What holds for an account, by its name; 'default' is of those that name none.",
    )
    symbols: Annotated[dict[Symbol, SymbolRule], _MANY] | None = Field(
        None, description="What holds for a symbol, by its name."
    )

    def as_written(self) -> dict[str, Any]:
        """As the API server has it: JSON, with what is not written left out."""
        written: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return written


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

    @property
    def limits(self) -> Limits:
        """The limits as written; unset where nothing is."""
        return self.spec.limits or Limits.model_validate({})


@dataclass(frozen=True, slots=True)
class Excess:
    """What a strategy writes beyond its policy; `path` leads to it in the strategy."""

    path: Path
    value: str  # as messages show it
    expected: str


def excesses(spec: Spec, policy: RiskPolicy) -> Iterator[Excess]:
    """As the admission policy `stratops-limits` refuses it. What is not written is no excess: the
    gateway holds everybody to the tighter limit."""
    of = f", of RiskPolicy {policy.metadata.name}"
    for name in NUMBERS:
        own, most = getattr(spec.limits, name), getattr(policy.limits, name)
        if own is not None and most is not None and _is_beyond(name, own, most):
            bound = "least" if name in AT_LEAST else "most"
            yield Excess((*_LIMITS, name), spelling(own), f"at {bound} {spelling(most)}{of}")
    for place, symbol in enumerate(spec.limits.allowed_symbols or ()):
        if not _is_allowed(symbol, policy.limits):
            yield Excess(
                (*_LIMITS, "allowed_symbols", place), shown(symbol), f"an allowed symbol{of}"
            )
    if spec.mode is Mode.LIVE and not policy.spec.allow_live:
        yield Excess(("spec", "mode"), shown("live"), f"another mode: allowLive is not true{of}")


_LIMITS = ("spec", "risk", "limits")


def _is_beyond(name: str, own: Decimal, most: Decimal) -> bool:
    return own < most if name in AT_LEAST else own > most


def _is_allowed(symbol: str, limits: Limits) -> bool:
    allowed, blocked = limits.allowed_symbols or (symbol,), limits.blocked_symbols or ()
    return symbol in allowed and symbol not in blocked
