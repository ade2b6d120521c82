"""Risk limits as written in a manifest, and the values in force where nothing is written."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal

from pydantic import Field

import trading.limits
from platform_spec.resource import Resource
from platform_spec.shapes import Fraction, NotNegative, Positive, Rate, Share, SymbolSet
from trading.limits import UNLIMITED

_DEFAULTS = trading.limits.Limits()
NUMBERS = tuple(field.name for field in fields(_DEFAULTS) if not field.name.endswith("_symbols"))

AT_LEAST = frozenset(("min_account_balance", "min_confidence"))  # the higher, the tighter


class Limits(Resource):
    allowed_symbols: SymbolSet | None = Field(
        None, description="Symbols that may be traded; empty: the manifest's symbols."
    )
    blocked_symbols: SymbolSet | None = Field(
        None, description="Symbols that may not be traded; empty: none."
    )
    max_order_value: Positive | None = Field(
        None, description="Most that one order may be worth, in the currency of the capital."
    )
    max_position_size: Positive | None = Field(
        None, description="Most units of one symbol, long or short, fills and working orders."
    )
    max_daily_loss: Positive | None = Field(
        None, description="Loss since the day began at which only closing goes on."
    )
    max_drawdown: Share | None = Field(
        None, description="Loss from the highest equity, as a share of it, capital included."
    )
    min_account_balance: NotNegative | None = Field(
        None, description="Balance below which only closing goes on."
    )
    max_orders_per_second: Rate | None = Field(None, description="Most orders in a second.")
    max_orders_per_minute: Rate | None = Field(None, description="Most orders in a minute.")
    min_confidence: Fraction | None = Field(
        None, description="Least confidence of a signal that states one."
    )
    max_gross_exposure: Positive | None = Field(
        None, description="Most that all positions may be worth, long and short added; no limit."
    )
    max_net_exposure: Positive | None = Field(
        None, description="Most that all positions may be worth, long and short set off; no limit."
    )
    max_concentration: Positive | None = Field(
        None, description="Most that one symbol may be worth, as a share of equity; no limit."
    )
    max_open_orders: Rate | None = Field(None, description="Most orders at work; no limit.")
    max_price_deviation: Share | None = Field(
        None, description="Most that a price may be off the mid, as a share of it; no limit."
    )
    max_value_at_risk: Positive | None = Field(
        None, description="Most that may be lost over one interval of samples; no limit."
    )
    max_correlation: Fraction | None = Field(
        None, description="Most that it may move together with any other strategy; no limit."
    )

    def numbers_in_force(self) -> Mapping[str, Decimal]:
        """Every limit that is a number and bounds anything, by name: as written, else its
        default."""
        numbers = {name: Decimal(self._in_force(name)) for name in NUMBERS}
        return {name: value for name, value in numbers.items() if value != UNLIMITED}

    def symbols_in_force(self) -> Mapping[str, tuple[str, ...]]:
        """The two limits that are symbols; no allowed ones: those of the manifest."""
        return {
            "allowed_symbols": self.allowed_symbols or (),
            "blocked_symbols": self.blocked_symbols or (),
        }

    def _in_force(self, name: str) -> Decimal | int:
        written = getattr(self, name)
        value: Decimal | int = getattr(_DEFAULTS, name) if written is None else written
        return value


class SymbolLimits(Resource):
    """Of one symbol, whoever trades it."""

    max_order_value: Positive | None = Field(
        None, description="Most that one order may be worth; no limit."
    )
    max_position_size: Positive | None = Field(
        None, description="Most units of one symbol that all together may be long, or short."
    )
    max_daily_loss: Positive | None = Field(
        None, description="Loss of all together since the day began; no limit."
    )
    max_orders_per_second: Rate | None = Field(
        None, description="Most orders of all together in a second; no limit."
    )
    max_orders_per_minute: Rate | None = Field(
        None, description="Most orders of all together in a minute; no limit."
    )
    max_open_orders: Rate | None = Field(
        None, description="Most orders of all together at work; no limit."
    )
    max_gross_exposure: Positive | None = Field(
        None, description="Most that all positions may be worth, each strategy's added; no limit."
    )


class PooledLimits(SymbolLimits):
    """Of an account, or the desk: what its strategies may come to together."""

    max_drawdown: Share | None = Field(
        None, description="Loss of all together from their highest equity, as a share of it."
    )
    min_account_balance: NotNegative | None = Field(
        None, description="Balance of all together below which only closing goes on; no limit."
    )
    max_net_exposure: Positive | None = Field(
        None, description="Most that all positions may be worth, long and short set off; no limit."
    )
    max_concentration: Positive | None = Field(
        None, description="Most that one symbol may be worth, as a share of all equity; no limit."
    )
    max_value_at_risk: Positive | None = Field(
        None, description="Most that all may lose over one interval of samples; no limit."
    )
    max_correlation: Fraction | None = Field(
        None, description="Most that any two strategies may move together; no limit."
    )
