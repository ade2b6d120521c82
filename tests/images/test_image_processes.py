"""Images at work, each as PID 1 of a namespace, as its user, on a root that nobody can write."""

import json
from collections.abc import Mapping

import pytest

from image_driver import Image, first_process, seconds_to_end, wait_until_caught

# A first build is no matter of seconds.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

PACKAGES = {
    "operator": ("strategy_operator", "strategy_library"),
    "gateway": ("risk_gateway",),
    "runner": ("strategy_runner", "strategy_library"),
    "venue": ("paper_venue",),
    "feed": ("market_feed",),
}
NOWHERE = "127.0.0.1:1"
FEED = {"STRATOPS_REDIS_URL": f"redis://{NOWHERE}"}
MARKET = FEED | {
    "STRATOPS_NATS_URL": f"nats://{NOWHERE}",
    "STRATOPS_SYMBOLS": "BTCUSDT",
    "STRATOPS_LISTEN": "127.0.0.1:0",
    "STRATOPS_STATE_DIR": "/tmp/state",
}
GATEWAY = MARKET | {"STRATOPS_VENUE": NOWHERE, "STRATOPS_OPERATOR_TOKEN": "secret"}
RUNNER = {"STRATOPS_SPEC": "/tmp/file", "STRATOPS_GATEWAY": NOWHERE, "STRATOPS_TOKEN": "secret"}
OPERATOR = {
    "STRATOPS_NAMESPACE": "desk",
    "STRATOPS_IDENTITY": "operator-1",
    "STRATOPS_RUNNER_IMAGE": "runner",
    "KUBECONFIG": "/tmp/file",
}
# They wait for what is not there.
ALONE = {"feed": FEED, "venue": MARKET, "gateway": GATEWAY, "runner": RUNNER, "operator": OPERATOR}
SPEC = {
    "strategy": "probe",
    "revision": "0123456789",
    "source": {"builtin": "momentum"},
    "symbols": ["BTCUSDT"],
    "channels": ["market:btcusdt"],
    "redis_url": f"redis://{NOWHERE}",
}
KUBECONFIG = {
    "current-context": "x",
    "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    "clusters": [{"name": "x", "cluster": {"server": f"https://{NOWHERE}"}}],
    "users": [{"name": "x", "user": {"token": "secret"}}],
}
FILES = {"runner": SPEC, "operator": KUBECONFIG}
WITH_FILE = ["sh", "-euc", 'printf %s "$FILE" >/tmp/file; exec "$@"', "sh"]
SERVERS = {
    "valkey": ["valkey-server", "--port", "0", "--unixsocket", "/tmp/socket", "--dir", "/tmp"],
    "nats": ["nats-server", "--addr=127.0.0.1", "--port=-1", "--jetstream", "--store_dir=/tmp"],
}
PROMPTLY_S = 3.0  # it is 1 s on a machine that does nothing else; without a handler it is never
IMPORT_ALL = """
import importlib, pkgutil, sys
names = list(sys.argv[1:])
for name in sys.argv[1:]:
    found = pkgutil.walk_packages(importlib.import_module(name).__path__, name + ".")
    names += [each.name for each in found if not each.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.mark.parametrize("component", PACKAGES)
def test_an_image_has_all_that_its_modules_import(
    component: str, images: Mapping[str, Image]
) -> None:
    done = images[component].run("python", "-P", "-c", IMPORT_ALL, *PACKAGES[component])
    assert not done.stderr
    assert int(done.stdout) > 5


@pytest.mark.parametrize("component", PACKAGES)
def test_a_component_without_settings_says_what_it_lacks(
    component: str, images: Mapping[str, Image]
) -> None:
    image = images[component]
    done = image.run(*image.settings["Entrypoint"])
    assert done.returncode != 0
    assert "STRATOPS_" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_is_user_10001_without_capabilities(images: Mapping[str, Image]) -> None:
    said = images["runner"].run("sh", "-c", "id -u; id -g; grep CapBnd /proc/1/status").stdout
    assert said.split() == ["10001", "10001", "CapBnd:", "0000000000000000"]


def test_the_root_cannot_be_written_and_tmp_can(images: Mapping[str, Image]) -> None:
    said = images["runner"].run("sh", "-c", "touch /tmp/x && touch /opt/stratops/x; ls /tmp").stdout
    assert said.split() == ["x"]


def test_a_package_that_an_image_adds_is_found(images: Mapping[str, Image]) -> None:
    """As docs/images.md says."""
    make = "mkdir -p /tmp/my/strategies; echo 'print(1)' > /tmp/my/strategies/__init__.py"
    done = images["runner"].run(
        "sh", "-euc", f"{make}; python -P -c 'import strategies'", PYTHONPATH="/tmp/my"
    )
    assert done.stdout == "1\n"


@pytest.mark.parametrize("component", ALONE)
def test_a_component_as_pid_1_ends_when_asked(component: str, images: Mapping[str, Image]) -> None:
    words = [*WITH_FILE, *images[component].settings["Entrypoint"]]
    environment = {"FILE": json.dumps(FILES.get(component, {})), **ALONE[component]}
    with images[component].running(*words, **environment) as process:
        wait_until_caught(first_process(process))
        assert seconds_to_end(process) < PROMPTLY_S


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_as_pid_1_ends_when_asked(server: str, images: Mapping[str, Image]) -> None:
    with images["servers"].running(*SERVERS[server]) as process:
        wait_until_caught(first_process(process))
        assert seconds_to_end(process) < PROMPTLY_S
