"""The strategy as the replica meets it (`handover.replica.Host`): payloads in, orders out.

What the strategy raises stays inside and is counted; see `guard` for when that is too much.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from time import perf_counter_ns, time_ns

from handover.messages import (
    Holdings,
    Mark,
    OrderEnd,
    OrderModified,
    OrderSized,
    Outcome,
    WorkingOrder,
)
from market_data.intake import Intake
from market_data.progress import origin
from strategy_runner.guard import Guard
from strategy_runner.histogram import AGE_US, Histogram
from strategy_sdk.account import Ended, Fill, Modified, Sized, Working
from strategy_sdk.market import Event
from strategy_sdk.seat import Seat
from trading.signals import Signal

_OLDEST_NS = 60_000_000_000  # an older market is a replay's, and its age says nothing
_SAMPLED = 15  # the handler's time is taken on every 16th message: a clock costs as much as a tick


class StrategyHost:
    """`make_seat` makes the strategy anew, each time a fresh start is needed.

    `on_error(hook, error)` hears of everything that the strategy raises.
    """

    def __init__(
        self,
        make_seat: Callable[[], Seat],
        symbols: Collection[str],
        guard: Guard,
        on_error: Callable[[str, BaseException], object],
    ) -> None:
        self.ticks = 0
        self.guard = guard
        self.dropped: Counter[str] = Counter()
        self.signals: Counter[tuple[str, str]] = Counter()  # by symbol and side
        self.handler_us = Histogram()
        self.market_age_us = Histogram(AGE_US)
        self._make_seat = make_seat
        self._symbols = symbols
        self._on_error = on_error
        self._session = ""  # of the last message before this strategy's first
        self._untouched = False
        self._received: Counter[tuple[str, str]] = Counter()  # by earlier intakes
        self._intake = Intake(symbols)
        self._take_intake({})
        self._take_seat(make_seat())

    # ---- the hot path

    def apply(self, payload: bytes) -> tuple[Signal, ...] | None:
        """The orders that a message causes; None when the message was dropped.

        A strategy that raises has made no order on that message.
        """
        event = self._accept(payload)
        if event is None:
            return None
        self.ticks += 1
        try:
            return self._decide(event) if self.ticks & _SAMPLED else self._decide_timed(event)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's handler may raise anything
            self._raised("on_market_data", error)
            return ()

    def _decide_timed(self, event: Event) -> tuple[Signal, ...]:
        age_ns = time_ns() - event.timestamp  # type: ignore[operator]  # the intake made it an integer
        if 0 <= age_ns < _OLDEST_NS:
            self.market_age_us.add(age_ns // 1000)
        began = perf_counter_ns()
        signals = self._decide(event)
        self.handler_us.add((perf_counter_ns() - began) // 1000)
        return signals

    # ---- its account

    def expect(self, signal: Signal) -> None:
        self.signals[signal.symbol, signal.side.value] += 1
        self.seat.expect(signal)

    def take(self, outcome: Outcome) -> None:
        try:
            _take(self.seat, outcome)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's hook may raise anything
            self._raised("on_fill", error)

    def set_holdings(self, holdings: Holdings) -> None:
        try:
            self.seat.set_holdings(holdings.positions, map(_working, holdings.working))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's hook may raise anything
            self._raised("on_position_update", error)

    # ---- its place and its state

    def begin(self, holdings: Holdings) -> None:
        self._renew()
        self.set_holdings(holdings)

    def restore(self, mark: Mark, state: bytes, holdings: Holdings) -> None:
        self._renew()
        self._session = mark.session
        self._take_intake(mark.sequences)
        if not state:
            return self.set_holdings(holdings)
        try:
            self.seat.restore(state)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's restore may raise anything
            self._raised("restore", error)  # the digests will differ, and that has its own way

    def snapshot(self) -> bytes:
        """Empty when the strategy's state does not travel: its successors warm up."""
        try:
            return self.seat.snapshot()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's get_state may raise anything
            self._raised("get_state", error)
            return b""

    def digest(self) -> int:
        return zlib.crc32(self.snapshot()) or 1

    def is_warm(self) -> bool:
        try:
            return self.seat.strategy.is_warm()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's hook may raise anything
            self._raised("is_warm", error)
            return False

    def sequences(self) -> Mapping[str, int]:
        return self._intake.sequences

    def received(self) -> Mapping[tuple[str, str], int]:
        """Messages taken, by symbol and type."""
        return self._received + Counter(self._intake.accepted)

    def session(self) -> str:
        event = self.seat.blotter.event
        return self._session if event is None else origin(event.session)

    def metrics(self) -> Mapping[str, float]:
        """The strategy's own figures."""
        try:
            return dict(self.seat.strategy.get_metrics())
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's hook may raise anything
            self._raised("get_metrics", error)
            return {}

    def close(self) -> None:
        """The last call: the strategy gives back what it holds."""
        try:
            self.seat.stop()
            self.seat.strategy.shutdown()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an author's hook may raise anything
            self._raised("shutdown", error)

    def _renew(self) -> None:
        self._session = self.session()
        if not self._untouched:
            self.close()
            self._take_seat(self._make_seat())
        self._untouched = False

    def _take_seat(self, seat: Seat) -> None:
        self.seat = seat
        self._decide = seat.decide
        self._untouched = True
        seat.start()

    def _take_intake(self, sequences: Mapping[str, int]) -> None:
        self._received += Counter(self._intake.accepted)
        self._intake = Intake(self._symbols)
        self._intake.dropped = self.dropped
        self._intake.resume(dict(sequences))
        self._accept = self._intake.accept

    def _raised(self, place: str, error: BaseException) -> None:
        self.guard.raised(error, self.ticks)
        if self.guard.fault is not None:
            self._decide = _nothing
        self._on_error(place, error)


def _nothing(event: Event) -> tuple[Signal, ...]:
    return ()


def _take(seat: Seat, outcome: Outcome) -> None:
    what = outcome.what
    if isinstance(what, OrderEnd):
        seat.end(Ended(outcome.signal_id, what.state, what.reason))
    elif isinstance(what, OrderSized):
        seat.sized(Sized(outcome.signal_id, what.symbol, what.side, what.quantity))
    elif isinstance(what, OrderModified):
        seat.modified(Modified(outcome.signal_id, what.order, what.remaining, what.price))
    else:
        seat.fill(
            Fill(
                signal_id=outcome.signal_id,
                fill_id=what.fill_id,
                symbol=what.symbol,
                side=what.side,
                price=what.price,
                quantity=what.quantity,
                fee=what.fee,
                at_ns=what.at_ns,
                busts=what.busts,
            )
        )


def _working(order: WorkingOrder) -> Working:
    return Working(order.signal_id, order.symbol, order.side, order.order_type, order.quantity)
