"""The consumers' side of the market data: subscription, checks, progress, the instrument catalogue.

Imported by the runner, so it stays small: asyncio, hiredis and msgspec, nothing heavier.
"""

from market_data.intake import Intake
from market_data.progress import Heartbeat, Progress
from market_data.subscription import NO_LINK, Subscription, Timing

__all__ = ["NO_LINK", "Heartbeat", "Intake", "Progress", "Subscription", "Timing"]
