"""An edit under load is a hand-over: each tick is decided once, by one revision."""

import time
from itertools import pairwise

import pytest

from cluster_desk import (
    EVERY_TICK,
    ClusterDesk,
    Measured,
    check_each_tick_once,
    decided,
    edit,
    every_tick,
    strategy,
    until,
)

pytestmark = pytest.mark.cluster


def test_each_tick_is_decided_exactly_once_over_hand_overs(
    busy_desk: ClusterDesk, measured: Measured
) -> None:
    desk = busy_desk
    desk.apply(every_tick("edited"), every_tick("control"))
    for name in ("edited", "control"):
        desk.until_ready(name, within_s=180)
    took_s = []
    for shade in (1, 2, 3):
        began = time.monotonic()
        status = edit(desk, "edited", shade)
        took_s.append(time.monotonic() - began)
    assert status["handovers"] == 3
    ours = decided(desk, "edited")
    check_each_tick_once(ours, decided(desk, "control"))
    gaps = _gaps(ours)
    assert len(gaps) == 3
    measured("between two revisions' decisions, at most", max(gaps))
    measured("from an edit to a hand-over, at most", max(took_s))


def _gaps(ours: list[tuple[int, int, str, int]]) -> list[float]:
    """Seconds between the last decision of one epoch and the first of the next."""
    return [
        (after[3] - before[3]) / 1e9 for before, after in pairwise(ours) if before[1] != after[1]
    ]


def test_what_is_no_part_of_a_revision_makes_no_hand_over(desk: ClusterDesk) -> None:
    desk.apply(strategy("still"))
    before = desk.until_ready("still")
    desk.kubectl("label", "strategy", "still", "desk=blue")
    desk.kubectl("annotate", "strategy", "still", "note=hello")
    again = strategy("still", parameters={"quantity": 0.01, "long_period": 20, "short_period": 5})
    desk.apply(again)  # other order of keys, other spelling of numbers
    after = desk.until_ready("still")
    assert after["revision"] == before["revision"]
    assert after["epoch"] == before["epoch"]
    assert len(desk.pods("still")) == 1


def test_a_change_back_is_a_hand_over_to_the_revision_of_before(desk: ClusterDesk) -> None:
    desk.apply(strategy("back"))
    first = desk.until_ready("back")
    desk.patch("back", {"version": "1.0.1"})
    until(lambda: desk.status("back").get("revision") != first["revision"], "the other is armed")
    desk.patch("back", {"version": "1.0.0"})
    until(lambda: desk.status("back").get("revision") == first["revision"], "the first is back")
    names = {each["metadata"]["name"] for each in desk.listed("strategyrevisions")}
    assert len([name for name in names if name.startswith("back-")]) == 2


def test_a_revision_that_cannot_load_leaves_the_old_one_trading(desk: ClusterDesk) -> None:
    desk.apply(every_tick("sound"))
    before = desk.until_ready("sound")
    pod = desk.pods("sound")[0]["metadata"]["uid"]
    desk.patch("sound", {"strategy": {"source": {"inline": "import nothing_of_that_name\n"}}})
    until(lambda: desk.is_so("sound", "Stalled"), "it says that it is stalled", within_s=180)
    assert "nothing_of_that_name" in desk.condition("sound", "Stalled")["message"]
    assert desk.is_so("sound", "Armed")
    assert desk.status("sound")["revision"] == before["revision"]
    assert pod in {each["metadata"]["uid"] for each in desk.pods("sound")}
    count = len(decided(desk, "sound"))
    until(lambda: len(decided(desk, "sound")) > count, "the old one decides on")
    desk.patch("sound", {"strategy": {"source": {"inline": EVERY_TICK}}})
    assert desk.until_ready("sound")["epoch"] == before["epoch"]


def test_an_image_that_does_not_exist_stalls_with_the_pods_own_reason(desk: ClusterDesk) -> None:
    desk.apply(strategy("imageless"))
    before = desk.until_ready("imageless")
    desk.patch("imageless", {"image": "localhost/there-is/none:1"})
    until(lambda: desk.is_so("imageless", "Stalled"), "it says that it is stalled", within_s=180)
    assert desk.condition("imageless", "Stalled")["reason"] in (
        "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull",
    )  # fmt: skip
    assert desk.status("imageless")["revision"] == before["revision"]
    desk.kubectl("delete", "strategy", "imageless", "--timeout=180s")
