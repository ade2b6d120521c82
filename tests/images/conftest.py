"""The images of this checkout, built once, and unpacked for a look inside."""

import os
import shutil
from collections.abc import Iterator, Mapping

import pytest

from dev_cluster import component_images
from dev_cluster.component_images import Images
from dev_cluster.machine import MachineUnfit
from image_driver import Image, unpacked


@pytest.fixture(scope="session")
def built() -> Images:
    try:
        return component_images.build()
    except MachineUnfit as unfit:
        if os.environ.get("CI"):
            pytest.fail(f"no images: {unfit}")
        pytest.skip(f"no images: {unfit}")


@pytest.fixture(scope="session")
def images(
    built: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Image]]:
    folder = tmp_path_factory.mktemp("images")
    yield unpacked(built, folder)
    shutil.rmtree(folder)
