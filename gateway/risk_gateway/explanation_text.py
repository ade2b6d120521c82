"""An explanation for people, as a table, and for programs, as JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from risk_gateway.explanation import Explanation
from risk_gateway.findings import Finding
from trading.aggregation import Vote
from trading.currencies import Exchange
from trading.limits import UNLIMITED, Limits
from trading.sizing import Sized
from trading.votes import Poll

_WIDTH = 12


def to_json(found: Explanation) -> str:
    sums: dict[str, Any] = {"realized_pnl": found.realized_pnl, "fees": found.fees}
    if found.other_fees:
        sums["other_fees"] = found.other_fees
    document = msgspec.to_builtins(found, enc_hook=dict) | msgspec.to_builtins(sums)
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def to_text(found: Explanation) -> str:
    return "\n".join(
        f"{name:{_WIDTH}}{line}".rstrip()
        for title, lines in _parts(found)
        for name, line in zip([title, *[""] * len(lines)], lines, strict=False)
    )


def _parts(found: Explanation) -> Iterator[tuple[str, list[str]]]:
    yield "order", [found.order_id or "none was made"]
    yield "signal", list(_signal(found))
    yield "verdict", [": ".join(filter(None, (found.verdict, found.message)))]
    yield "decided", [f"{_time(found.decided_ns)}, written {_time(found.written_ns)}"]
    yield "record", [f"{found.record}, hash {found.hash}"]
    yield "strategy", list(_strategy(found))
    if found.exchange is not None:
        yield "rates", list(_rates(found.exchange))
    yield "checks", list(_checks(found))
    if found.sized:
        yield "sizing", list(map(_sized, found.sized))
    if found.poll is not None:
        yield "votes", list(_votes(found.poll))
    yield "limits", list(_limits(found.terms.limits)) if found.terms else ["not kept"]
    yield (
        "events",
        [
            f"{_time(each.at_ns)}  record {each.record}  {each.kind} -> {each.state}  {each.what}"
            for each in found.events
        ]
        or ["none"],
    )
    yield (
        "fills",
        [
            f"{each.fill.fill_id}  {each.fill.side} {each.fill.quantity} at {each.fill.price}, fee "
            f"{_money(each.fill.fee, each.fill.fee_currency)}; position {each.position}, "
            f"realised {each.realized_pnl}"
            for each in found.fills
        ]
        or ["none"],
    )
    others = (_money(fee, currency) for currency, fee in sorted(found.other_fees.items()))
    fees = " and ".join((_money(found.fees, found.currency), *others))
    yield "P&L", [f"realised {_money(found.realized_pnl, found.currency)}, fees {fees}"]


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount} {currency}".rstrip()


def _rates(exchange: Exchange) -> Iterator[str]:
    for each in exchange.rates:
        by = " and ".join(each.symbols)
        known = f"1 {each.currency} = {each.rate} {exchange.to} by {by}"
        yield each.why if each.rate is None else known


def _signal(found: Explanation) -> Iterator[str]:
    signal, cause = found.signal, found.signal.cause
    price = f" at {signal.price}" if signal.price is not None else ""
    yield f"{signal.id}"
    what = f"{signal.side} {signal.quantity} {signal.symbol}, {signal.order_type}{price}"
    meant = f"{signal.direction}: " if signal.direction else ""
    yield f"{signal.action}: {meant}{what}"
    yield f"caused by {cause.stream} {cause.sequence}, {_time(cause.at_ns)}"
    if not found.epoch:
        yield _pairs(signal.metadata)
    age = "" if found.age_ns is None else f", {found.age_ns / 1e6:.3f} ms old"
    yield f"bid {found.bid}, ask {found.ask}{age}"


def _strategy(found: Explanation) -> Iterator[str]:
    code, grant = found.code, found.grant
    yield f"{found.strategy}, epoch {found.epoch}, batch {found.batch}"
    if code is not None:
        yield f"revision {code.revision}, code {code.digest or 'without a digest'}"
        yield f"parameters {_pairs(code.parameters)}"
    if grant is not None:
        yield f"granted to {grant.instance}, {grant.why}"


def _checks(found: Explanation) -> Iterator[str]:
    if found.unchecked:
        yield found.unchecked
    yield from map(_check, found.checks)
    if found.scope:
        yield f"refused by the {found.scope}, whose checks are not kept: see the verdict"


def _check(found: Finding) -> str:
    what = found.message or _pairs(found.compared)
    return f"{found.result:12}{found.check:40}{what}"


def _sized(sized: Sized) -> str:
    moves = "" if sized.volatility is None else f", volatility {sized.volatility:.4f} a year"
    return (
        f"risk policy {sized.sizing.policy}: {sized.quantity} by {sized.sizing.method}: share "
        f"{sized.share} of equity {sized.equity}, times {sized.weight} of confidence and size, "
        f"at {sized.price}{moves}"
    )


def _votes(poll: Poll) -> Iterator[str]:
    yield f"its own: {_vote(poll.vote)}"
    for each in poll.consensus:
        rule = each.rule
        window = f"window {rule.window_ns / 1e9:g} s, threshold {rule.threshold}"
        yield f"{rule.group}: {each.direction} by {rule.method}, {window}"
        yield from map(_vote, each.votes)


def _vote(vote: Vote) -> str:
    since = f"since {_time(vote.since_ns)}, said {_time(vote.at_ns)}"
    return f"{vote.strategy} {vote.direction} {vote.confidence}, {since}"


def _limits(limits: Limits) -> Iterator[str]:
    for each in fields(limits):
        value = getattr(limits, each.name)
        if isinstance(value, frozenset):
            value = ", ".join(sorted(value))
        if value not in ("", UNLIMITED):
            yield f"{each.name} {value}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"


def _time(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d}Z"
