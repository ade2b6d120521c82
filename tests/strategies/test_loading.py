import hashlib
from pathlib import Path

import pytest

from strategy_library.momentum import Momentum
from strategy_sdk.loading import CannotLoad, builtins, code_digest, load
from strategy_sdk.rehearsal import Rehearsal

GOOD = """
from dataclasses import dataclass
from strategy_sdk import Strategy

@dataclass
class Seen:
    count: int = 0

class Mine(Strategy):
    period: int = 3
    def start(self): self.seen = Seen()
    def on_market_data(self, event): self.seen.count += 1
"""


def test_a_builtin_is_found_by_its_module() -> None:
    assert load({"builtin": "momentum"}) is Momentum


def test_every_builtin_loads_with_its_defaults() -> None:
    for name in builtins():
        Rehearsal(load({"builtin": name})()).tick(1)


def test_a_class_is_found_by_module_and_name() -> None:
    assert load({"class": "strategy_library.momentum:Momentum"}) is Momentum


def test_a_file_is_found_beside_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    assert load({"file": "mine.py"}, tmp_path).__name__ == "Mine"


def test_two_loads_of_one_text_keep_each_others_state() -> None:
    first, second = Rehearsal(load({"inline": GOOD})()), Rehearsal(load({"inline": GOOD})())
    first.tick(1)
    second.seat.restore(first.seat.snapshot())
    assert second.seat.digest() == first.seat.digest()


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        pytest.param("x = 1\ndef (", "syntax: ", 2, id="a syntax error"),
        pytest.param("x = 1\n\n1 / 0", "ZeroDivisionError: division by zero", 3, id="raises"),
        pytest.param("import sys\nsys.exit(3)", "SystemExit: 3", 2, id="exits"),
        pytest.param("import nothing_like_it", "ModuleNotFoundError: ", 1, id="a missing import"),
        pytest.param("x = 1", "strategies: none, expected exactly one", 0, id="no strategy"),
        pytest.param(GOOD + GOOD.replace("Mine", "Other"), "strategies: Mine, Other", 0, id="two"),
        pytest.param("\0", "", 0, id="a null byte"),
    ],
)
def test_what_does_not_load_is_named_with_its_line(text: str, message: str, line: int) -> None:
    with pytest.raises(CannotLoad) as raised:
        load({"inline": text, "name": "mine.py"})
    assert (raised.value.file, raised.value.line) == ("mine.py", line)
    assert raised.value.message.startswith(message)


@pytest.mark.parametrize(
    ("source", "nearest"),
    [
        ({"builtin": "momentun"}, "momentum"),
        ({"class": "strategy_library.momentum:Momentun"}, "Momentum"),
    ],
)
def test_a_near_miss_is_told_the_name(source: dict[str, str], nearest: str) -> None:
    with pytest.raises(CannotLoad, match=f"did you mean '{nearest}'") as raised:
        load(source)
    assert raised.value.nearest == nearest


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"builtin": "momentum", "file": "x.py"},
        {"class": "no_such_package.module:Class"},
        {"class": "trading.ids:signal_id"},
        {"file": "missing.py"},
    ],
)
def test_other_sources_are_refused(source: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(CannotLoad):
        load(source, tmp_path)


def test_the_digest_is_that_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    expected = hashlib.sha256(GOOD.encode()).hexdigest()
    assert code_digest({"file": "mine.py"}, tmp_path) == code_digest({"inline": GOOD}) == expected


def test_the_digest_of_a_builtin_is_that_of_its_module() -> None:
    import strategy_library.momentum as module

    assert module.__file__ is not None
    expected = hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()
    assert code_digest({"builtin": "momentum"}) == expected
    assert code_digest({"class": "strategy_library.momentum:Momentum"}) == expected
