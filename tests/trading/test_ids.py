"""Ids: the same decision has the same id, whoever makes it."""

import pytest

from trading.ids import client_order_id, signal_id, signal_of

ONE = ("momentum", "run-1", "BTCUSDT/tick", 7, 0)


def test_the_same_decision_has_the_same_id_for_ever() -> None:
    assert signal_id(*ONE) == signal_id(*ONE) == "4c563395-d58b-544b-a027-28f28d1cbb4f"


def test_a_restarted_feed_does_not_change_ids() -> None:
    assert signal_id("momentum", "run-1.3", "BTCUSDT/tick", 7, 0) == signal_id(*ONE)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("scalping", "run-1", "BTCUSDT/tick", 7, 0), id="strategy"),
        pytest.param(("momentum", "run-2", "BTCUSDT/tick", 7, 0), id="session"),
        pytest.param(("momentum", "run-1", "BTCUSDT/book", 7, 0), id="stream"),
        pytest.param(("momentum", "run-1", "BTCUSDT/tick", 8, 0), id="sequence"),
        pytest.param(("momentum", "run-1", "BTCUSDT/tick", 7, 1), id="nth of the tick"),
    ],
)
def test_another_decision_has_another_id(other: tuple[str, str, str, int, int]) -> None:
    assert signal_id(*other) != signal_id(*ONE)


def test_an_order_id_names_its_signal() -> None:
    signal = signal_id(*ONE)
    assert signal_of(client_order_id(signal)) == signal_of(client_order_id(signal, 12)) == signal
