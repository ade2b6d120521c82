"""What is in each image, and what is not."""

import json
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from dev_cluster import component_images, image_context
from dev_cluster.component_images import COMPONENTS, PROJECT, Images
from image_driver import Image

# A first build is no matter of seconds.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

OURS = tuple(component for component in COMPONENTS if component != "servers")
PACKAGES = {
    "operator": "strategy_operator",
    "gateway": "risk_gateway",
    "runner": "strategy_runner",
    "venue": "paper_venue",
    "feed": "market_feed",
}
COMPILERS = {"as", "c++", "c89", "c99", "cc", "clang", "g++", "gcc", "gold", "ld", "make", "tcc"}
NOT_IN_A_RUNNER = {"aiohttp", "kopf", "kubernetes", "pydantic", "pyyaml", "rich", "typer"}
MOST_OF_A_RUNNER = 60_000_000


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_image_runs_as_nobody_in_particular(component: str, images: Mapping[str, Image]) -> None:
    assert images[component].settings["User"] == "10001:10001"


@pytest.mark.parametrize("component", OURS)
def test_an_image_runs_its_component(component: str, images: Mapping[str, Image]) -> None:
    expected = ["python", "-P", "-m", PACKAGES[component]]
    assert images[component].settings["Entrypoint"] == expected


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_image_says_what_it_is(component: str, images: Mapping[str, Image]) -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    labels = images[component].settings["Labels"]
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.title"] != "StratOps"


@pytest.mark.parametrize("component", COMPONENTS)
def test_nothing_of_ours_can_be_changed_by_who_runs_it(
    component: str, images: Mapping[str, Image]
) -> None:
    ours = [path for layer in images[component].layers[1:] for path in layer.rglob("*")]
    states = [path.lstat() for path in ours if not path.is_symlink()]
    assert states
    assert all(state.st_uid == 0 and not state.st_mode & 0o022 for state in states)


@pytest.mark.parametrize("component", COMPONENTS)
def test_no_image_has_a_compiler(component: str, images: Mapping[str, Image]) -> None:
    programs = {name for path, _ in images[component].files() for name in [Path(path).name]
                if PurePosixPath(path).parent.name in ("bin", "sbin")}  # fmt: skip
    assert not {name for name in programs if name.rpartition("-")[2] in COMPILERS}


@pytest.mark.parametrize("component", OURS)
def test_an_image_installs_nothing_by_itself(component: str, images: Mapping[str, Image]) -> None:
    assert not set(distributions(images[component])) & {"hatchling", "pip", "setuptools"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_image_brings_no_cache(component: str, images: Mapping[str, Image]) -> None:
    found = [path for path, _ in images[component].files()]
    assert not [path for path in found if path.startswith(("/root/.cache", "/var/cache/", "/src/"))]


@pytest.mark.parametrize("component", OURS)
def test_every_module_is_compiled(component: str, images: Mapping[str, Image]) -> None:
    paths = {path for path, _ in images[component].files() if path.startswith("/opt/stratops/lib")}
    sources = {path for path in paths if path.endswith(".py")}
    compiled = {path.rpartition(".cpython")[0].replace("__pycache__/", "") for path in paths}
    assert not {source for source in sources if source.removesuffix(".py") not in compiled}


def test_a_runner_is_small(images: Mapping[str, Image]) -> None:
    assert packages_size(images["runner"]) <= MOST_OF_A_RUNNER


def packages_size(image: Image) -> int:
    return sum(where.lstat().st_size for path, where in image.files() if "/site-packages/" in path)


@pytest.mark.parametrize("component", OURS)
def test_each_distribution_is_there_once(component: str, images: Mapping[str, Image]) -> None:
    names = distributions(images[component])
    assert len(names) == len(set(names))


def test_a_runner_has_nothing_of_other_components(images: Mapping[str, Image]) -> None:
    assert not set(distributions(images["runner"])) & NOT_IN_A_RUNNER


def test_the_operator_loads_no_official_client(images: Mapping[str, Image]) -> None:
    assert "kubernetes" not in distributions(images["operator"])


def distributions(image: Image) -> list[str]:
    infos = {Path(path).parent.name for path, _ in image.files() if ".dist-info/" in path}
    return [info.partition("-")[0].lower().replace("_", "-") for info in infos]


def test_images_share_their_lower_layers(images: Mapping[str, Image]) -> None:
    assert len({tuple(images[component].layers[:2]) for component in OURS}) == 1


def test_building_again_builds_nothing(tmp_path: Path) -> None:
    image_context.snapshot(PROJECT, tmp_path)  # nobody edits it
    before = component_images.build(project=tmp_path).archive.stat()
    again = component_images.build(project=tmp_path).archive.stat()
    assert (again.st_ino, again.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_archive_names_its_images_in_full(built: Images) -> None:
    with tarfile.open(built.archive) as archive:
        file = archive.extractfile("./index.json")
        assert file is not None
        index = json.load(file)
    annotations = [each["annotations"] for each in index["manifests"]]
    named = {each["org.opencontainers.image.ref.name"] for each in annotations}
    assert named == {built.reference(component) for component in COMPONENTS}
