"""The API server of the test cluster, as somebody who applies our resources meets it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException, NotFoundException

from cluster_driver import wait_for
from dev_cluster.cluster import Cluster
from platform_spec.metadata import API_VERSION, GROUP, VERSION

CRDS = Path(__file__).parents[2] / "crds"

Object = dict[str, Any]
PLURALS = {
    "Strategy": "strategies",
    "RiskPolicy": "riskpolicies",
    "StrategyRevision": "strategyrevisions",
}
SMALLEST = {"strategy": {"builtin": "sma_crossover"}, "symbols": ["BTCUSDT"]}
LIVE = {"mode": "live", "capital": {"amount": "1000"}, "risk": {"policy": "nobody"}}


class Refused(Exception):
    """The API server's answer to what it does not take."""


class Api:
    """One namespace of a cluster that has our definitions and policies."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        load = config.new_client_from_config
        client_of = load(str(cluster.kubeconfig))  # type: ignore[no-untyped-call]  # it has no types
        self.objects = client.CustomObjectsApi(client_of)
        self.namespace = namespace

    def install(self) -> None:
        """Applies crds/, and waits until it is in force."""
        self.cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        names = [f"crd/{plural}.{GROUP}" for plural in PLURALS.values()]
        self.cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        self.until_refused(SMALLEST | {"capital": {"amount": True}})

    def create(self, spec: Mapping[str, Any], **how: Any) -> Object:
        """Creates a Strategy, and answers what the API server has then."""
        return self.create_object(strategy(spec, how.pop("name", "probe")), **how)

    def create_object(self, body: Object, *, dry: bool = False) -> Object:
        plural, options = PLURALS[body["kind"]], {"field_validation": "Strict"}
        if dry:
            options["dry_run"] = "All"
        return self._asked(self.objects.create_namespaced_custom_object, plural, body, **options)

    def tried(self, spec: Mapping[str, Any], **how: Any) -> Object:
        """As `create`, but nothing is kept."""
        return self.create(spec, dry=True, **how)

    def get(self, kind: str, name: str) -> Object:
        return self._asked(self.objects.get_namespaced_custom_object, PLURALS[kind], name)

    def replace(self, body: Object, **options: str) -> Object:
        name, plural = body["metadata"]["name"], PLURALS[body["kind"]]
        replaced = self.objects.replace_namespaced_custom_object
        return self._asked(replaced, plural, name, body, **options)

    def replace_status(self, body: Object) -> Object:
        name, plural = body["metadata"]["name"], PLURALS[body["kind"]]
        replaced = self.objects.replace_namespaced_custom_object_status
        return self._asked(replaced, plural, name, body)

    def delete(self, kind: str, name: str) -> None:
        self._asked(self.objects.delete_namespaced_custom_object, PLURALS[kind], name)

    def until_refused(self, spec: Mapping[str, Any], **how: Any) -> None:
        """A policy needs a moment to be in force."""

        def refused() -> bool:
            try:
                self.tried(spec, **how)
            except Refused as no:
                return "failed to find resource" not in str(no)  # its parameters' kind is too new
            return False

        wait_for(refused)

    def until_gone(self, kind: str, name: str) -> None:
        def gone() -> bool:
            try:
                self.get(kind, name)
            except NotFoundException:
                return True
            return False

        wait_for(gone)

    def _asked(self, ask: Callable[..., Any], plural: str, *rest: Any, **options: str) -> Object:
        try:
            answer: Object = ask(GROUP, VERSION, self.namespace, plural, *rest, **options)
        except ApiException as error:
            if error.status not in (400, 403, 422):
                raise
            raise Refused(error.body) from None
        return answer


def strategy(spec: Mapping[str, Any], name: str = "probe") -> Object:
    return _object("Strategy", name, spec)


def policy(name: str, spec: Mapping[str, Any]) -> Object:
    return _object("RiskPolicy", name, spec)


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
