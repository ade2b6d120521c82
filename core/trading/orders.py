"""The life cycle of an order."""

from enum import StrEnum


class OrderState(StrEnum):
    PENDING = "pending"  # journalled, not yet sent
    SUBMITTED = "submitted"  # sent, no answer yet
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # no answer in time: counts as exposure until the venue settles it
