"""What each process of a desk is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from stratops import plan as plans
from stratops.plan import DeskPlan, Ports, RunnerLife

PLAN = DeskPlan(
    folder=Path("/desk"),
    ports=Ports(redis=1, nats=2, gateway=3, venue=4),
    redis_program="/bin/redis-server",
    nats_program="/bin/nats-server",
    operator_token="secret",
    session="run-1",
    symbols=("BTCUSDT", "ETHUSDT"),
    data=(Path("/a.csv"), Path("/b.csv")),
)
LIFE = RunnerLife(
    "probe", "0123456789", "0123456789-1-ab", "token", Path("/spec.json"), ("BTCUSDT",), ("c",)
)
USER = {"PATH": "/bin", "STRATOPS_OPERATOR_TOKEN": "another's", "STRATOPS_LOG_LEVEL": "debug"}


def test_a_runner_never_sees_the_operators_token() -> None:
    told = plans.runner(PLAN, USER, LIFE).environment
    assert "STRATOPS_OPERATOR_TOKEN" not in told
    assert told["STRATOPS_TOKEN"] == "token"


def test_the_users_own_settings_are_passed_on_only_by_name() -> None:
    told = plans.venue(PLAN, USER).environment
    assert told["PATH"] == "/bin"
    assert told["STRATOPS_LOG_LEVEL"] == "debug"


def test_redis_keeps_nothing_and_listens_to_this_machine_only() -> None:
    argv = plans.redis(PLAN, USER).argv
    options = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert options["--bind"] == "127.0.0.1"
    assert options["--save"] == ""
    assert options["--client-output-buffer-limit"] == "pubsub 256mb 64mb 60"


def test_the_feed_waits_for_everybody_who_must_see_the_first_message() -> None:
    told = plans.feed(PLAN, USER, (LIFE.consumer,)).environment
    assert told["STRATOPS_EXPECT"] == "risk-gateway,paper-venue,probe@0123456789"
    assert told["STRATOPS_DATA_FILES"] == "/a.csv:/b.csv"


def test_a_name_under_which_progress_is_reported_is_the_one_expected() -> None:
    assert plans.gateway(PLAN, USER).environment["STRATOPS_CONSUMER"] == plans.GATEWAY
    assert plans.venue(PLAN, USER).environment["STRATOPS_CONSUMER"] == plans.VENUE
    assert plans.runner(PLAN, USER, LIFE).environment["STRATOPS_CONSUMER"] == LIFE.consumer


@pytest.mark.parametrize(
    ("feed", "clock", "redis"),
    [("", "market", "redis://127.0.0.1:1"), ("redis://feed:6379", "wall", "redis://feed:6379")],
    ids=["a replay decides in the market's time", "a live feed in the wall's"],
)
def test_the_feed_decides_clock_and_redis(feed: str, clock: str, redis: str) -> None:
    told = plans.gateway(replace(PLAN, feed_url=feed), USER).environment
    assert (told["STRATOPS_CLOCK"], told["STRATOPS_REDIS_URL"]) == (clock, redis)


def test_a_runner_may_not_hold_more_than_its_manifest_says() -> None:
    command = plans.runner(PLAN, USER, replace(LIFE, rss_bytes=100))
    assert command.rss_bytes == 100
    assert command.data_bytes == 100 + plans.DATA_ROOM_BYTES


def test_no_module_of_the_users_folder_stands_in_for_ours() -> None:
    assert plans.gateway(PLAN, USER).argv[1:] == ("-P", "-m", "risk_gateway")
