"""The environment the gateway starts from."""

import re
from pathlib import Path

import pytest

from risk_gateway.roles import Role
from risk_gateway.settings import ApiAccess, Clock, Cluster, Settings
from risk_gateway.venue_file import VenueKind
from stratops_process.environment import InvalidSettings

WHOLE = {
    "STRATOPS_LISTEN": "127.0.0.1:0",
    "STRATOPS_STATE_DIR": "/desk",
    "STRATOPS_OPERATOR_TOKEN": "secret",
    "STRATOPS_VENUE": "127.0.0.1:7001",
    "STRATOPS_REDIS_URL": "redis://127.0.0.1:6379",
    "STRATOPS_NATS_URL": "nats://127.0.0.1:4222",
    "STRATOPS_SYMBOLS": "BTCUSDT,ETHUSDT",
    "STRATOPS_CLOCK": "market",
}


def test_channels_are_made_of_symbols() -> None:
    settings = Settings.from_environment(WHOLE)
    assert settings.channels == ("market:btcusdt", "market:ethusdt")
    assert settings.clock is Clock.MARKET


def test_a_venue_is_paper_until_it_is_said_to_be_real() -> None:
    (venue,) = Settings.from_environment(WHOLE).venues
    assert (venue.name, venue.kind) == ("main", VenueKind.PAPER)
    real = WHOLE | {"STRATOPS_VENUE_KIND": "real"}
    (venue,) = Settings.from_environment(real).venues
    assert venue.kind is VenueKind.REAL
    with pytest.raises(
        InvalidSettings, match="STRATOPS_VENUE_KIND: 'Real', expected paper or real"
    ):
        Settings.from_environment(WHOLE | {"STRATOPS_VENUE_KIND": "Real"})


TWO_VENUES = """
[spot]
address = "spot-adapter:9000"
kind = "real"
symbols = ["BTCUSDT"]

[paper]
address = "127.0.0.1:9091"
kind = "paper"
symbols = ["ETHUSDT"]
"""


def test_the_short_form_and_the_file_exclude_one_another(tmp_path: Path) -> None:
    path = tmp_path / "venues.toml"
    path.write_text(TWO_VENUES)
    several = {name: value for name, value in WHOLE.items() if name != "STRATOPS_VENUE"}
    several["STRATOPS_VENUES"] = str(path)
    assert [each.name for each in Settings.from_environment(several).venues] == ["spot", "paper"]
    for short in ("VENUE", "VENUE_KIND", "VENUE_TLS_DIR"):
        with pytest.raises(InvalidSettings, match=f"STRATOPS_{short}: 'real', expected"):
            Settings.from_environment(several | {f"STRATOPS_{short}": "real"})
    path.write_text(TWO_VENUES.replace("real", "live"))
    with pytest.raises(InvalidSettings, match="'live', expected paper or real"):
        Settings.from_environment(several)
    path.unlink()
    with pytest.raises(InvalidSettings, match="No such file"):
        Settings.from_environment(several)


def test_live_is_off_until_it_is_allowed() -> None:
    assert not Settings.from_environment(WHOLE).allow_live
    assert Settings.from_environment(WHOLE | {"STRATOPS_ALLOW_LIVE": "true"}).allow_live


@pytest.mark.parametrize("name", ["LISTEN", "STATE_DIR", "OPERATOR_TOKEN", "VENUE", "SYMBOLS"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"STRATOPS_{name}: not set"):
        Settings.from_environment(WHOLE | {f"STRATOPS_{name}": ""})


@pytest.mark.parametrize("host", ["h:port", "h:1?ca=/x"])
def test_a_redis_is_checked_and_its_password_stays_unsaid(host: str) -> None:
    says = f"STRATOPS_REDIS_URL: Redis address '{host}': expected "
    with pytest.raises(InvalidSettings, match=re.escape(says)):
        Settings.from_environment(WHOLE | {"STRATOPS_REDIS_URL": f"redis://me:se@cret@{host}"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOCK", "sun"),
        ("ALLOW_LIVE", "yes"),
        ("METRICS_PORT", "high"),
        ("CALLS_A_SECOND", "0"),
        ("CALLS_AT_ONCE", "many"),
        ("TLS_CLIENT_CA", "ca.crt"),
        ("TLS_CLIENT_LISTEN", ":9093"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"STRATOPS_{name}: '{value}', expected"):
        Settings.from_environment(WHOLE | {f"STRATOPS_{name}": value})


X = "system:serviceaccount:x:y"
ON_A_CLUSTER = WHOLE | {
    "STRATOPS_OPERATOR_TOKEN": "",
    "STRATOPS_IDENTITY": "cluster",
    "STRATOPS_NAMESPACE": "desk-a",
    "STRATOPS_OPERATORS": f"system:serviceaccount:ops:stratops-operator, {X}",
    "STRATOPS_READERS": "system:serviceaccounts:people",
}


def test_on_a_laptop_nobody_is_asked_for_policies() -> None:
    assert Settings.from_environment(WHOLE).cluster is None


def test_on_a_cluster_no_token_is_shared() -> None:
    settings = Settings.from_environment(ON_A_CLUSTER)
    assert settings.operator_token == ""
    assert settings.cluster == Cluster(
        ApiAccess(),
        "desk-a",
        {
            Role.OPERATOR: frozenset({"system:serviceaccount:ops:stratops-operator", X}),
            Role.READER: frozenset({"system:serviceaccounts:people"}),
            Role.TRADER: frozenset(),
            Role.RISK_OFFICER: frozenset(),
        },
        frozenset({"system:serviceaccount:desk-a:stratops-runner"}),
        "stratops-gateway.desk-a",
    )


@pytest.mark.parametrize("name", ["NAMESPACE", "OPERATORS"])
def test_a_cluster_has_to_be_named(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"STRATOPS_{name}: not set"):
        Settings.from_environment(ON_A_CLUSTER | {f"STRATOPS_{name}": ""})


@pytest.mark.parametrize(
    ("name", "value"), [("IDENTITY", "guess"), ("API_SERVER", "http://api.example")]
)
def test_what_is_wrong_on_a_cluster_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"STRATOPS_{name}: '{value}', expected"):
        Settings.from_environment(ON_A_CLUSTER | {f"STRATOPS_{name}": value})
