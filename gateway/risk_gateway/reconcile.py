"""Whether the ledger and the venue agree, order by order, to the last digit.

Both move while they are compared: what differs is looked at again until it has settled.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from risk_gateway.archive import Archive
from risk_gateway.home import Home
from risk_gateway.journal import OrderRow
from risk_gateway.records import Kind, Stray, body_of
from risk_gateway.state import State
from risk_gateway.venue import Venue, VenueRefused, VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_wire import InvalidMessage
from stratops_wire.scalars import ORDER_STATES, decimal_from
from trading.fills import Fill
from trading.money import EXACT
from trading.orders import OrderState

SETTLE_S = 3.0
_LOOK_S = 0.1
_MOST_NAMED = 100
_ZERO = Decimal(0)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Totals:
    """What was filled of an order."""

    quantity: Decimal = _ZERO
    notional: Decimal = _ZERO
    fee: Decimal = _ZERO

    def __str__(self) -> str:
        return f"{self.quantity} for {self.notional} with fee {self.fee}"


async def in_thread(home: Home, read: Callable[[Archive], T]) -> T:
    """A long read, beside the loop."""

    def work() -> T:
        archive = Archive(home)
        try:
            return read(archive)
        finally:
            archive.close()

    return await asyncio.to_thread(work)


async def differences(state: State, venue: Venue) -> Sequence[str]:
    """Each difference in words; empty: they agree."""
    try:
        return await _differences(state, venue)
    except (VenueUnavailable, VenueRefused) as error:
        return [f"the venue does not answer: {error}"]


async def _differences(state: State, venue: Venue) -> Sequence[str]:
    await state.journal.durable()
    theirs = {each.client_order_id: each async for each in venue.orders()}
    ours = await in_thread(state.journal.home, _all_orders)
    suspects = {
        client_order_id
        for client_order_id in theirs.keys() | ours.keys()
        if _difference(ours.get(client_order_id), theirs.get(client_order_id)) is not None
    }
    named = await _look_again(state, venue, suspects)
    held = _held(state)
    named += await in_thread(state.journal.home, lambda archive: _books(archive, held))
    return named[:_MOST_NAMED]


async def _look_again(state: State, venue: Venue, suspects: set[str]) -> list[str]:
    """What still differs after everything that is under way had its time."""
    left_s = SETTLE_S
    found: dict[str, str] = {}
    while suspects and left_s > 0:
        await asyncio.sleep(_LOOK_S)
        left_s -= _LOOK_S
        await state.journal.durable()
        found = {}
        for client_order_id in suspects:
            theirs = await venue.order(client_order_id)
            difference = _difference(state.archive.order(client_order_id), theirs)
            if difference is not None:
                found[client_order_id] = difference
        suspects = set(found)
    return [f"order {client_order_id}: {what}" for client_order_id, what in sorted(found.items())]


def _difference(ours: OrderRow | None, theirs: pb.OrderResponse | None) -> str | None:
    if ours is None:
        if theirs is None or (_totals(theirs) == Totals() and not _is_open(theirs)):
            return None
        return f"at the venue for {theirs.strategy_id!r}, not in the journal"
    mine = Totals(ours.filled_quantity, ours.filled_notional, ours.fee)
    if theirs is None:
        return (
            None if mine == Totals() and _is_over(ours) else f"not at the venue, here {ours.state}"
        )
    if mine != _totals(theirs):
        return f"ledger has {mine}, venue has {_totals(theirs)}"
    return None


def _is_open(order: pb.OrderResponse) -> bool:
    state = ORDER_STATES.maybe(order.state)
    return state is None or not state.has_ended


def _is_over(order: OrderRow) -> bool:
    return OrderState(order.state).has_ended


def _totals(order: pb.OrderResponse | None) -> Totals:
    if order is None:
        return Totals()
    texts = (order.filled_quantity, order.filled_notional, order.fee)
    try:
        return Totals(*(decimal_from("total", text or "0") for text in texts))
    except InvalidMessage:
        return Totals(Decimal(-1))


def _all_orders(archive: Archive) -> Mapping[str, OrderRow]:
    return {order.client_order_id: order for order in archive.order_rows()}


@dataclass(frozen=True, slots=True)
class _Held:
    """What the books say of one strategy, as of one outcome."""

    outcome: int
    positions: Mapping[str, Decimal]


def _held(state: State) -> Mapping[str, _Held]:
    return {
        name: _Held(strategy.told.last_outcome(), strategy.told.holdings().positions)
        for name, strategy in state.strategies.items()
    }


def _books(archive: Archive, held: Mapping[str, _Held]) -> list[str]:
    """The journal's own fills against its orders and the positions in memory."""
    traded = {
        (strategy, symbol): Decimal(quantity)
        for strategy, symbol, quantity in archive.cut.positions
    }
    for row in archive.of_kind(Kind.FILL):
        fill: Fill = body_of(row)
        if row.number <= archive.cut.number:
            continue  # of an order that was open there: it is in what was held
        if row.strategy in held and (row.outcome or 0) <= held[row.strategy].outcome:
            key = (row.strategy, fill.symbol)
            signed = fill.quantity * fill.side.sign
            traded[key] = EXACT.add(traded.get(key, _ZERO), signed)
    return [*_positions_differ(held, traded), *_strays(archive)]


def _positions_differ(
    held: Mapping[str, _Held], traded: Mapping[tuple[str, str], Decimal]
) -> Iterable[str]:
    kept = {(name, symbol): q for name, h in held.items() for symbol, q in h.positions.items()}
    for strategy, symbol in sorted(kept.keys() | traded.keys()):
        mine = kept.get((strategy, symbol), _ZERO)
        fills = traded.get((strategy, symbol), _ZERO)
        if mine != fills:
            yield f"position {strategy} {symbol}: ledger has {mine}, its fills make {fills}"


def _strays(archive: Archive) -> Iterable[str]:
    for row in archive.of_kind(Kind.STRAY):
        stray: Stray = body_of(row)
        if archive.record(Kind.FILL, stray.fill.fill_id) is not None:
            continue  # a bust that came before its fill
        yield f"fill {stray.fill.fill_id}: counted nowhere, {stray.why}"
