"""The environment the gateway starts from."""

import pytest

from risk_gateway.roles import Role
from risk_gateway.settings import ApiAccess, Clock, Cluster, InvalidSettings, Settings, VenueKind

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
    assert Settings.from_environment(WHOLE).venue_kind is VenueKind.PAPER
    real = WHOLE | {"STRATOPS_VENUE_KIND": "real"}
    assert Settings.from_environment(real).venue_kind is VenueKind.REAL
    with pytest.raises(
        InvalidSettings, match="STRATOPS_VENUE_KIND: 'Real', expected paper or real"
    ):
        Settings.from_environment(WHOLE | {"STRATOPS_VENUE_KIND": "Real"})


def test_live_is_off_until_it_is_allowed() -> None:
    assert not Settings.from_environment(WHOLE).allow_live
    assert Settings.from_environment(WHOLE | {"STRATOPS_ALLOW_LIVE": "true"}).allow_live


@pytest.mark.parametrize("name", ["LISTEN", "STATE_DIR", "OPERATOR_TOKEN", "VENUE", "SYMBOLS"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"STRATOPS_{name}: not set"):
        Settings.from_environment(WHOLE | {f"STRATOPS_{name}": ""})


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
        "stratops-gateway",
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
