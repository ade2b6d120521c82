"""What the operator reads from its environment, and how it says what is wrong there."""

from pathlib import Path

import pytest

from strategy_operator.settings import Settings, Watch
from stratops_process.environment import InvalidSettings

LEAST = {
    "STRATOPS_NAMESPACE": "trading",
    "STRATOPS_IDENTITY": "stratops-operator-7d9",
    "STRATOPS_RUNNER_IMAGE": "ghcr.io/stratops/runner:1",
}


def test_three_variables_are_enough() -> None:
    settings = Settings.from_environment(LEAST)
    assert (settings.watch, settings.pull_policy, settings.max_starting) == (
        Watch.NAMESPACE,
        "IfNotPresent",
        6,
    )
    assert settings.watched_namespace == "trading"


def test_all_namespaces_are_watched_when_asked_for() -> None:
    assert Settings.from_environment(LEAST | {"STRATOPS_WATCH": "all"}).watched_namespace == ""


def test_a_kubeconfig_stands_for_the_pods_own_account() -> None:
    settings = Settings.from_environment(LEAST | {"KUBECONFIG": "/home/me/.kube/config"})
    assert settings.kubeconfig == Path("/home/me/.kube/config")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("STRATOPS_NAMESPACE", "", "STRATOPS_NAMESPACE: not set"),
        ("STRATOPS_WATCH", "some", "'some', expected namespace or all"),
        ("STRATOPS_IMAGE_PULL_POLICY", "never", "expected Always, IfNotPresent or Never"),
        ("STRATOPS_MAX_STARTING", "0", "'0', expected a whole number from 1 to 1000"),
        ("STRATOPS_METRICS_PORT", "http", "'http', expected a port"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        Settings.from_environment(LEAST | {name: value})
