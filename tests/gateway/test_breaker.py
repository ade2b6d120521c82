"""The breaker of a venue: the table, and a real one that does not answer."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.breaker import TRANSITIONS, Breaker, BreakerEvent, BreakerState, Tolerance
from risk_gateway.metrics import Counts, DeskCollector, Levels, exposition
from risk_gateway.report import venue_level
from risk_gateway.venue import Patience, Venue, VenueUnavailable
from stratops_api.v1 import order_execution_pb2 as pb
from stratops_api.v1.order_execution_pb2_grpc import (
    OrderExecutionServicer,
    add_OrderExecutionServicer_to_server,
)

S = BreakerState
CLOSED = Breaker(Tolerance(failures=3, wait_s=1, longest_wait_s=4))
OPEN = CLOSED.unanswered(0).unanswered(0).unanswered(0)


def test_it_opens_after_failures_in_a_row() -> None:
    assert CLOSED.unanswered(0).unanswered(0).is_closed
    assert CLOSED.unanswered(0).unanswered(0).answered().unanswered(0).is_closed
    assert OPEN.state is S.OPEN


def test_it_waits_and_then_lets_one_try() -> None:
    assert OPEN.at(0.9).state is S.OPEN
    assert OPEN.at(1).state is S.HALF_OPEN
    assert OPEN.at(1).answered().state is S.CLOSED


def test_each_failed_try_doubles_the_wait_up_to_the_longest() -> None:
    breaker, waits = OPEN, []
    for _ in range(4):
        waits.append(breaker.wait_s)
        breaker = breaker.at(breaker.until_s).unanswered(breaker.until_s)
    assert waits == [1, 2, 4, 4]
    assert breaker.opened == 5


def test_what_ends_while_it_is_open_makes_it_wait_no_longer() -> None:
    assert OPEN.unanswered(0.5).until_s == OPEN.until_s


def test_every_event_has_its_place_in_every_state() -> None:
    assert set(TRANSITIONS) == set(S)
    assert all(set(row) == set(BreakerEvent) for row in TRANSITIONS.values())


@given(st.lists(st.tuples(st.sampled_from(["answered", "unanswered", "time"]), st.floats(0, 3))))
def test_an_answer_closes_it_and_nothing_else_does(happens: list[tuple[str, float]]) -> None:
    breaker, now_s, in_a_row = CLOSED, 0.0, 0
    for what, passed_s in happens:
        now_s += passed_s
        before = breaker = breaker.at(now_s)
        if what == "answered":
            breaker, in_a_row = breaker.answered(), 0
        elif what == "unanswered":
            breaker, in_a_row = breaker.unanswered(now_s), in_a_row + 1
        assert breaker.is_closed == (in_a_row < 3)
        assert breaker.opened - before.opened in (0, 1)


class Sleeper(OrderExecutionServicer):
    """Answers once it is awake."""

    awake = False
    asked = 0

    async def GetOrder(self, request: pb.GetOrderRequest, context: Any) -> pb.OrderResponse:  # noqa: N802
        self.asked += 1
        if not self.awake:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "asleep")
        return pb.OrderResponse(client_order_id=request.client_order_id)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def sleeper() -> AsyncIterator[tuple[Sleeper, Venue, Clock]]:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    made, clock = Sleeper(), Clock()  # type: ignore[abstract]  # the rest is UNIMPLEMENTED
    add_OrderExecutionServicer_to_server(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    venue = Venue(f"127.0.0.1:{port}", Patience(retries=0), clock=clock)
    yield made, venue, clock
    await venue.close()
    await server.stop(0)


async def test_a_venue_that_does_not_answer_is_left_alone_until_it_may(
    sleeper: tuple[Sleeper, Venue, Clock],
) -> None:
    asleep, venue, clock = sleeper
    for _ in range(3):
        assert venue.available
        with pytest.raises(VenueUnavailable):
            await venue.order("x")
    assert (venue.available, venue.may_be_asked) == (False, False)
    clock.now_s, asleep.awake = 0.5, True
    assert (venue.available, venue.may_be_asked) == (False, True)
    await venue.order("x")
    assert venue.available
    assert venue.calls == {"unanswered": 3, "answered": 1}
    levels = Levels(venues=(venue_level(venue),))
    text = exposition(DeskCollector(Counts(), lambda: levels)).decode()
    assert f'strategy_engine_venue_breaker{{state="closed",venue="{venue.name}"}} 1.0' in text
    assert f'strategy_engine_venue_breaker_opened_total{{venue="{venue.name}"}} 1.0' in text
    assert (
        f'strategy_engine_venue_calls_total{{result="unanswered",venue="{venue.name}"}} 3' in text
    )
