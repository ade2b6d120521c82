"""Ids: the same decision has the same id, whoever makes it."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.ids import client_order_id, signal_id, signal_of

EXACTLY = "00000000-0007-844b-a027-28f28d1cbb4f"
ONE = ("momentum", "run-1", "BTCUSDT/tick", 7, 0)


def test_the_same_decision_has_the_same_id_for_ever() -> None:
    assert signal_id(*ONE) == signal_id(*ONE) == EXACTLY


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


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.integers(0, 9))
def test_ids_of_one_stream_sort_as_its_messages_do(one: int, other: int, nth: int) -> None:
    first, second = (signal_id("s", "run-1", "BTCUSDT/tick", each, nth) for each in (one, other))
    assert (one < other) == (first < second)


@given(st.integers(0, 2**64 - 1))
def test_an_id_is_a_uuid_whose_sequence_can_be_read(sequence: int) -> None:
    made = uuid.UUID(signal_id("s", "run-1", "BTCUSDT/tick", sequence, 0))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert made.int >> 80 == sequence % 2**48


@given(st.integers(0, 2**16 - 1))
def test_sequences_that_share_their_last_bits_have_other_ids(beyond: int) -> None:
    low, high = 7, 7 + ((beyond + 1) << 48)
    ids = {signal_id("s", "run-1", "BTCUSDT/tick", each, 0) for each in (low, high)}
    assert len(ids) == 2


def test_an_order_id_names_its_signal() -> None:
    signal = signal_id(*ONE)
    assert signal_of(client_order_id(signal)) == signal_of(client_order_id(signal, 12)) == signal
