"""Stories are told by the thousand: what the desk logs of each is nobody's to read."""

from collections.abc import Iterator

import pytest

from quiet_log import quiet


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    with quiet():
        yield
