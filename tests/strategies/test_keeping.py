import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategy_sdk import Book, Tick
from strategy_sdk.keeping import CannotKeep, pack, unpack

TICK = Tick(symbol="BTCUSDT", sequence=7, timestamp=9, bid_price=1.5, ask_price=2.5)
BOOK = Book(symbol="BTCUSDT", sequence=7, timestamp=9, bids=[(1.0, 2.0)], asks=[(3.0, 4.0)])


class Mood(StrEnum):
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Window:
    prices: deque[int]
    mood: Mood


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
hashable = plain | st.binary() | st.decimals(allow_nan=False, allow_infinity=False)
memories: st.SearchStrategy[Any] = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(hashable, inner)
        | st.tuples(inner, inner)
        | st.sets(hashable)
        | st.builds(deque, st.lists(inner), st.just(50))
    ),
    max_leaves=20,
)


@given(memories)
def test_a_memory_comes_back_as_it_was(memory: object) -> None:
    kept = unpack(pack(memory, __name__), __name__)
    assert repr(kept) == repr(memory) or kept == memory
    assert type(kept) is type(memory)


@given(memories)
def test_what_came_back_makes_the_same_bytes(memory: object) -> None:
    packed = pack(memory, __name__)
    assert pack(unpack(packed, __name__), __name__) == packed


@pytest.mark.parametrize("value", [TICK, BOOK, Window(deque([1, 2], 2), Mood.CALM), 2**70])
def test_messages_classes_of_the_module_and_long_numbers_travel(value: object) -> None:
    kept = unpack(pack({"x": value}, __name__), __name__)["x"]
    assert (type(kept), kept) == (type(value), value)


def test_a_class_from_elsewhere_is_refused_with_its_place() -> None:
    with pytest.raises(CannotKeep, match=r"^state\['pipe'\]: object, expected plain values"):
        pack({"pipe": object()}, __name__)


def test_bytes_cannot_name_a_class_of_another_module() -> None:
    packed = pack(Window(deque(), Mood.CALM), __name__)
    with pytest.raises(CannotKeep, match="unknown here"):
        unpack(packed, "another_module")


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\xff\xff", pack([1], "x")[:-1]])
def test_torn_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CannotKeep):
        unpack(data, __name__)


def test_a_set_makes_the_same_bytes_whatever_order_a_process_gives_it() -> None:
    code = "from strategy_sdk.keeping import pack; print(pack({'a', 'b', 'c', 'd'}, 'x').hex())"
    assert len({_output(code, hash_seed) for hash_seed in ("1", "2", "3")}) == 1


def _output(code: str, hash_seed: str) -> bytes:
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
    return subprocess.check_output([sys.executable, "-c", code], env=environment)
