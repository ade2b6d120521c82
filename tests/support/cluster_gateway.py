"""A gateway beside its servers on this machine, whose callers and policies are a real cluster's."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from cluster_driver import wait_for
from desk_driver import buy, content
from dev_cluster.cluster import Cluster
from gateway_driver import RunnerClient, Stack, until
from risk_gateway.settings import ApiAccess
from stratops_wire.audience import audience_of
from trading.signals import Verdict

ROOT = Path(__file__).parents[2]
POLICIES = "/apis/stratops.dev/v1alpha1/namespaces/{}/riskpolicies"
# As narrow as the chart's.
GATEWAY_RULES = ({"apiGroups": ["stratops.dev"], "resources": ["riskpolicies"],
                  "verbs": ["get", "list", "watch"]},)  # fmt: skip


class Namespace:
    """A desk's namespace: accounts, pods that need not run, policies."""

    def __init__(self, cluster: Cluster, name: str, folder: Path) -> None:
        self.cluster, self.name, self.folder = cluster, name, folder
        folder.mkdir(exist_ok=True)

    @classmethod
    def of_a_desk(cls, cluster: Cluster, name: str, folder: Path) -> Self:
        """With policies, and the accounts of gateway, operator and runners."""
        made = cls(cluster, name, folder)
        made.install_policies()
        made.account("stratops-gateway", *GATEWAY_RULES)
        for account in ("stratops-operator", "stratops-runner"):
            made.account(account)
        return made

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, stdin=stdin)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def install_policies(self) -> None:
        """Their definition, as it is shipped."""
        self.cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds/riskpolicies.yaml"))
        wait = ("wait", "--for=condition=Established", "--timeout=60s")
        self.cluster.kubectl(*wait, "crd/riskpolicies.stratops.dev")
        wait_for(lambda: self.kubectl("get", "riskpolicies", "-o", "json"))

    def account(self, name: str, *rules: Mapping[str, Any]) -> None:
        named = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        rbac, metadata = "rbac.authorization.k8s.io", {"name": name}
        role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
        binding = {
            "apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.name}],
        }  # fmt: skip
        self.apply(named, role, binding)

    def subject(self, account: str) -> str:
        return f"system:serviceaccount:{self.name}:{account}"

    def pod(self, name: str, account: str = "stratops-runner") -> str:
        """Its uid. It waits for a node that will never be there."""
        spec = {
            "serviceAccountName": account, "nodeSelector": {"no": "such"},
            "containers": [{"name": "c", "image": "none"}],
        }  # fmt: skip
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        return self.kubectl("get", "pod", name, "-o", "jsonpath={.metadata.uid}")

    def token(self, account: str, *, pod: str = "", audience: str | None = None) -> str:
        """By TokenRequest; for the gateway, unless an audience is named."""
        audience = audience_of(self.name) if audience is None else audience
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
        aimed = (f"--audience={audience}",) if audience else ()
        return self.kubectl("create", "token", account, *aimed, *bound).strip()

    def policy(self, name: str, **spec: Any) -> None:
        """Is just so from now on."""
        head = {"apiVersion": "stratops.dev/v1alpha1", "kind": "RiskPolicy"}
        self.apply({**head, "metadata": {"name": name}, "spec": spec})

    def access(self, account: str) -> ApiAccess:
        """As a pod of that account has it."""
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
        ca, token = self.folder / "api-ca.crt", self.folder / f"{account}.token"
        if "certificate-authority-data" in config:
            ca.write_bytes(base64.b64decode(config["certificate-authority-data"]))
        else:
            ca.write_bytes(Path(config["certificate-authority"]).read_bytes())
        token.write_text(self.token(account, audience=""))
        return ApiAccess(config["server"], ca, token)


class ClusterStack(Stack):
    """Knows callers by `namespace`, and follows its policies."""

    def __init__(
        self, namespace: Namespace, folder: Path, ports: Callable[[], int], redis_: Any, nats: Any
    ) -> None:
        self.namespace = namespace
        access = namespace.access("stratops-gateway")
        super().__init__(
            folder, ports, redis_, nats,
            IDENTITY="cluster", OPERATORS=namespace.subject("stratops-operator"),
            NAMESPACE=namespace.name,
            API_SERVER=access.server, API_CA=str(access.ca), API_TOKEN_FILE=str(access.token_file),
        )  # fmt: skip
        self._token, self._token_at = "", 0.0

    def operator(self) -> str:
        if time.monotonic() - self._token_at > 300:
            self._token, self._token_at = (
                self.namespace.token("stratops-operator"),
                time.monotonic(),
            )
        return self._token

    def runner_of(self, pod: str, **more: Any) -> RunnerClient:
        token = more.pop("token", "") or self.namespace.token("stratops-runner", pod=pod)
        return self.runner(f"{pod}.0123abcd", token=token, **more)

    async def policy(self, name: str, **spec: Any) -> None:
        """Beside the loop, whose runners have to say meanwhile that they live."""
        await asyncio.to_thread(self.namespace.policy, name, **spec)

    async def no_policy(self, name: str) -> None:
        await asyncio.to_thread(self.namespace.kubectl, "delete", "riskpolicy", name)

    async def trading(self, text: str = "") -> RunnerClient:
        """A runner in a pod, armed, on a desk that may trade."""
        uid = self.namespace.pod("s-1")
        await self.deploy(text or content(), runner_pods=[uid])
        await until(self._may_trade)
        runner = self.runner_of("s-1")
        await runner.connect()
        await runner.armed()
        return runner

    async def decided(self, runner: RunnerClient) -> Verdict:
        """What is said to one more signal."""
        cause = await self.market.next()
        (verdict,) = await runner.decide(buy(f"n{cause}", cause))
        return verdict

    async def said(self, runner: RunnerClient, reason: str | None) -> Verdict:
        """The first verdict with that reason."""

        async def look() -> Verdict | None:
            verdict = await self.decided(runner)
            return verdict if verdict.reason == reason else None

        found: Verdict = await until(look)
        return found

    async def is_halted(self, wanted: bool) -> bool:
        return bool((await self.desk()).halted) is wanted

    async def _may_trade(self) -> bool:
        (status,) = (await self.desk()).strategies
        return not status.closing_only
