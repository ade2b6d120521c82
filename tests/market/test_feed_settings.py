"""The feed's settings, its pace, and the catalogue that ships."""

import os
from decimal import Decimal
from pathlib import Path

import pytest

from market_data import catalogue
from market_feed import sample
from market_feed.pace import Pace
from market_feed.settings import Settings
from stratops_process.environment import InvalidSettings
from trading.instruments import InvalidCatalogue

NEEDED = {"STRATOPS_REDIS_URL": "redis://127.0.0.1:6379"}
SECOND = 1_000_000_000


def test_the_defaults_replay_the_sample_as_it_was() -> None:
    settings = Settings.from_environment(NEEDED)
    assert (settings.files, settings.speed, settings.session) == (sample.paths(), 1.0, "run-1")
    assert settings.channel_of("BTCUSDT") == "market:btcusdt"


def test_several_files_are_separated_as_paths_are() -> None:
    one, two = (str(path) for path in sample.paths())
    files = {**NEEDED, "STRATOPS_DATA_FILES": os.pathsep.join((one, two))}
    assert Settings.from_environment(files).files == (Path(one), Path(two))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRATOPS_REDIS_URL", ""),
        ("STRATOPS_REDIS_URL", "http://127.0.0.1"),
        ("STRATOPS_REDIS_URL", "redis://127.0.0.1:port"),
        ("STRATOPS_DATA_FILES", "/nowhere.csv"),
        ("STRATOPS_SPEED", "fast"),
        ("STRATOPS_SPEED", "0"),
        ("STRATOPS_SPEED", "nan"),
        ("STRATOPS_SESSION", "run.1"),
        ("STRATOPS_CHANNELS", "market:*"),
        ("STRATOPS_EXPECT_S", "-1"),
        ("STRATOPS_REPEAT", "yes"),
        ("STRATOPS_METRICS_PORT", "http"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        Settings.from_environment({**NEEDED, name: value})


def test_an_endless_feed_is_a_new_run_unless_it_is_named() -> None:
    endless = {**NEEDED, "STRATOPS_REPEAT": "true"}
    assert Settings.from_environment(endless).session == ""
    named = Settings.from_environment({**endless, "STRATOPS_SESSION": "demo"})
    assert (named.repeat, named.session) == (True, "demo")


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("speed", "gap_ns", "wait_s"),
    [
        (1.0, 2 * SECOND, 2.0),
        (10.0, 2 * SECOND, 0.2),
        (1.0, 86_400 * SECOND, 5.0),
        (None, 2 * SECOND, 0.0),
    ],
    ids=["as it was", "ten times", "a gap is capped", "without waiting"],
)
def test_a_message_is_due_after_its_gap(speed: float | None, gap_ns: int, wait_s: float) -> None:
    pace = Pace(speed, Clock())
    assert pace.wait_s(SECOND) <= 0
    pace.sent(SECOND)
    assert pace.wait_s(SECOND + gap_ns) == pytest.approx(wait_s)


def test_a_replay_that_was_held_up_does_not_hurry() -> None:
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.sent(SECOND)
    clock.now_s += 60
    pace.sent(2 * SECOND)
    assert pace.wait_s(3 * SECOND) == pytest.approx(1 - 0.25)


def test_the_shipped_catalogue_has_what_the_sample_needs() -> None:
    instruments = catalogue.load()
    assert instruments["BTCUSDT"].lot_size == Decimal("0.00001")
    assert instruments["ETHUSDT"].price_increment == Decimal("0.01")


@pytest.mark.parametrize("content", ["", "[]", '{"instruments": [{"symbol": 1}]}', "[" * 9_000])
def test_a_bad_catalogue_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "instruments.json").write_text(content)
    with pytest.raises(InvalidCatalogue):
        catalogue.load(tmp_path / "instruments.json")


def test_a_missing_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogue, match=r"nowhere\.json"):
        catalogue.load(tmp_path / "nowhere.json")
