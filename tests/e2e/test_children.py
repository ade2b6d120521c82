"""What the operator made is put right; what it did not make is never touched."""

import json
from functools import partial

import pytest

from cluster_desk import ClusterDesk, strategy, until

pytestmark = pytest.mark.cluster


def _pod(desk: ClusterDesk, name: str) -> dict[str, str]:
    (pod,) = desk.pods(name)
    return {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}


def test_a_deleted_pod_comes_back_and_trades(desk: ClusterDesk) -> None:
    desk.apply(strategy("comeback"))
    before = desk.until_ready("comeback")
    pod = _pod(desk, "comeback")
    desk.kubectl("delete", "pod", pod["name"], "--wait=false")

    def armed_again() -> bool:
        pods = [each for each in desk.pods("comeback") if each["metadata"]["uid"] != pod["uid"]]
        return bool(pods) and desk.status("comeback")["epoch"] > before["epoch"]

    until(armed_again, "another pod is armed")
    desk.until_ready("comeback")


def test_a_deleted_config_map_and_revision_come_back(desk: ClusterDesk) -> None:
    desk.apply(strategy("restored"))
    revision = desk.until_ready("restored")["revision"]
    name = f"restored-{revision}"
    for kind in ("configmap", "strategyrevision"):
        desk.kubectl("delete", kind, name)
        until(partial(desk.get, kind, name), f"the {kind} is back")
    assert desk.is_so("restored", "Armed")


def test_edited_labels_are_put_right(desk: ClusterDesk) -> None:
    desk.apply(strategy("relabelled"))
    desk.until_ready("relabelled")
    pod = _pod(desk, "relabelled")
    desk.kubectl("label", "pod", pod["name"], "app.kubernetes.io/name=mine", "--overwrite")

    def mended() -> bool:
        labels = (desk.get("pod", pod["name"]) or {})["metadata"]["labels"]
        return bool(labels["app.kubernetes.io/name"] == "stratops-runner")

    until(mended, "the label is put right")
    assert _pod(desk, "relabelled") == pod


def test_an_edited_image_is_replaced_by_hand_over(desk: ClusterDesk) -> None:
    desk.apply(strategy("reimaged"))
    desk.until_ready("reimaged")
    pod = _pod(desk, "reimaged")
    edit = [{"op": "replace", "path": "/spec/containers/0/image", "value": "localhost/other:1"}]
    desk.kubectl("patch", "pod", pod["name"], "--type=json", "-p", json.dumps(edit))

    def replaced() -> bool:
        pods = desk.pods("reimaged")
        return len(pods) == 1 and pods[0]["metadata"]["uid"] != pod["uid"]

    until(replaced, "another pod took its place", within_s=180)
    desk.until_ready("reimaged")


def test_a_foreign_object_of_the_same_name_is_left_alone(desk: ClusterDesk) -> None:
    desk.apply(strategy("squatted", version="1.0.0"))
    revision = desk.until_ready("squatted")["revision"]
    desk.kubectl("delete", "strategy", "squatted", "--timeout=180s")
    name = f"squatted-{revision}"
    until(lambda: desk.get("configmap", name) is None, "its ConfigMap is gone")
    desk.kubectl("create", "configmap", name, "--from-literal=mine=yes")
    desk.apply(strategy("squatted", version="1.0.0"))
    until(lambda: desk.is_so("squatted", "Stalled"), "it says that it is stalled")
    assert name in desk.condition("squatted", "Stalled")["message"]
    assert (desk.get("configmap", name) or {})["data"] == {"mine": "yes"}
    desk.kubectl("delete", "configmap", name)
    desk.until_ready("squatted")
