"""Whether the ledger and the venues agree, order by order, to the last digit.

Both move while they are compared: what differs is looked at again until it has settled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from risk_gateway.archive import Archive, OrderPlaced
from risk_gateway.home import Home
from risk_gateway.journal import OrderRow
from risk_gateway.records import Kind, Stray, body_of, venue_of
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
_ASKED_AT_ONCE = 32
_ANSWER_S = 10.0
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


@dataclass(frozen=True, slots=True)
class Difference:
    what: str
    foreign: pb.OrderResponse | None = None  # the order, where it is not in the journal

    def __str__(self) -> str:
        return self.what


async def differences(state: State, venues: Iterable[Venue]) -> Sequence[Difference]:
    """Of the whole desk; empty: all agree. One venue that says nothing keeps no other waiting."""
    async with asyncio.TaskGroup() as tasks:
        looks = [tasks.create_task(differences_at(state, venue)) for venue in venues]
    found = [each for look in looks for each in look.result()]
    return [*found, *await differences_in_books(state)][:_MOST_NAMED]


async def differences_at(state: State, venue: Venue) -> Sequence[Difference]:
    if not venue.may_be_asked:
        return [Difference(f"venue {venue.name} does not answer: it is left alone for a while")]
    try:
        return await _differences_at(state, venue)
    except (VenueUnavailable, VenueRefused) as error:
        return [Difference(f"venue {venue.name} does not answer: {error}")]


async def differences_in_books(state: State) -> Sequence[Difference]:
    """What the journal says, beside what it makes."""
    await state.journal.durable()
    held = _held(state)
    named = await in_thread(state.journal.home, lambda archive: _books(archive, held))
    return [Difference(what) for what in named[:_MOST_NAMED]]


async def _differences_at(state: State, venue: Venue) -> Sequence[Difference]:
    await state.journal.durable()
    theirs = await _listed(venue)
    ours = await in_thread(state.journal.home, lambda archive: _ours(archive, venue.name, theirs))
    suspects = {
        client_order_id
        for client_order_id in theirs.keys() | ours.keys()
        if _difference(ours.get(client_order_id), theirs.get(client_order_id), venue) is not None
    }
    return (await _look_again(state, venue, suspects))[:_MOST_NAMED]


async def _listed(venue: Venue) -> Mapping[str, pb.OrderResponse]:
    """As long as it goes on answering. Raises VenueUnavailable, VenueRefused."""
    loop, found = asyncio.get_running_loop(), {}
    try:
        async with asyncio.timeout(_ANSWER_S) as patience:
            async for each in venue.orders():
                found[each.client_order_id] = each
                patience.reschedule(loop.time() + _ANSWER_S)
    except TimeoutError as error:
        raise VenueUnavailable(f"nothing within {_ANSWER_S:.0f} s") from error
    return found


async def _look_again(state: State, venue: Venue, suspects: set[str]) -> list[Difference]:
    """What still differs after everything that is under way had its time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_S
    found: dict[str, Difference] = {}
    while suspects:
        await asyncio.sleep(_LOOK_S)
        await state.journal.durable()
        found = {}
        names = sorted(suspects)
        for start in range(0, len(names), _ASKED_AT_ONCE):
            some = names[start : start + _ASKED_AT_ONCE]
            looks = await _all_of([_look_at(state, venue, each) for each in some])
            found.update((name, each) for name, each in zip(some, looks, strict=True) if each)
        suspects = set(found)
        if loop.time() >= until:
            break
    return [found[client_order_id] for client_order_id in sorted(found)]


async def _all_of(looks: Iterable[Awaitable[T]]) -> list[T]:
    """Each is over when this is; of several that failed the first says why."""
    found: list[T] = []
    for each in await asyncio.gather(*looks, return_exceptions=True):
        if isinstance(each, BaseException):
            raise each
        found.append(each)
    return found


async def _look_at(state: State, venue: Venue, client_order_id: str) -> Difference | None:
    theirs = await venue.order(client_order_id)
    placed = state.archive.placed(client_order_id)
    there = venue_of(placed.made) if placed else ""
    ours = placed.order if placed else state.archive.order(client_order_id)
    here = ours if there in ("", venue.name) else None
    what = _difference(here, theirs, venue, there)
    if what is None:
        return None
    return Difference(f"order {client_order_id}: {what}", None if ours else theirs)


def _difference(
    ours: OrderRow | None, theirs: pb.OrderResponse | None, venue: Venue, there: str = ""
) -> str | None:
    """`there`: another venue, to which it was sent."""
    if ours is None:
        if theirs is None or (_totals(theirs) == Totals() and not _is_open(theirs)):
            return None
        known = f"sent to venue {there}" if there else "not in the journal"
        return f"at venue {venue.name} for {theirs.strategy_id!r}, {known}"
    mine = Totals(ours.filled_quantity, ours.filled_notional, ours.fee)
    if theirs is None:
        gone = f"not at venue {venue.name}, here {ours.state}"
        return None if mine == Totals() and _is_over(ours) else gone
    if mine != _totals(theirs):
        return f"ledger has {mine}, venue {venue.name} has {_totals(theirs)}"
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


def _ours(archive: Archive, venue: str, listed: Iterable[str]) -> Mapping[str, OrderRow]:
    """What was sent there. Of what was pruned nobody knows where it went: it is compared where it
    is listed.
    """
    sent = {
        placed.order.client_order_id: placed.order
        for placed in _placed(archive)
        if venue_of(placed.made) == venue
    }
    unsent = (name for name in listed if name not in sent and archive.placed(name) is None)
    pruned = (archive.order(name) for name in unsent)
    return sent | {order.client_order_id: order for order in pruned if order}


def _placed(archive: Archive) -> Iterator[OrderPlaced]:
    page = archive.orders()
    while page:
        yield from page
        page = archive.orders(page[-1].order.client_order_id)


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
