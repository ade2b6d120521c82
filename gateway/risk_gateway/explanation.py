"""Why an order is what it is: signal, cause, checks, terms, code, grant, events, fills, P&L.

From the journal alone, for refused signals too. Everything in it is a fact of a record, but for the
checks, which are made again on what they were made on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from handover.effects import Armed, change_from_json
from risk_gateway.archive import Archive, Row
from risk_gateway.findings import Finding, findings
from risk_gateway.judged import Decision, NotKept, request_of
from risk_gateway.recollection import recollected
from risk_gateway.records import Adopted, Decided, Deployed, Kind, body_of
from risk_gateway.restore import started_by
from trading.accounts import Terms
from trading.currencies import Exchange, added
from trading.fills import Fill
from trading.ids import signal_of
from trading.instruments import Instrument
from trading.ledger import Booking
from trading.market import Touch
from trading.risk import Request
from trading.rules import CLOSING, opening
from trading.signals import Action, Direction, Signal
from trading.sizing import Sized
from trading.votes import Poll

_ZERO = Decimal(0)


class UnknownSignal(Exception):
    """Neither an order nor a signal of that id was journalled."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became of the order."""

    record: int
    kind: str
    at_ns: int
    state: str
    what: str


@dataclass(frozen=True, slots=True)
class Traded:
    """A fill, and what it did to the books."""

    record: int
    fill: Fill
    position: Decimal  # after it
    realized_pnl: Decimal  # by it, before its fee


@dataclass(frozen=True, slots=True)
class Code:
    revision: str
    digest: str
    parameters: Mapping[str, Any]
    content: Mapping[str, Any]
    record: int


@dataclass(frozen=True, slots=True)
class Explanation:
    record: int
    hash: str
    strategy: str
    order_id: str  # empty: none was made
    verdict: str  # accepted, or the reason
    message: str
    decided_ns: int
    written_ns: int
    signal: Signal
    unchecked: str  # why there are no checks
    events: tuple[Event, ...]
    fills: tuple[Traded, ...]
    epoch: int = 0
    batch: int = 0
    scope: str = ""  # whose limit refused it, beside the strategy's; empty: none
    bid: Decimal | None = None
    ask: Decimal | None = None
    age_ns: int | None = None
    checks: tuple[Finding, ...] = ()
    sized: tuple[Sized, ...] = ()  # what an intention's quantity was made of
    poll: Poll | None = None  # how those who vote together stood to it
    terms: Terms | None = None
    code: Code | None = None
    grant: Armed | None = None
    exchange: Exchange | None = None  # the rates that it was judged by
    currency: str = ""  # of prices, P&L and fees; empty: the desk does not say its own

    @property
    def realized_pnl(self) -> Decimal:
        return sum((each.realized_pnl for each in self.fills), _ZERO)

    @property
    def fees(self) -> Decimal:
        return sum((each.fill.fee for each in self.fills if not each.fill.fee_currency), _ZERO)

    @property
    def other_fees(self) -> Mapping[str, Decimal]:
        """By currency, beside `fees`."""
        found: dict[str, Decimal] = {}
        for each in self.fills:
            if each.fill.fee_currency:
                added(found, each.fill.fee_currency, each.fill.fee)
        return found


def explained(archive: Archive, name: str) -> Explanation:
    """Of a client order id, or a signal id. Raises UnknownSignal."""
    row = archive.record(Kind.DECIDED, signal_of(name)) or archive.record(Kind.DECIDED, name)
    if row is None and (foreign := archive.record(Kind.ADOPTED, name)):
        return _adopted(archive, foreign)
    if row is None and archive.known(Kind.DECIDED, [signal_of(name), name]):
        raise UnknownSignal(f"{name}: decided before record {archive.cut.number}, now deleted")
    if row is None:
        raise UnknownSignal(f"{name}: neither an order nor a signal of this journal")
    decided: Decided = body_of(row)
    order_id = decided.order.client_order_id if decided.order else ""
    terms = _terms(archive, decided)
    request, unchecked = _request(archive, row, decided, terms)
    symbol = decided.signal.symbol
    events = archive.of_order(order_id) if order_id else []
    return Explanation(
        record=row.number,
        hash=row.hash.hex(),
        strategy=row.strategy,
        order_id=order_id,
        verdict=decided.reason or "accepted",
        message=decided.message,
        scope=decided.scope,
        decided_ns=decided.now_ns,
        written_ns=row.at_ns,
        epoch=decided.epoch,
        batch=decided.batch,
        signal=decided.signal,
        bid=decided.bid,
        ask=decided.ask,
        age_ns=decided.judged.age_ns if decided.judged else None,
        checks=tuple(_checks(request, terms)) if request and terms else (),
        unchecked=unchecked,
        sized=decided.sized,
        poll=decided.poll,
        terms=terms,
        code=_code(archive, row, decided.revision),
        grant=_grant(archive, row, decided.epoch),
        exchange=request.exchange if request else None,
        currency=_currency(archive, row, symbol),
        events=tuple(map(_event, events)),
        fills=tuple(_fills(archive, [each for each in events if each.kind == Kind.FILL])),
    )


def _adopted(archive: Archive, row: Row) -> Explanation:
    """Nobody here decided it: there is no signal, but for what the order itself says."""
    body: Adopted = body_of(row)
    order = body.order
    events = archive.of_order(order.client_order_id)
    return Explanation(
        record=row.number,
        hash=row.hash.hex(),
        strategy=row.strategy,
        order_id=order.client_order_id,
        verdict="adopted",
        message=f"somebody else sent it; it was open at venue {order.venue}",
        decided_ns=order.at_ns,
        written_ns=row.at_ns,
        signal=Signal(
            id=order.signal_id,
            symbol=order.symbol,
            cause=order.cause,
            at_ns=order.at_ns,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            price=order.price,
            stop_price=order.stop_price,
            time_in_force=order.time_in_force,
            post_only=order.post_only,
        ),
        unchecked="an adopted order was not decided here",
        events=tuple(map(_event, events)),
        fills=tuple(_fills(archive, [each for each in events if each.kind == Kind.FILL])),
    )


def _terms(archive: Archive, decided: Decided) -> Terms | None:
    row = archive.record(Kind.TERMS, decided.judged.terms) if decided.judged else None
    return body_of(row) if row else None


def _request(
    archive: Archive, row: Row, decided: Decided, terms: Terms | None
) -> tuple[Request | None, str]:
    """What it was judged by, or why that is not known."""
    if decided.signal.action is Action.CANCEL:
        return None, "a cancel obeys no limits"
    if decided.signal.action is Action.MODIFY and decided.as_order is None:
        return None, "no check was made, or an older gateway kept none of a modification"
    if decided.signal.direction is Direction.NONE:
        return None, "an intention of nothing is no order"
    if decided.judged is None or terms is None:
        return None, "no check was made, or an older gateway did not keep what it was made on"
    touch = None
    if decided.bid is not None and decided.ask is not None and decided.judged.age_ns is not None:
        touch = Touch(decided.bid, decided.ask, decided.judged.age_ns)
    decision = Decision(
        decided.as_order or decided.signal,
        row.strategy,
        decided.revision,
        decided.epoch,
        decided.now_ns,
        touch,
    )
    instrument = _instruments(archive, row).get(decided.signal.symbol)
    try:
        return request_of(decision, decided.judged, terms, instrument), ""
    except NotKept as error:
        return None, str(error)


def _checks(request: Request, terms: Terms) -> list[Finding]:
    converts = request.exchange is not None
    obeyed = opening(terms.limits, terms.bypass, converts=converts)
    return findings(request, CLOSING if request.closing else obeyed)


def _currency(archive: Archive, row: Row, symbol: str) -> str:
    started = started_by(archive, row.number)
    if started is None or not started.currency:
        return ""
    instrument = started.instruments.get(symbol)
    return instrument.quote_currency if instrument else ""


def _instruments(archive: Archive, row: Row) -> Mapping[str, Instrument]:
    started = started_by(archive, row.number)
    return started.instruments if started else recollected(archive).state.instruments


def _code(archive: Archive, decision: Row, revision: str) -> Code | None:
    for row in archive.backwards(Kind.DEPLOYED, decision.strategy, decision.number):
        body: Deployed = body_of(row)
        if body.revision == revision:
            content = msgspec.json.decode(body.content)
            digest, parameters = content.get("code_digest", ""), content.get("parameters", {})
            return Code(revision, digest, parameters, content, row.number)
    return None


def _grant(archive: Archive, decision: Row, epoch: int) -> Armed | None:
    for row in archive.backwards(Kind.GRANT, decision.strategy, decision.number):
        change = change_from_json(row.body)
        if isinstance(change, Armed) and change.epoch == epoch:
            return change
    return None


def _event(row: Row) -> Event:
    body = msgspec.json.decode(row.body)
    if row.kind == Kind.FILL:
        what = f"{body['side']} {body['quantity']} at {body['price']}, fee {body['fee']}"
    else:
        what = ": ".join(filter(None, (body.get("reason"), body.get("message"))))
    return Event(row.number, row.kind, row.at_ns, row.order_state or "", what)


def _fills(archive: Archive, rows: list[Row]) -> list[Traded]:
    """The books are made again up to each of them, from the seal before."""
    rows = [row for row in rows if row.number > archive.cut.number]  # before, no books are left
    if not rows:
        return []
    found: list[Traded] = []
    restoration = recollected(archive)
    numbers = {row.number for row in rows}
    begin = restoration.begin(rows[0].number - 1)
    for row in archive.read(begin.number, rows[-1].number):
        if row.number in numbers:
            found.append(_traded(restoration.booked(row), row))
        else:
            restoration.take(row)
    return found


def _traded(booking: Booking, row: Row) -> Traded:
    return Traded(row.number, booking.fill, booking.position.quantity, booking.realized_pnl)
