"""The JSON document that `stratops up -o json` ends with. Pure: from what was seen to a dict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from stratops.notices import Notice
from stratops_api.v1 import risk_gateway_pb2 as pb

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What `up` knows at the end."""

    session: str
    desk: pb.Desk | None
    feed: Mapping[str, Any]
    symbols: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by strategy
    restarts: Mapping[str, int] = field(default_factory=dict)  # by process
    notices: Sequence[Notice] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def document(seen: Seen) -> Document:
    desk = seen.desk if seen.desk is not None else pb.Desk()
    reconciled = desk.HasField("reconciliation")
    return {
        "session": seen.session,
        "feed": _feed(seen.feed, desk.feed),
        "strategies": {status.strategy: _strategy(status, seen) for status in desk.strategies},
        "handovers": desk.handovers,
        "restarts": sum(seen.restarts.values()),
        "restarts_by_process": dict(seen.restarts),
        "ledger_equals_venue": reconciled and desk.reconciliation.equal,
        "differences": _differences(seen.desk),
        "gateway": _gateway(desk),
        "notices": [_notice(notice) for notice in seen.notices],
        "problems": dict(seen.problems),
    }


def _differences(desk: pb.Desk | None) -> list[str]:
    if desk is None:
        return ["the risk gateway did not answer"]
    if not desk.HasField("reconciliation"):
        return ["ledger and venue were not compared"]
    return list(desk.reconciliation.differences)


def _feed(replayer: Mapping[str, Any], gateway: pb.FeedStatus) -> Document:
    return {
        **replayer,
        "received_by_gateway": gateway.received,
        "dropped_by_gateway": dict(gateway.dropped),
    }


def _strategy(status: pb.StrategyStatus, seen: Seen) -> Document:
    return {
        "revision": status.revision,
        "wanted_revision": status.wanted_revision,
        "epoch": status.epoch,
        "role": status.role,
        "none_reason": status.none_reason,
        "mode": status.mode,
        "ticks": status.ticks,
        "ticks_expected": ticks_expected(seen.feed, seen.symbols.get(status.strategy, ())),
        "errors": max((one.counters.errors for one in status.runners), default=0),
        "signals": status.signals,
        "accepted": status.accepted,
        "rejected": dict(status.rejected),
        "orders": status.orders,
        "fills": status.fills,
        "position": {symbol: plain(value) for symbol, value in status.positions.items()},
        "realized_pnl": _sum(status, status.realized_pnl),
        "unrealized_pnl": plain(status.unrealized_pnl) if status.unrealized_pnl else None,
        "fees": _sum(status, status.fees),
        **({"currencies": _currencies(status)} if status.by_currency else {}),
        "handovers": status.handovers,
    }


def _sum(status: pb.StrategyStatus, amount: str) -> str | None:
    """None: of several currencies, and a rate is not known."""
    if not amount and status.by_currency:
        return None
    return plain(amount or "0")


def _currencies(status: pb.StrategyStatus) -> Document:
    return {
        each.currency: {
            "realized_pnl": plain(each.realized_pnl),
            "unrealized_pnl": plain(each.unrealized_pnl) if each.unrealized_pnl else None,
            "fees": plain(each.fees),
        }
        for each in status.by_currency
    }


def plain(number: str) -> str:
    """The same number without trailing zeros or an exponent."""
    return f"{Decimal(number).normalize():f}"


def ticks_expected(feed: Mapping[str, Any], symbols: Sequence[str]) -> int | None:
    """How many messages of these symbols were published; None where no replayer counts them."""
    streams = feed.get("streams")
    if not isinstance(streams, Mapping):
        return None
    own = (one["count"] for name, one in streams.items() if name.split("/")[0] in symbols)
    return sum(map(int, own))


def _gateway(desk: pb.Desk) -> Document:
    return {
        "halted": desk.halted or None,
        "standings": {each.scope: f"{each.standing}: {each.why}" for each in desk.standings},
        "breaches": [_breach(each) for each in desk.breaches],
        "signals": desk.signals,
        "accepted": desk.accepted,
        "rejected": dict(desk.rejected),
        "orders": desk.orders,
        "fills": desk.fills,
        "working": desk.working,
        "unpublished": desk.unpublished,
    }


def _breach(breach: pb.Breach) -> Document:
    return {
        "scope": breach.scope,
        "limit": breach.limit,
        "action": breach.action,
        "why": breach.why,
        "left": breach.left or None,
    }


def _notice(notice: Notice) -> Document:
    at = datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds")
    return {
        "at": at.replace("+00:00", "Z"),
        "kind": str(notice.kind),
        "subject": notice.subject,
        "message": notice.message,
    }
