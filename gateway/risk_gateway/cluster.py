"""What the gateway has from its cluster: who callers are, and the desk's risk policies.

Imported on a cluster only: a laptop needs none of the packages behind it. Neither part is needed
for trading to go on; both keep what they last saw.
"""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from risk_gateway.api_server import ApiServer
from risk_gateway.cluster_callers import ClusterTokens, Expected
from risk_gateway.keys import Keys, fetch_keys
from risk_gateway.people import People
from risk_gateway.policy_watch import PolicyBook, PolicyWatch
from risk_gateway.reviews import Reviews, review
from risk_gateway.settings import Cluster

KEYS_FILE = "cluster-keys.json"


class ClusterSide:
    """`run()` it as a task."""

    def __init__(self, cluster: Cluster, state_dir: Path, book: PolicyBook) -> None:
        self._for_keys, self._for_policies = ApiServer(cluster.api), ApiServer(cluster.api)
        self._keys = Keys(lambda: fetch_keys(self._for_keys), state_dir / KEYS_FILE)
        self._watch = PolicyWatch(self._for_policies, cluster.namespace, book)
        expected = Expected(cluster.audience, cluster.members, cluster.runners, cluster.namespace)
        self.callers = ClusterTokens(self._keys, expected, reviews=self._reviews(cluster.people))

    def _reviews(self, people: People | None) -> Reviews | None:
        return Reviews(lambda token: review(self._for_keys, token), people) if people else None

    @property
    def following(self) -> bool:
        """Whether a change of a policy would be heard now."""
        return self._watch.following

    async def run(self) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            for api in (self._for_keys, self._for_policies):
                await stack.enter_async_context(api)
            tasks.create_task(self._keys.run())
            tasks.create_task(self._watch.run())
