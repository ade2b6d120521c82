"""What a process reads from its environment is right, or refused by name."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratops_process.environment import Environment, InvalidSettings

LONG = "1" * 5_000  # digits; Python's int() refuses more than 4,300


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


QUESTIONS: dict[str, Callable[[Environment], object]] = {
    "text": lambda read: read.text("X"),
    "path": lambda read: read.path("X"),
    "names": lambda read: read.names("X"),
    "word": lambda read: read.word("X", ("a", "b", "c"), "a"),
    "one of": lambda read: read.one_of("X", Side, Side.BUY),
    "flag": lambda read: read.flag("X"),
    "flag that is up": lambda read: read.flag("X", default=True),
    "whole": lambda read: read.whole("X", 5, 1, 10),
    "port": lambda read: read.port("X"),
    "checked": lambda read: read.checked("X", _be_short),
}


def _be_short(text: str) -> None:
    if len(text) > 3:
        raise ValueError(f"{text!r}, expected three letters")


@pytest.mark.parametrize(
    ("question", "value", "answer"),
    [
        ("path", "/desk", Path("/desk")),
        ("path", "", None),
        ("names", " a, b,,", ("a", "b")),
        ("word", "c", "c"),
        ("one of", "sell", Side.SELL),
        ("one of", "", Side.BUY),
        ("flag", "TRUE", True),
        ("flag", "", False),
        ("flag that is up", "", True),
        ("flag that is up", "False", False),
        ("whole", "10", 10),
        ("whole", "", 5),
        ("port", "0", 0),
        ("port", "", None),
        ("checked", "abc", "abc"),
    ],
)
def test_what_is_said_is_read(question: str, value: str, answer: object) -> None:
    assert QUESTIONS[question](Environment({"STRATOPS_X": value})) == answer


@pytest.mark.parametrize(
    ("question", "value", "says"),
    [
        ("text", "", "STRATOPS_X: not set, expected a value"),
        ("names", " ,", "STRATOPS_X: ' ,', expected names with commas between"),
        ("word", "d", "STRATOPS_X: 'd', expected a, b or c"),
        ("one of", "BUY", "STRATOPS_X: 'BUY', expected buy or sell"),
        ("flag", "yes", "STRATOPS_X: 'yes', expected true or false"),
        ("whole", "11", "STRATOPS_X: '11', expected a whole number from 1 to 10"),
        ("whole", "0", "STRATOPS_X: '0', expected a whole number from 1 to 10"),
        ("whole", LONG, f"STRATOPS_X: '{LONG}', expected a whole number from 1 to 10"),
        ("port", "65536", "STRATOPS_X: '65536', expected a port"),
        ("port", LONG, f"STRATOPS_X: '{LONG}', expected a port"),
        ("checked", "", "STRATOPS_X: not set, expected a value"),
        ("checked", "abcd", "STRATOPS_X: 'abcd', expected three letters"),
        ("port", "²", "STRATOPS_X: '²', expected a port"),
    ],
)
def test_what_is_wrong_is_refused_by_name(question: str, value: str, says: str) -> None:
    assert refusal(question, value) == says


def refusal(question: str, value: str) -> str:
    """Empty: none."""
    try:
        QUESTIONS[question](Environment({"STRATOPS_X": value}))
    except InvalidSettings as said:
        return str(said)
    return ""


@given(question=st.sampled_from(sorted(QUESTIONS)), value=st.text())
def test_whatever_is_said_is_read_or_refused_by_name(question: str, value: str) -> None:
    assert refusal(question, value) == "" or refusal(question, value).startswith("STRATOPS_X: ")


@pytest.mark.parametrize(("value", "level"), [("", "info"), ("WARNING", "warning")])
def test_a_level_is_read_in_any_case(value: str, level: str) -> None:
    assert Environment({"STRATOPS_LOG_LEVEL": value}).level() == level


def test_a_mistyped_level_is_refused_and_silences_nobody() -> None:
    with pytest.raises(InvalidSettings, match="'inof', expected debug, info, warning or error"):
        Environment({"STRATOPS_LOG_LEVEL": "inof"}).level()
