"""What is built, with what, and from where."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dev_cluster import binaries, go_toolchain, machine
from dev_cluster.cluster import without_proxy
from dev_cluster.wheels import Wheel


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module one")
    (tmp_path / "go.sum").write_text("hashes")
    return tmp_path


def test_the_same_sources_have_the_same_key(sources: Path) -> None:
    assert binaries.key(sources, "x86_64") == binaries.key(sources, "x86_64")


def test_every_change_of_a_source_has_a_key_of_its_own(sources: Path) -> None:
    keys = {binaries.key(sources, "x86_64"), binaries.key(sources, "aarch64")}
    (sources / "go.sum").write_text("other hashes")
    keys.add(binaries.key(sources, "x86_64"))
    (sources / "go.sum").rename(sources / "go.work.sum")
    keys.add(binaries.key(sources, "x86_64"))
    assert len(keys) == 4


def test_the_modules_pin_the_kubernetes_that_is_announced() -> None:
    module = (binaries.SOURCES / "node" / "go.mod").read_text()
    assert f"k8s.io/kubernetes {binaries.KUBERNETES}\n" in module


@pytest.mark.parametrize("module", ["node", "runtime"])
def test_a_go_that_is_new_enough_builds_each_module(module: str) -> None:
    lines = (binaries.SOURCES / module / "go.mod").read_text().splitlines()
    (asked,) = [line.split()[1] for line in lines if line.startswith("go ")]
    assert go_toolchain.version(f"go{asked}") <= go_toolchain.OLDEST
    assert go_toolchain.version(f"go{go_toolchain.WHEEL.version}") >= go_toolchain.OLDEST


@pytest.mark.parametrize(
    ("said", "means"),
    [("go1.26.8", (1, 26, 8)), ("go1.27", (1, 27)), ("go1.27rc1", (1, 27)), ("devel", (0,))],
)
def test_go_says_its_version(said: str, means: tuple[int, ...]) -> None:
    assert go_toolchain.version(said) == means


def test_a_wheel_is_asked_for_by_version_and_hash() -> None:
    wheel = Wheel("thing", "1.2", ("aa", "bb"))
    assert wheel.requirement == "thing==1.2 --hash=sha256:aa --hash=sha256:bb"


def test_the_kernel_s_routes_are_read() -> None:
    header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
    route = "eth0\t000A4D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0"
    assert machine.routes_of(f"{header}\n{route}\n") == [IPv4Network("10.77.10.0/24")]


def test_a_cluster_s_addresses_join_those_that_have_no_proxy_already() -> None:
    joined = without_proxy({"NO_PROXY": "internal"}, "10.77.0.0/16")
    assert joined["no_proxy"] == joined["NO_PROXY"] == "internal,10.77.0.0/16"
