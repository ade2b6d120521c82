"""The API server dies under a gateway, which goes on with what it knew, and hears what comes after.

On a cluster of this module's own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster_driver import new_namespace
from cluster_gateway import ClusterStack, Namespace
from dev_cluster.built import BuiltCluster
from dev_cluster.components import Component
from gateway_driver import until

pytestmark = pytest.mark.cluster


@pytest.fixture
async def desk(
    own_cluster: BuiltCluster,
    tmp_path: Path,
    port: Callable[[], int],
    redis_server: Any,
    nats_server: Any,
) -> AsyncIterator[ClusterStack]:
    name = await asyncio.to_thread(new_namespace, own_cluster)
    namespace = Namespace.of_a_desk(own_cluster, name, tmp_path / "cluster")
    started = ClusterStack(namespace, tmp_path, port, redis_server, nats_server)
    yield started
    await started.hang_up()
    started.close()


@asynccontextmanager
async def away(cluster: BuiltCluster) -> AsyncIterator[None]:
    """While the API server is. Beside the loop, whose runners have to say that they live."""
    held = cluster.stopped(Component.API_SERVER)
    await asyncio.to_thread(held.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(held.__exit__, None, None, None)
    await asyncio.to_thread(cluster.wait_until_ready)


async def test_a_desk_goes_on_without_the_api_server_and_hears_what_comes_after(
    desk: ClusterStack, own_cluster: BuiltCluster
) -> None:
    desk.namespace.policy("main")
    runner = await desk.trading()
    async with away(own_cluster):
        for _ in range(20):
            assert (await desk.decided(runner)).accepted
    await desk.policy("main", halted=True)
    await desk.said(runner, "halted")


async def test_a_restart_without_the_api_server_forgets_no_halt_and_no_caller(
    desk: ClusterStack, own_cluster: BuiltCluster
) -> None:
    desk.namespace.policy("main", halted=True, reason="news")
    uid = desk.namespace.pod("s-1")
    await desk.deploy(runner_pods=[uid])
    await until(lambda: desk.is_halted(True))
    runner = desk.runner_of("s-1")
    async with away(own_cluster):
        desk.gateway.kill()
        await desk.gateway.start_again()
        await runner.connect()
        await runner.armed()
        assert (await desk.decided(runner)).reason == "halted"
    await desk.no_policy("main")
    await desk.said(runner, None)
