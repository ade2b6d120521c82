"""What the operator makes, as Kubernetes gets it."""

from typing import Any

import pytest

from operator_world import NAME, NAMESPACE, World, spec
from strategy_operator import children, names
from strategy_operator.actions import CreateConfigMap, CreatePod, CreateRevision
from stratops_wire.audience import SHARED

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def made(kind: type, **fields: Any) -> dict[str, Any]:
    """The manifest that the first action of this kind has."""
    world = World(**fields)
    actions = [action for _ in range(5) for action in world.turn().actions]
    manifests = {type(action): getattr(action, "manifest", {}) for action in reversed(actions)}
    return dict(manifests[kind])


def pod(**fields: Any) -> dict[str, Any]:
    return made(CreatePod, **fields)


def container(**fields: Any) -> dict[str, Any]:
    (runner,) = pod(**fields)["spec"]["containers"]
    return dict(runner)


@pytest.mark.parametrize("kind", [CreatePod, CreateConfigMap, CreateRevision])
def test_all_belong_to_the_strategy(kind: type) -> None:
    metadata = made(kind)["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Strategy", NAME, True)
    assert metadata["labels"]["stratops.dev/strategy"] == NAME
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "stratops-operator"


def test_names_say_strategy_revision_and_attempt() -> None:
    world = World()
    name = f"{NAME}-{world.revision_of('0.1')}"
    assert made(CreateRevision)["metadata"]["name"] == name
    assert made(CreateConfigMap)["metadata"]["name"] == name
    assert pod()["metadata"]["name"] == f"{name}-1"


def test_a_config_map_never_changes() -> None:
    config_map = made(CreateConfigMap)
    assert config_map["immutable"]
    assert list(config_map["data"]) == ["spec.json"]


def test_a_kept_revision_is_self_contained() -> None:
    kept = made(CreateRevision)["spec"]
    assert kept["strategy"] == NAME
    assert kept["runner"] == made(CreateConfigMap)["data"]["spec.json"]


def test_a_pod_may_do_no_more_than_it_must() -> None:
    body = pod()["spec"]
    assert container()["securityContext"] == RESTRICTED
    assert body["securityContext"]["runAsNonRoot"]
    assert body["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (body["automountServiceAccountToken"], body["enableServiceLinks"]) == (False, False)


def test_its_token_is_for_the_gateway_only() -> None:
    (desk,) = (each for each in pod()["spec"]["volumes"] if each["name"] == "desk")
    tokens = [
        each["serviceAccountToken"]
        for each in desk["projected"]["sources"]
        if "serviceAccountToken" in each
    ]
    assert tokens == [
        {"audience": f"stratops-gateway.{NAMESPACE}", "expirationSeconds": 600, "path": "token"}
    ]


def test_one_for_the_audience_of_before_was_made_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is replaced, by a hand-over, when operator and desk are upgraded."""
    now = pod()["metadata"]["labels"][names.TEMPLATE]
    monkeypatch.setattr(children, "audience_of", lambda _: SHARED)
    assert pod()["metadata"]["labels"][names.TEMPLATE] != now


def test_a_released_runner_stays_ended() -> None:
    assert pod()["spec"]["restartPolicy"] == "OnFailure"


def test_only_the_startup_probe_is_patient() -> None:
    runner = container()
    startup, liveness = runner["startupProbe"], runner["livenessProbe"]
    assert (startup["periodSeconds"], startup["failureThreshold"]) == (1, 60)
    assert (liveness["periodSeconds"], liveness["failureThreshold"]) == (5, 6)
    assert runner["readinessProbe"]["httpGet"]["path"] == "/ready"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}),
        (
            {"requests": {"memory": "512Mi"}},
            {"requests": {"cpu": "10m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        ),
        (
            {"limits": {"cpu": "20m", "memory": "32Mi"}},
            {"requests": {"memory": "32Mi"}, "limits": {"cpu": "20m", "memory": "32Mi"}},
        ),
    ],
    ids=["defaults", "a large request", "small limits"],
)
def test_defaults_give_way_to_what_is_written(written: Any, expected: Any) -> None:
    assert container(resources=written)["resources"] == expected


def test_the_users_template_is_taken() -> None:
    template = {
        "nodeSelector": {"disk": "ssd"},
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
    }
    body = pod(podTemplate=template)["spec"]
    assert {name: body[name] for name in template} == template


NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ([], {NOT_READY: 20, UNREACHABLE: 20}),
        ([{"key": "trading", "operator": "Exists"}], {NOT_READY: 20, UNREACHABLE: 20}),
        ([{"key": NOT_READY, "operator": "Exists"}], {UNREACHABLE: 20}),
        ([{"operator": "Exists"}], {}),
        ([{"operator": "Exists", "effect": "NoSchedule"}], {NOT_READY: 20, UNREACHABLE: 20}),
    ],
    ids=["none", "another", "one of them", "any taint", "any, of another effect"],
)
def test_a_node_that_is_away_is_borne_for_20_s_unless_the_user_says(
    written: Any, ours: Any
) -> None:
    tolerations = pod(podTemplate={"tolerations": written})["spec"]["tolerations"]
    assert tolerations[: len(written)] == written
    added = tolerations[len(written) :]
    assert {each["key"]: each["tolerationSeconds"] for each in added} == ours


def test_the_users_labels_do_not_hide_ours() -> None:
    labels = {"team": "a", "stratops.dev/strategy": "mine"}
    metadata = pod(podTemplate={"labels": labels, "annotations": {"note": "b"}})["metadata"]
    assert (metadata["labels"]["team"], metadata["annotations"]) == ("a", {"note": "b"})
    assert metadata["labels"]["stratops.dev/strategy"] == NAME


def test_the_users_image_runs_its_class() -> None:
    runner = container(strategy={"class": "mine:Mine"}, image="mine/strategies:1")
    assert runner["image"] == "mine/strategies:1"


def test_without_one_the_image_that_ships_runs() -> None:
    assert container()["image"] == "stratops/runner:1"


def test_names_of_labels_fit_kubernetes() -> None:
    labels = pod(podTemplate={"labels": {"a": "b"}})["metadata"]["labels"]
    assert all(len(value) <= 63 for value in labels.values())


def test_another_quantity_mounts_another_config_map() -> None:
    mounted = [
        volume["configMap"]["name"]
        for quantity in ("0.1", "0.2")
        for volume in pod(**spec(quantity))["spec"]["volumes"]
        if volume["name"] == "revision"
    ]
    assert len(set(mounted)) == 2
