from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from handover.messages import Holdings, Mark, OrderEnd, OrderFill, Outcome, WorkingOrder
from market_data.catalogue import load
from strategy_library.sma_crossover import SmaCrossover
from strategy_runner.guard import MOST_IN_A_ROW, Fault, Guard
from strategy_runner.host import StrategyHost
from strategy_sdk import Event, OrderType, Side, Strategy
from strategy_sdk.seat import Seat
from trading.orders import OrderState
from trading.reasons import Reason

ONE = Decimal(1)


class Buyer(Strategy):
    """Buys one on each even sequence, raises on each odd one."""

    def on_market_data(self, event: Event) -> None:
        self.buy(event.symbol, 1)
        if event.sequence % 2:
            raise KeyError(event.sequence)

    def get_metrics(self) -> Mapping[str, float]:
        return {"half": 0.5}


def host(strategy: type[Strategy] = Buyer, **parameters: Any) -> StrategyHost:
    def make_seat() -> Seat:
        return Seat(strategy(**parameters), name="probe", symbols=["BTCUSDT"], instruments=load())

    return StrategyHost(make_seat, ["BTCUSDT"], Guard(), lambda hook, error: None)


def tick(sequence: int, price: float = 100, session: str = "run-1") -> bytes:
    return msgspec.json.encode(
        {
            "type": "tick", "symbol": "BTCUSDT", "sequence": sequence, "timestamp": 10**18,
            "bid_price": price, "ask_price": price, "session": session,
        }
    )  # fmt: skip


def test_a_message_that_is_dropped_is_none() -> None:
    made = host()
    assert made.apply(b"{") is None
    assert (made.ticks, made.dropped) == (0, {"malformed": 1})


def test_a_message_on_which_the_strategy_raised_has_no_signal_and_counts() -> None:
    made = host()
    assert made.apply(tick(1)) == ()
    assert (made.ticks, made.guard.errors) == (1, {"KeyError": 1})


def test_an_expected_order_counts_until_it_is_refused() -> None:
    made = host()
    (signal,) = made.apply(tick(2)) or ()
    made.expect(signal)
    assert made.seat.account.position("BTCUSDT") == ONE
    made.take(Outcome(1, signal.id, OrderEnd(OrderState.REJECTED, Reason.HALTED)))
    assert made.seat.account.position("BTCUSDT") == 0


def test_a_fill_settles_the_position() -> None:
    made = host()
    (signal,) = made.apply(tick(2)) or ()
    made.expect(signal)
    made.take(Outcome(1, signal.id, OrderFill("f", "BTCUSDT", Side.BUY, ONE, ONE, ONE, 1)))
    assert made.seat.account.settled("BTCUSDT") == ONE


def test_a_snapshot_carries_state_account_and_place() -> None:
    first, second = host(SmaCrossover), host(SmaCrossover)
    for sequence in range(1, 30):
        first.apply(tick(sequence, 100 + sequence % 7))
    mark = Mark(sequences=first.sequences(), session=first.session())
    second.restore(mark, first.snapshot(), Holdings({"BTCUSDT": Decimal(9)}))
    assert second.digest() == first.digest()
    assert (second.sequences(), second.session()) == ({"BTCUSDT/tick": 29}, "run-1")
    assert second.apply(tick(29)) is None


def test_without_a_snapshot_the_account_is_the_ledgers() -> None:
    working = WorkingOrder("s-1", "BTCUSDT", Side.SELL, OrderType.MARKET, Decimal(2))
    made = host()
    made.restore(Mark(), b"", Holdings({"BTCUSDT": Decimal(9)}, (working,)))
    assert made.seat.account.position("BTCUSDT") == 7


def test_a_new_strategy_begins_at_the_place_of_the_old_one() -> None:
    made = host()
    made.apply(tick(5, session="run-1.3"))
    made.begin(Holdings())
    made.begin(Holdings())
    assert (made.apply(tick(5)), made.session()) == (None, "run-1")


def test_errors_in_a_row_are_a_fault_and_end_the_asking() -> None:
    made = host()
    for sequence in range(1, 2 * MOST_IN_A_ROW + 4, 2):
        made.apply(tick(sequence))
    assert made.guard.fault is Fault.ERRORS
    assert made.guard.total == MOST_IN_A_ROW


def test_errors_now_and_then_are_no_fault() -> None:
    made = host()
    for sequence in range(1, 4 * MOST_IN_A_ROW):
        made.apply(tick(sequence))
    assert made.guard.total == 2 * MOST_IN_A_ROW
    assert made.guard.fault is None


class Unkeepable(Buyer):
    def start(self) -> None:
        self.thing = object()


def test_state_that_does_not_travel_is_no_snapshot() -> None:
    made = host(Unkeepable)
    assert made.snapshot() == b""
    assert made.guard.errors == {"CannotKeep": 1}
    assert made.digest() == made.digest() != 0


class Rude(Buyer):
    def on_fill(self, fill: object) -> None:
        raise SystemExit

    on_order_end = is_warm = get_metrics = shutdown = on_fill  # type: ignore[assignment]


@pytest.mark.parametrize(
    "call",
    [
        lambda h: h.take(Outcome(1, "x", OrderEnd(OrderState.EXPIRED))),
        lambda h: h.is_warm(),
        lambda h: h.metrics(),
        lambda h: h.close(),
    ],
    ids=["an outcome", "is_warm", "get_metrics", "shutdown"],
)
def test_no_hook_of_an_author_ends_the_process(call: Any) -> None:
    made = host(Rude)
    call(made)
    assert made.guard.total == 1


def test_the_strategys_own_figures_are_passed_on() -> None:
    assert host().metrics() == {"half": 0.5}


def test_a_state_that_is_not_understood_is_an_error_not_an_end() -> None:
    made = host(SmaCrossover)
    made.restore(Mark(), b"\xc1", Holdings())
    assert made.guard.errors == {"CannotKeep": 1}
