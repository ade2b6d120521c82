"""A claim of the class gets one volume, which goes when the claim has gone."""

from pathlib import Path
from typing import Any

import pytest

from dev_cluster.volumes import STORAGE_CLASS, released, volume, volume_name, wanted

CLAIM: dict[str, Any] = {
    "metadata": {"name": "data", "namespace": "trading", "uid": "u1"},
    "spec": {
        "storageClassName": STORAGE_CLASS,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
VOLUME = volume(CLAIM, Path("/volumes/u1"), "node1")


def with_phase(phase: str) -> dict[str, Any]:
    return VOLUME | {"status": {"phase": phase}}


def changed(**spec: Any) -> dict[str, Any]:
    return CLAIM | {"spec": CLAIM["spec"] | spec}


def test_a_new_claim_wants_a_volume() -> None:
    assert wanted([CLAIM], []) == [CLAIM]


def test_a_claim_with_a_volume_on_its_way_wants_no_second() -> None:
    assert wanted([CLAIM], [VOLUME]) == []


@pytest.mark.parametrize(
    "spec",
    [{"storageClassName": "other"}, {"storageClassName": ""}, {"volumeName": "somewhere"}],
    ids=["of another class", "of no class", "bound"],
)
def test_a_claim_that_is_not_ours_wants_none(spec: dict[str, Any]) -> None:
    assert wanted([changed(**spec)], []) == []


def test_a_claim_made_again_gets_another_volume() -> None:
    again = CLAIM | {"metadata": CLAIM["metadata"] | {"uid": "u2"}}
    assert volume_name(again) != volume_name(CLAIM)


@pytest.mark.parametrize(
    ("phase", "goes"), [("Bound", False), ("Available", False), ("Released", True)]
)
def test_only_a_volume_whose_claim_has_gone_goes(phase: str, goes: bool) -> None:
    assert released([with_phase(phase)]) == ([volume_name(CLAIM)] if goes else [])


def test_somebody_else_s_released_volume_stays() -> None:
    foreign = {"metadata": {"name": "nfs"}, "spec": {}, "status": {"phase": "Released"}}
    assert released([foreign]) == []
