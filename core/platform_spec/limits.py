"""Risk limits as written in a manifest, and the values in force where nothing is written."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from pydantic import Field

from platform_spec.resource import Resource
from platform_spec.shapes import Fraction, NotNegative, Positive, Rate, Share, SymbolSet

DEFAULTS: Mapping[str, Decimal] = MappingProxyType(
    {
        "max_order_value": Decimal(50_000),
        "max_position_size": Decimal(1_000),
        "max_daily_loss": Decimal(5_000),
        "max_drawdown": Decimal("0.1"),
        "min_account_balance": Decimal(10_000),
        "max_orders_per_second": Decimal(10),
        "max_orders_per_minute": Decimal(100),
        "min_confidence": Decimal("0.6"),
    }
)


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
        None, description="Loss since the day began (UTC) at which only closing goes on."
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

    def numbers_in_force(self) -> Mapping[str, Decimal]:
        """Every limit that is a number, by name: as written, else its default."""
        written = {name: getattr(self, name) for name in DEFAULTS}
        return {name: DEFAULTS[name] if value is None else value for name, value in written.items()}

    def symbols_in_force(self, symbols: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """The two limits that are symbols, for a strategy of `symbols`."""
        return {
            "allowed_symbols": self.allowed_symbols or symbols,
            "blocked_symbols": self.blocked_symbols or (),
        }
