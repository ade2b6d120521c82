"""What the operator writes, as a real API server takes it or does not."""

from pathlib import Path
from typing import Any

import pytest

from crd_driver import SMALLEST, Api
from dev_cluster.cluster import Cluster
from operator_driver import account
from platform_spec.status import status_of
from strategy_operator import names
from strategy_operator.access import from_kubeconfig
from strategy_operator.cluster import CONFIG_MAP, POD, STRATEGY, No, Refused
from strategy_operator.cluster import Cluster as ApiServer
from strategy_operator.names import Owner

pytestmark = pytest.mark.cluster

STATUS = {"observedGeneration": 1, "phase": "Deployed", "conditions": []}


def config_map(namespace: str, owner: dict[str, Any], text: str = "1") -> dict[str, Any]:
    reference = Owner(namespace, "probe", owner["metadata"]["uid"]).reference()
    metadata = {"name": "child", "namespace": namespace, "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": text}}


def of(strategy: dict[str, Any], **metadata: str) -> dict[str, Any]:
    names_it = ("name", "namespace", "uid", "resourceVersion")
    return {name: strategy["metadata"][name] for name in names_it} | metadata


async def refused(asked: Any) -> Refused:
    with pytest.raises(Refused) as error:
        await asked
    return error.value


async def test_a_status_is_written_over_the_version_that_was_seen(
    resources: Api, server: ApiServer
) -> None:
    seen = resources.create(SMALLEST)
    written = await server.apply(STRATEGY, {"metadata": of(seen), "status": STATUS}, "status")
    assert written["status"]["phase"] == "Deployed"
    assert "managedFields" not in written["metadata"]
    again = await refused(
        server.apply(STRATEGY, {"metadata": of(seen), "status": STATUS}, "status")
    )
    assert again.no is No.CONFLICT


async def test_a_status_is_not_written_over_another_strategy_of_that_name(
    resources: Api, server: ApiServer
) -> None:
    seen = resources.create(SMALLEST)
    resources.delete("Strategy", "probe")
    resources.until_gone("Strategy", "probe")
    other = resources.create(SMALLEST)
    error = await refused(
        server.apply(STRATEGY, {"metadata": of(seen), "status": STATUS}, "status")
    )
    assert error.no is No.CONFLICT
    there = await server.get(STRATEGY, resources.namespace, "probe")
    assert there["metadata"]["resourceVersion"] == other["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "status",
    [
        {"nobodyKnowsThis": 1},
        {"conditions": [{"type": "Ready"}, {"type": "Ready"}]},
    ],
    ids=["a field that the definition lacks", "a condition twice"],
)
async def test_what_will_never_be_valid_is_told_from_what_may_pass(
    resources: Api, server: ApiServer, status: dict[str, Any]
) -> None:
    """The API server answers 500 to it."""
    seen = resources.create(SMALLEST)
    error = await refused(
        server.apply(STRATEGY, {"metadata": of(seen), "status": status}, "status")
    )
    assert (error.no, error.no.passing) == (No.INVALID, False)


async def test_an_equal_status_changes_nothing(resources: Api, server: ApiServer) -> None:
    first = await server.apply(
        STRATEGY, {"metadata": of(resources.create(SMALLEST)), "status": STATUS}, "status"
    )
    again = await server.apply(STRATEGY, {"metadata": of(first), "status": STATUS}, "status")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_what_was_the_last_of_its_kind_may_go(resources: Api, server: ApiServer) -> None:
    """The API server makes null of an empty map in the place of entries, and refuses that."""
    held = {"positions": {"BTCUSDT": "1"}, "at": "2026-11-21T12:00:00Z"}
    barred = [{"revision": "0123456789", "reason": "CrashLoop"}]
    full = STATUS | {"trading": held, "quarantined": barred}
    flat = STATUS | {"trading": held | {"positions": {}}, "quarantined": []}
    seen = resources.create(SMALLEST)
    for status in (full, flat, full, flat):
        body = {"metadata": of(seen), "status": status}
        seen = await server.apply(STRATEGY, body, "status")
    assert status_of(seen).quarantined == ()
    trading = status_of(seen).trading
    assert trading is not None
    assert trading.positions == {}


async def test_what_is_created_twice_is_ours_both_times(resources: Api, server: ApiServer) -> None:
    owner = resources.create(SMALLEST)
    first = await server.create(CONFIG_MAP, config_map(resources.namespace, owner))
    again = await server.create(CONFIG_MAP, config_map(resources.namespace, owner))
    assert again["metadata"]["uid"] == first["metadata"]["uid"]


async def test_an_object_of_somebody_else_is_left_alone(resources: Api, server: ApiServer) -> None:
    resources.cluster.kubectl(
        "create", "configmap", "child", "--from-literal=a=theirs", "-n", resources.namespace
    )
    owner = resources.create(SMALLEST)
    error = await refused(server.create(CONFIG_MAP, config_map(resources.namespace, owner)))
    assert error.no is No.FOREIGN
    assert "ConfigMap child: is there and belongs to no owner" in str(error)
    assert (await server.get(CONFIG_MAP, resources.namespace, "child"))["data"] == {"a": "theirs"}


async def test_only_the_object_that_was_meant_is_deleted(resources: Api, server: ApiServer) -> None:
    owner = resources.create(SMALLEST)
    made = await server.create(CONFIG_MAP, config_map(resources.namespace, owner))
    where = (CONFIG_MAP, resources.namespace, "child")
    assert await server.delete(*where, "another-uid") is None
    assert (await server.get(*where))["metadata"]["uid"] == made["metadata"]["uid"]
    await server.delete(*where, made["metadata"]["uid"])
    assert await server.delete(*where, made["metadata"]["uid"]) is None
    assert (await refused(server.get(*where))).no is No.NOT_FOUND


async def test_labels_of_a_pod_are_put_right_and_another_pod_is_not_made(
    resources: Api, server: ApiServer
) -> None:
    metadata = {"name": "gone", "namespace": resources.namespace, "uid": "1", "labels": {"a": "b"}}
    error = await refused(server.apply(POD, {"metadata": metadata}))
    assert error.no is No.CONFLICT
    assert (await refused(server.get(POD, resources.namespace, "gone"))).no is No.NOT_FOUND


async def test_a_finalizer_is_added_beside_others(resources: Api, server: ApiServer) -> None:
    seen = resources.create(SMALLEST)
    metadata = of(seen, finalizers=["example.com/theirs", names.FINALIZER])  # type: ignore[arg-type]  # a list here
    del metadata["name"], metadata["namespace"]
    where = (STRATEGY, resources.namespace, "probe")
    await server.merge(*where, {"metadata": metadata})
    assert (await refused(server.merge(*where, {"metadata": metadata}))).no is No.CONFLICT
    await server.merge(*where, {"metadata": {"finalizers": []}})


async def test_what_may_not_be_done_is_forbidden(
    defined: Cluster, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = account(defined, namespace, tmp_path, [])
    async with ApiServer(from_kubeconfig(kubeconfig)) as nobody:
        error = await refused(nobody.get(POD, namespace, "any"))
    assert error.no is No.FORBIDDEN
    assert 'cannot get resource "pods"' in str(error)


async def test_an_api_server_that_is_away_is_unreachable(access: Any) -> None:
    away = type(access)("https://127.0.0.1:1", access.tls, access.token)
    async with ApiServer(away) as server:
        error = await refused(server.get(POD, "default", "any"))
    assert (error.no, error.no.passing) == (No.UNREACHABLE, True)


async def test_the_definitions_are_found(server: ApiServer) -> None:
    assert await server.serves()
    assert not await server.serves((type(STRATEGY)("None", "nones", STRATEGY.api),))
    assert not await server.serves((type(STRATEGY)("None", "nones", "nobody.dev/v1"),))
