"""The venue's client: deadlines, repeats with the same id, and who may not be repeated."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest

from dark_relay import Relay
from risk_gateway.lanes import Lanes, Leaving
from risk_gateway.venue import Patience, Venue, VenueRefused, VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import (
    OrderExecutionServicer,
    add_OrderExecutionServicer_to_server,
)

PATIENCE = Patience(deadline_s=60, retries=3, backoff_s=0.01)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class MoodyVenue(OrderExecutionServicer):
    """Answers as `moods` says, one by one, then well. `seen` has every id it was asked for."""

    def __init__(self) -> None:
        self.moods: list[grpc.StatusCode | str] = []
        self.seen: list[list[str]] = []
        self.address = ""

    async def SubmitOrder(self, request: pb.OrderRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        self.seen.append([request.client_order_id])
        if request.client_order_id == "slow":
            await asyncio.sleep(0.2)
        await self._mood(context)
        return pb.OrderResponse(client_order_id=request.client_order_id)

    async def SubmitBatchOrders(  # noqa: N802
        self, request: pb.BatchOrderRequest, context: Any
    ) -> pb.BatchOrderResponse:
        self.seen.append([order.client_order_id for order in request.orders])
        await self._mood(context)
        answers = [pb.OrderResponse(client_order_id=o.client_order_id) for o in request.orders]
        return pb.BatchOrderResponse(orders=answers)

    async def CancelOrder(self, request: pb.CancelRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        self.seen.append([f"cancel {request.client_order_id}"])
        return pb.OrderResponse(client_order_id=request.client_order_id)

    async def ModifyOrder(self, request: pb.ModifyRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        self.seen.append([f"modify {request.client_order_id} {request.modification}"])
        await self._mood(context)
        return pb.OrderResponse(client_order_id=request.client_order_id)

    async def GetOrder(self, request: pb.GetOrderRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        await context.abort(grpc.StatusCode.NOT_FOUND, request.client_order_id)
        raise AssertionError

    async def ListOrders(  # noqa: N802
        self, request: pb.ListOrdersRequest, context: Any
    ) -> pb.ListOrdersResponse:
        return pb.ListOrdersResponse()

    async def GetVenue(self, request: pb.GetVenueRequest, context: Any) -> pb.VenueResponse:  # noqa: N802
        await self._mood(context)
        return pb.VenueResponse(reduce_only=True)

    async def _mood(self, context: Any) -> None:
        mood = self.moods.pop(0) if self.moods else "well"
        if mood == "slow":
            await asyncio.sleep(600)
        elif isinstance(mood, grpc.StatusCode):
            await context.abort(mood, "in a mood")


@pytest.fixture
async def moody() -> AsyncIterator[MoodyVenue]:
    made = MoodyVenue()
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_OrderExecutionServicer_to_server(made, server)
    made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield made
    await server.stop(0)


@pytest.fixture
async def venue(moody: MoodyVenue) -> AsyncIterator[Venue]:
    made = Venue(moody.address, PATIENCE)
    yield made
    await made.close()


def order(name: str) -> pb.OrderRequest:
    return pb.OrderRequest(client_order_id=name)


@pytest.mark.parametrize("mood", [UNAVAILABLE, "slow"])
async def test_a_repeat_has_the_same_id(moody: MoodyVenue, mood: Any) -> None:
    moody.moods = [mood, mood]
    venue = Venue(moody.address, replace(PATIENCE, deadline_s=0.5, retries=9))
    (answer,) = await venue.submit([order("x")])
    assert answer.client_order_id == "x"
    assert len(moody.seen) >= 3  # the third may be late, too
    assert all(each == ["x"] for each in moody.seen)
    await venue.close()


@pytest.mark.servers
async def test_a_venue_whose_host_has_gone_is_found_again_at_its_address(
    moody: MoodyVenue,
) -> None:
    relay = Relay(int(moody.address.rpartition(":")[2]))
    venue = Venue(await relay.start(), Patience(deadline_s=5.0, retries=5))
    await venue.submit([order("x")])
    relay.lose()
    await venue.submit([order("y")])
    assert moody.seen == [["x"], ["y"]]
    await venue.close()
    await relay.stop()


async def test_after_its_retries_it_says_that_it_does_not_know(
    venue: Venue, moody: MoodyVenue
) -> None:
    moody.moods = [UNAVAILABLE] * 9
    with pytest.raises(VenueUnavailable):
        await venue.submit([order("x")])
    assert len(moody.seen) == 1 + PATIENCE.retries
    assert not venue.available


async def test_an_order_that_it_never_had_is_none(venue: Venue) -> None:
    assert await venue.order("x") is None


async def test_a_refused_call_is_not_repeated(venue: Venue, moody: MoodyVenue) -> None:
    moody.moods = [grpc.StatusCode.INVALID_ARGUMENT]
    with pytest.raises(VenueRefused, match="in a mood"):
        await venue.submit([order("x")])
    assert len(moody.seen) == 1


async def test_an_inner_error_says_nothing_about_what_happened(
    venue: Venue, moody: MoodyVenue
) -> None:
    moody.moods = [grpc.StatusCode.INTERNAL]
    with pytest.raises(VenueUnavailable):
        await venue.submit([order("x")])


async def test_once_the_desk_is_halted_nothing_is_repeated(moody: MoodyVenue) -> None:
    halted = Venue(moody.address, PATIENCE, may_resubmit=lambda: False)
    moody.moods = [UNAVAILABLE]
    with pytest.raises(VenueUnavailable):
        await halted.submit([order("x")])
    assert len(moody.seen) == 1
    await halted.close()


class Notes:
    """A sender that writes down what it is told; `halts_after` so many questions nothing leaves."""

    def __init__(self, halts_after: int = 1_000) -> None:
        self.told: list[tuple[str, str]] = []
        self.left = halts_after
        self.waited_s: list[float] = []

    def may_leave(self, leaving: Leaving, waited_s: float = 0.0) -> bool:
        self.waited_s.append(waited_s)
        self.left -= 1
        return leaving.client_order_id != "halted" and self.left >= 0

    def answered(self, leaving: Leaving, answer: pb.OrderResponse) -> None:
        self.told.append(("answered", leaving.client_order_id))

    def unanswered(self, leaving: Leaving, why: str) -> None:
        self.told.append(("unanswered", leaving.client_order_id))

    def refused(self, leaving: Leaving, why: str) -> None:
        self.told.append(("refused", leaving.client_order_id))


async def sent(
    venue: Venue, *leavings: Leaving, notes: Notes | None = None
) -> list[tuple[str, str]]:
    notes = notes or Notes()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(venue, tasks, notes)
        for leaving in leavings:
            lanes.put(leaving)
    return notes.told


def leaving(name: str, strategy: str = "s") -> Leaving:
    return Leaving(strategy, name, order(name))


async def test_the_orders_of_a_strategy_leave_in_their_order(
    venue: Venue, moody: MoodyVenue
) -> None:
    await sent(venue, leaving("a"), leaving("b"), Leaving("s", "a", None), leaving("c"))
    assert moody.seen == [["a", "b"], ["cancel a"], ["c"]]


async def test_one_lane_does_not_wait_for_another(venue: Venue) -> None:
    told = await sent(venue, leaving("slow"), leaving("b", "other"))
    assert told == [("answered", "b"), ("answered", "slow")]


async def test_what_waits_behind_a_call_is_asked_with_how_long(venue: Venue) -> None:
    notes = Notes()
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(venue, tasks, notes)
        lanes.put(leaving("slow"))
        await asyncio.sleep(0)  # it is under way
        lanes.put(leaving("b"))
    first, second = notes.waited_s
    assert second > 0.15  # the slow one takes 0.2
    assert first < second


async def test_what_may_not_leave_stays(venue: Venue, moody: MoodyVenue) -> None:
    await sent(venue, leaving("a"), leaving("halted"))
    assert moody.seen == [["a"]]


async def test_an_order_that_spoils_its_batch_is_refused_alone(
    venue: Venue, moody: MoodyVenue
) -> None:
    refusal = grpc.StatusCode.INVALID_ARGUMENT
    moody.moods = [refusal, refusal]
    told = await sent(venue, leaving("bad"), leaving("good"))
    assert told == [("refused", "bad"), ("answered", "good")]


async def test_a_halt_stops_what_a_refused_batch_had_left(venue: Venue, moody: MoodyVenue) -> None:
    moody.moods = [grpc.StatusCode.INVALID_ARGUMENT]
    halted = Notes(halts_after=2)
    assert await sent(venue, leaving("a"), leaving("b"), notes=halted) == []
    assert moody.seen == [["a", "b"]]
