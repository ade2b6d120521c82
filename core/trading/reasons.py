"""Why something is refused: one closed set.

A member's value is at once the metric label, the word in reports, and the proto code in lower case
(REASON_STALE_PRICE is Reason.STALE_PRICE is "stale_price").
"""

from enum import StrEnum


class Reason(StrEnum):
    ALLOWED_SYMBOLS = "allowed_symbols"
    BLOCKED_SYMBOLS = "blocked_symbols"
    MAX_ORDER_VALUE = "max_order_value"
    MAX_POSITION_SIZE = "max_position_size"
    MAX_DAILY_LOSS = "max_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    MIN_ACCOUNT_BALANCE = "min_account_balance"
    MAX_ORDERS_PER_SECOND = "max_orders_per_second"
    MAX_ORDERS_PER_MINUTE = "max_orders_per_minute"
    MIN_CONFIDENCE = "min_confidence"
    MAX_GROSS_EXPOSURE = "max_gross_exposure"
    MAX_NET_EXPOSURE = "max_net_exposure"
    MAX_CONCENTRATION = "max_concentration"
    MAX_OPEN_ORDERS = "max_open_orders"
    MAX_PRICE_DEVIATION = "max_price_deviation"
    MAX_VALUE_AT_RISK = "max_value_at_risk"
    MAX_CORRELATION = "max_correlation"
    SELF_TRADE = "self_trade"
    NO_CONSENSUS = "no_consensus"
    NOT_SIZED = "not_sized"

    FENCED = "fenced"
    NOT_GRANTED = "not_granted"
    HALTED = "halted"
    PAUSED = "paused"
    REDUCING_ONLY = "reducing_only"
    UNKNOWN_CALLER = "unknown_caller"
    UNKNOWN_STRATEGY = "unknown_strategy"

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    SYMBOL_NOT_ALLOWED = "symbol_not_allowed"
    INVALID_QUANTITY = "invalid_quantity"
    INVALID_PRICE = "invalid_price"
    PRICE_OFF_INCREMENT = "price_off_increment"
    NO_PRICE = "no_price"
    STALE_PRICE = "stale_price"
    NO_RATE = "no_rate"
    SLIPPAGE = "slippage"
    EXPIRED = "expired"
    DUPLICATE = "duplicate"
    UNKNOWN_ORDER = "unknown_order"
    INVALID_SIGNAL = "invalid_signal"
    TOO_FEW_SAMPLES = "too_few_samples"

    QUEUE_FULL = "queue_full"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    VENUE_UNAVAILABLE = "venue_unavailable"
    VENUE_REJECTED = "venue_rejected"
    NOT_WARM = "not_warm"
    NO_VENUE = "no_venue"
