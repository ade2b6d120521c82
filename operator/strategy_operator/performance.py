"""What the status says of trading: written when it changed, at most about once a minute."""

import zlib

from platform_spec.decimals import spelling
from platform_spec.status import Trading
from strategy_operator.observed import GatewayView
from strategy_operator.scene import Scene

EVERY_S = 60
_JITTER_S = 15  # not all strategies in the same second


def performance(scene: Scene, revision: str) -> tuple[Trading | None, float | None]:
    """What the status is to say from now on, and when there is more to say."""
    before, gateway = scene.before.trading, scene.gateway
    if gateway is None or not gateway.known:
        return before, None
    now = _of(gateway, scene.observed.now_text)
    if before is None or revision != scene.before.revision:
        return now, None
    if _of(gateway, before.at) == before:
        return before, None
    left = _interval_s(scene) - scene.since_s(before.at)
    return (before, left) if left > 0 else (now, None)


def holdings(gateway: GatewayView | None) -> str:
    """Positions as a column shows them: `0.5 BTCUSDT, -2 ETHUSDT`."""
    positions = gateway.positions if gateway else {}
    held = [f"{spelling(size)} {symbol}" for symbol, size in sorted(positions.items()) if size]
    return ", ".join(held)[:1_024] or "flat"


def _of(gateway: GatewayView, at: str) -> Trading:
    held = {symbol: spelling(size) for symbol, size in gateway.positions.items() if size}
    return Trading(
        signals=gateway.signals,
        accepted=gateway.accepted,
        orders=gateway.orders,
        fills=gateway.fills,
        positions=held,
        position=holdings(gateway),
        realized_pnl="" if gateway.realized_pnl is None else spelling(gateway.realized_pnl),
        at=at,
    )


def _interval_s(scene: Scene) -> float:
    return EVERY_S + zlib.crc32(scene.owner.uid.encode()) % _JITTER_S
