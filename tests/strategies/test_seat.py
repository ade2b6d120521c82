from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy_sdk import (
    Decision,
    Direction,
    Event,
    Fill,
    Modified,
    OrderType,
    Position,
    Signal,
    Sized,
    Strategy,
    Tick,
)
from strategy_sdk.blotter import NotDeciding
from strategy_sdk.rehearsal import Rehearsal
from strategy_sdk.seat import ForeignSignal, Seat, UnknownInstrument
from strategy_sdk.strategy import NotSeated
from trading.signals import Action, Side


class Scripted(Strategy):
    """Does on each tick what the test says."""

    def __init__(self, act: Callable[["Scripted"], Decision]) -> None:
        super().__init__()
        self.act = act
        self.heard: list[object] = []

    def on_market_data(self, event: Event) -> Decision:
        return self.act(self)

    def on_fill(self, fill: Fill) -> None:
        self.heard.append(fill.quantity)

    def on_position_update(self, position: Position) -> None:
        self.heard.append(position)


def only(act: Callable[[Scripted], Any], **options: Any) -> Signal:
    (signal,) = Rehearsal(Scripted(act), **options).tick(100, 101)
    return signal


def test_an_order_is_sent_once_whether_it_is_returned_or_not() -> None:
    returned = only(lambda s: s.buy("BTCUSDT", 1))
    silent = only(lambda s: [s.buy("BTCUSDT", 1), None][1])
    assert returned == silent


def test_a_generator_is_run_to_its_end() -> None:
    def act(strategy: Scripted) -> Iterator[Signal]:
        yield strategy.buy("BTCUSDT", 1)
        strategy.sell("BTCUSDT", 2)

    assert len(Rehearsal(Scripted(act)).tick(100)) == 2


def test_a_signal_that_was_not_made_here_is_refused() -> None:
    foreign = only(lambda s: s.buy("BTCUSDT", 1))
    with pytest.raises(ForeignSignal, match=r"make orders with self\.buy"):
        Rehearsal(Scripted(lambda s: replace(foreign))).tick(100)


def test_orders_of_a_message_that_raised_are_forgotten() -> None:
    strategy = Scripted(lambda s: [s.buy("BTCUSDT", 1), 1 / 0])  # type: ignore[list-item]  # raises
    rehearsal = Rehearsal(strategy)
    with pytest.raises(ZeroDivisionError):
        rehearsal.tick(100)
    strategy.act = lambda s: None
    assert rehearsal.tick(100) == ()
    assert strategy.position("BTCUSDT") == 0


def test_ids_follow_from_strategy_message_and_place() -> None:
    def act(strategy: Scripted) -> list[Signal]:
        return [strategy.buy("BTCUSDT", 1), strategy.buy("BTCUSDT", 1)]

    first, again = Rehearsal(Scripted(act)).tick(100), Rehearsal(Scripted(act)).tick(100)
    assert [signal.id for signal in first] == [signal.id for signal in again]
    assert first[0].id != first[1].id


def test_the_cause_is_the_message() -> None:
    cause = only(lambda s: s.buy("BTCUSDT", 1)).cause
    assert (cause.stream, cause.sequence, cause.at_ns) == ("BTCUSDT/tick", 1, 1_000_000_000)


@pytest.mark.parametrize(
    ("price", "stop_price", "kind"),
    [
        (None, None, OrderType.MARKET),
        (1, None, OrderType.LIMIT),
        (None, 1, OrderType.STOP),
        (1, 1, OrderType.STOP_LIMIT),
    ],
)
def test_the_prices_given_make_the_order_type(
    price: int | None, stop_price: int | None, kind: OrderType
) -> None:
    assert only(lambda s: s.buy("BTCUSDT", 1, price, stop_price=stop_price)).order_type is kind


@given(st.floats(0, 1e6))
def test_a_quantity_is_the_written_decimal_rounded_down_to_the_lot(quantity: float) -> None:
    lots = Decimal(repr(quantity)) // Decimal("0.00001")
    signal = only(lambda s: s.buy("BTCUSDT", quantity))
    assert str(signal.quantity) == str(lots * Decimal("0.00001"))


@pytest.mark.parametrize(("side", "on_increment"), [(Side.BUY, "9.99"), (Side.SELL, "10.00")])
def test_a_price_goes_to_the_safer_side(side: Side, on_increment: str) -> None:
    signal = only(lambda s: (s.buy if side is Side.BUY else s.sell)("BTCUSDT", 1, "9.999"))
    assert signal.price == Decimal(on_increment)


@pytest.mark.parametrize("quantity", [-1, "-0.1", float("nan"), float("inf")])
def test_a_senseless_quantity_is_the_strategys_error(quantity: Any) -> None:
    with pytest.raises(ValueError, match="expected zero or more"):
        only(lambda s: s.buy("BTCUSDT", quantity))


def test_within_one_message_the_position_counts_what_was_just_asked_for() -> None:
    seen: list[Decimal] = []

    def act(strategy: Scripted) -> None:
        strategy.buy("BTCUSDT", 3)
        seen.append(strategy.position("BTCUSDT"))

    only(act)
    assert seen == [3]


def test_only_what_reduces_the_position_is_closing() -> None:
    rehearsal = Rehearsal(strategy := Scripted(lambda s: s.buy("BTCUSDT", 2)))
    assert [signal.closing for signal in rehearsal.tick(100)] == [False]
    strategy.act = lambda s: [s.sell("BTCUSDT", 1), s.sell("BTCUSDT", 1), s.sell("BTCUSDT", 1)]
    assert [signal.closing for signal in rehearsal.tick(100)] == [True, True, False]


def test_a_position_under_way_is_closed_as_one_that_is_there() -> None:
    rehearsal = Rehearsal(strategy := Scripted(lambda s: s.buy("BTCUSDT", 2)), fills=False)
    rehearsal.tick(100)
    strategy.act = lambda s: s.close("BTCUSDT")
    (signal,) = rehearsal.tick(100)
    assert (signal.side, signal.quantity, signal.closing) == (Side.SELL, Decimal(2), True)


def test_what_already_rests_to_close_a_position_is_not_closed_again() -> None:
    rehearsal = Rehearsal(strategy := Scripted(lambda s: s.buy("BTCUSDT", 2)))
    rehearsal.tick(100)
    strategy.act = lambda s: s.sell("BTCUSDT", 2, 200)
    rehearsal.tick(100)
    strategy.act = lambda s: s.close("BTCUSDT")
    assert [signal.closing for signal in rehearsal.tick(100)] == [False]


def test_a_cancel_names_its_order() -> None:
    rehearsal = Rehearsal(strategy := Scripted(lambda s: s.buy("BTCUSDT", 1, 50)))
    (order,) = rehearsal.tick(100)
    strategy.act = lambda s: s.cancel(order.id)
    (cancel,) = rehearsal.tick(100)
    assert (cancel.action, cancel.cancels, cancel.symbol) == (Action.CANCEL, order.id, "BTCUSDT")


def test_a_fill_is_told_before_the_position() -> None:
    strategy = Scripted(lambda s: s.buy("BTCUSDT", 2))
    Rehearsal(strategy).tick(100)
    assert strategy.heard == [Decimal(2), Position("BTCUSDT", Decimal(2))]


def test_orders_are_made_on_market_data_only() -> None:
    class Eager(Scripted):
        def on_fill(self, fill: Fill) -> None:
            self.sell(fill.symbol, 1)

    with pytest.raises(NotDeciding):
        Rehearsal(Eager(lambda s: s.buy("BTCUSDT", 1))).tick(100)


def test_the_ledgers_word_replaces_the_account() -> None:
    rehearsal = Rehearsal(strategy := Scripted(lambda s: s.buy("BTCUSDT", 2)), fills=False)
    rehearsal.tick(100)
    rehearsal.seat.set_holdings({"BTCUSDT": Decimal(7)}, ())
    assert strategy.position("BTCUSDT") == 7
    assert strategy.heard == [Position("BTCUSDT", Decimal(7))]


def test_a_symbol_without_an_instrument_is_refused() -> None:
    with pytest.raises(UnknownInstrument, match="'XRPUSDT'"):
        Seat(Scripted(lambda s: None), name="x", symbols=["XRPUSDT"], instruments={})


def test_a_strategy_without_a_seat_says_so() -> None:
    with pytest.raises(NotSeated):
        Scripted(lambda s: None).buy("BTCUSDT", 1)


class Counting(Strategy):
    """Warm after 3 messages of each symbol; remembers, and trades by what it remembers."""

    every: int = 3
    warm_up = 3

    def start(self) -> None:
        self.recent: deque[float] = deque(maxlen=self.every)
        self.last: Tick | None = None

    def on_market_data(self, event: Event) -> None:
        assert isinstance(event, Tick)
        self.recent.append(event.bid_price)
        self.last = event
        if len(self.recent) == self.every and sum(self.recent) % 2 < 1:
            self.move(event.symbol, int(event.bid_price) % 5 - 2)


def test_a_strategy_is_warm_when_each_symbol_has_had_its_messages() -> None:
    rehearsal = Rehearsal(strategy := Counting(), "A", "B")
    for symbol in ("A", "A", "A", "A", "B", "B"):
        rehearsal.tick(1, symbol=symbol)
    assert not strategy.is_warm()
    rehearsal.tick(1, symbol="B")
    assert strategy.is_warm()


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 9)), max_size=40), st.integers(0, 40)
)
def test_a_restored_seat_goes_on_as_the_first_one(ticks: list[tuple[str, int]], cut: int) -> None:
    first, second = Rehearsal(Counting(), "A", "B"), Rehearsal(Counting(), "A", "B")
    for symbol, price in ticks[:cut]:
        first.tick(price, symbol=symbol)
        second._sequence += 1  # the same messages follow
    second.seat.restore(first.seat.snapshot())
    for symbol, price in ticks[cut:]:
        assert first.tick(price, symbol=symbol) == second.tick(price, symbol=symbol)
        assert first.seat.digest() == second.seat.digest()


def test_a_reload_takes_parameters_and_keeps_the_position() -> None:
    rehearsal = Rehearsal(strategy := Counting())
    rehearsal.seat.set_holdings({"BTCUSDT": Decimal(7)}, ())
    strategy.hot_reload({"every": 9})
    assert (strategy.every, strategy.position("BTCUSDT")) == (9, Decimal(7))


def test_a_modified_order_is_worked_on_its_new_terms() -> None:
    strategy = Scripted(lambda s: s.buy("BTCUSDT", 2, 90) if not s.working() else None)
    rehearsal = Rehearsal(strategy)
    (order,) = rehearsal.tick(100, 101)
    strategy.act = lambda s: s.modify(order.id, quantity=5, price=91)
    (signal,) = rehearsal.tick(100, 101)
    assert (signal.action, signal.modifies) == (Action.MODIFY, order.id)
    assert signal.quantity == 5
    assert signal.price == 91
    rehearsal.seat.modified(Modified(signal.id, order.id, Decimal(5), Decimal(91)))
    (working,) = strategy.working()
    assert working.quantity == 5


def test_a_bust_moves_the_position_and_not_the_order() -> None:
    strategy = Scripted(lambda s: s.buy("BTCUSDT", 2, 90))
    rehearsal = Rehearsal(strategy)
    (order,) = rehearsal.tick(100, 101)
    rehearsal.fill(order, 90, Decimal(1))
    back = Fill(order.id, "b", "BTCUSDT", Side.SELL, Decimal(90), Decimal(1), Decimal(0), 1, "f")
    rehearsal.seat.fill(back)
    assert strategy.settled("BTCUSDT") == 0
    assert strategy.working()[0].quantity == 1


def test_an_intention_counts_once_it_is_told_how_large_it_is() -> None:
    strategy = Scripted(lambda s: s.intend("BTCUSDT", Direction.LONG, size=Decimal("0.5")))
    rehearsal = Rehearsal(strategy)
    (signal,) = rehearsal.tick(100, 101)
    assert (signal.direction, signal.size) == (Direction.LONG, Decimal("0.5"))
    assert strategy.position("BTCUSDT") == 0
    assert not strategy.working()
    rehearsal.seat.sized(Sized(signal.id, "BTCUSDT", Side.BUY, Decimal(3)))
    assert strategy.position("BTCUSDT") == 3
    rehearsal.seat.fill(
        Fill(signal.id, "f", "BTCUSDT", Side.BUY, Decimal(101), Decimal(3), Decimal(0), 1)
    )
    assert strategy.settled("BTCUSDT") == 3
    assert not strategy.working()
