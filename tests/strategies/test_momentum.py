from decimal import Decimal

import pytest

from strategy_library.momentum import Momentum
from strategy_sdk import Candle, Signal
from strategy_sdk.rehearsal import Rehearsal


def moves(prices: list[float], **parameters: object) -> list[Decimal]:
    """Signed quantities, threshold 10 % over one message, up to 2."""
    rehearsal = Rehearsal(
        Momentum(lookback_period=1, threshold="0.1", max_position=2, **parameters)
    )
    for price in prices:
        rehearsal.tick(price)
    return [signed(signal) for signal in rehearsal.signals]


def signed(signal: Signal) -> Decimal:
    return signal.quantity * signal.side.sign


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param([100, 111], [2], id="a rise above the threshold buys"),
        pytest.param([100, 110], [], id="a rise of exactly the threshold does not"),
        pytest.param([100, 111, 130], [2], id="what is long already stays"),
        pytest.param([100, 111, 111, 90], [2, -2], id="a fall sells all"),
        pytest.param([100, 111, 100], [2], id="a fall within the threshold does not"),
        pytest.param([100, 80], [], id="a fall when flat sells nothing"),
    ],
)
def test_orders_follow_the_return(prices: list[float], expected: list[int]) -> None:
    assert moves(prices) == expected


def test_with_allow_short_a_fall_goes_short() -> None:
    assert moves([100, 80, 80, 95], allow_short=True) == [-2, 4]


def test_nothing_happens_before_the_lookback_is_full() -> None:
    rehearsal = Rehearsal(strategy := Momentum(lookback_period=3, threshold=0))
    for price in (1, 2, 3):
        assert rehearsal.tick(price) == ()
    assert not strategy.is_warm()
    assert len(rehearsal.tick(4)) == 1
    assert strategy.is_warm()


def test_candles_count_by_their_close() -> None:
    rehearsal = Rehearsal(Momentum(lookback_period=1))
    for sequence, close in enumerate((100.0, 103.0)):
        rehearsal.event(candle(sequence, close))
    assert [signed(signal) for signal in rehearsal.signals] == [Decimal(1000)]


def candle(sequence: int, close: float) -> Candle:
    return Candle(
        symbol="BTCUSDT", sequence=sequence, timestamp=sequence, interval="1m",
        open=99, high=105, low=90, close=close,
    )  # fmt: skip
