"""What the process says when it cannot start, and what it reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from strategy_runner.logs import Log
from strategy_runner.settings import Settings
from strategy_runner.spec import InvalidSpec, read
from strategy_sdk.loading import CannotLoad, code_digest
from strategy_sdk.parameters import InvalidParameters
from stratops_process.environment import InvalidSettings

LEAST = {"STRATOPS_SPEC": "s.json", "STRATOPS_GATEWAY": "127.0.0.1:1", "STRATOPS_TOKEN": "secret"}
SPEC: dict[str, Any] = {
    "strategy": "probe",
    "revision": "r",
    "source": {"builtin": "momentum"},
    "symbols": ["BTCUSDT"],
    "channels": ["market:btcusdt"],
    "redis_url": "redis://127.0.0.1:1",
}


def test_the_least_environment_is_enough() -> None:
    settings = Settings.from_environment(LEAST)
    assert settings.instance
    assert "secret" not in repr(settings)


def test_a_pods_instance_is_named_after_it(tmp_path: Path) -> None:
    pod = {"STRATOPS_SPEC": "s", "STRATOPS_DESK_DIR": str(tmp_path), "STRATOPS_POD": "probe-1"}
    one, other = (Settings.from_environment(pod) for _ in range(2))
    assert one.instance.rpartition(".")[0] == other.instance.rpartition(".")[0] == "probe-1"
    assert one.instance != other.instance


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"STRATOPS_SPEC": ""}, "STRATOPS_SPEC: not set"),
        ({"STRATOPS_DESK_DIR": "/none"}, "STRATOPS_DESK_DIR: '/none', expected a folder"),
        ({"STRATOPS_GATEWAY": "nowhere"}, "STRATOPS_GATEWAY: 'nowhere', expected host:port"),
        ({"STRATOPS_METRICS_PORT": "70000"}, "STRATOPS_METRICS_PORT: '70000', expected a port"),
        ({"STRATOPS_LOG_LEVEL": "loud"}, "STRATOPS_LOG_LEVEL: 'loud', expected debug"),
    ],
)
def test_a_wrong_environment_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^{message}"):
        Settings.from_environment(LEAST | change)


def written(folder: Path, **changes: object) -> Path:
    path = folder / "spec.json"
    path.write_text(json.dumps(SPEC | changes))
    return path


def test_numbers_of_a_spec_come_as_text(tmp_path: Path) -> None:
    spec = read(written(tmp_path, parameters={"lookback_period": "7", "threshold": "0.5"}))
    assert repr(spec.make_strategy()).startswith("Momentum(lookback_period=7, threshold=0.5,")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": []}, "symbols and channels, expected at least one"),
        ({"symbols": "BTCUSDT"}, r"Expected `array`, got `str` - at `\$.symbols`"),
        ({"redis_url": "r:1"}, "redis_url: Redis address 'r:1': expected redis://host:port"),
        ({"source": None}, r"Expected `object`, got `null` - at `\$.source`"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        read(written(tmp_path, **changes))


def test_a_missing_spec_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"nothing\.json: No such file"):
        read(tmp_path / "nothing.json")


def test_code_that_changed_after_the_check_is_refused(tmp_path: Path) -> None:
    digest = code_digest({"builtin": "momentum"})
    read(written(tmp_path, code_digest=digest)).make_strategy()
    with pytest.raises(CannotLoad, match="changed after the check"):
        read(written(tmp_path, code_digest="0" * 64)).make_strategy()


def test_parameters_are_checked_again(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameters, match="lookback_period: 0"):
        read(written(tmp_path, parameters={"lookback_period": 0})).make_strategy()


def test_a_log_line_is_one_json_object(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stream:
        log = Log("info", stream, strategy="probe")
        log.debug("left out")
        log.info("armed", epoch=3, path=tmp_path)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line).items() >= {"event": "armed", "epoch": 3, "strategy": "probe"}.items()


NEVER_MADE = """
from strategy_sdk import Strategy


class Mine(Strategy):
    def __init__(self):
        helper()


def helper():
    raise OSError("no model")
"""


TWO_LINES = """
raise OSError("x\\ny")
"""
NOT_OURS = {"STRATOPS_METRICS_PORT": "1", "STRATOPS_METRICS_HOST": "192.0.2.1"}


def inline(text: str) -> dict[str, Any]:
    return {"source": {"inline": text, "name": "mine.py"}}


@pytest.mark.servers
@pytest.mark.parametrize(
    ("spec", "environment", "code", "words"),
    [
        pytest.param({}, {"STRATOPS_GATEWAY": "x"}, 2, "STRATOPS_GATEWAY: 'x', ", id="settings"),
        pytest.param({}, NOT_OURS, 2, "STRATOPS_METRICS_PORT: 1, expected a free one", id="port"),
        pytest.param({"symbols": []}, {}, 2, "symbols and channels, expected", id="spec"),
        pytest.param({}, {"STRATOPS_CATALOGUE": "/none"}, 2, "catalogue /none", id="catalogue"),
    ],
)
async def test_a_process_that_cannot_start_says_why_in_one_line(
    process: Any, spec: dict[str, Any], environment: dict[str, str], code: int, words: str
) -> None:
    process.start(SPEC | spec, **{"STRATOPS_GATEWAY": "127.0.0.1:1"} | environment)
    assert await process.ended() == code
    assert process.last_words.startswith("strategy_runner: ")
    assert words in process.last_words


@pytest.mark.servers
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"source": {"builtin": "x"}}, "spec.strategy.builtin: 'x', expected one of momentum"),
        ({"source": {"class": "none:A"}}, "spec.strategy.class: module 'none': not installed"),
        ({"symbols": ["XXX"]}, "spec.symbols: instrument 'XXX': not in the catalogue"),
        ({"parameters": {"x": 1}}, "spec.parameters.x: unknown parameter, expected one of look"),
        (inline("a b"), "spec.strategy.source: mine.py:1: syntax: invalid"),
        (inline(TWO_LINES), "spec.strategy.source: mine.py:2: OSError: x y"),
        (inline(NEVER_MADE), "spec.strategy.source: mine.py:11: OSError: no model"),
    ],
    ids=["builtin", "class", "instrument", "parameter", "syntax", "module", "__init__"],
)
async def test_a_strategy_that_cannot_be_made_is_told_by_its_field(
    process: Any, spec: dict[str, Any], words: str
) -> None:
    process.start(SPEC | spec, STRATOPS_GATEWAY="127.0.0.1:1")
    assert await process.ended() == 4
    assert process.last_words.startswith(f"strategy_runner: {words}")
