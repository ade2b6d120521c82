"""The API server of the test cluster, as somebody who applies our resources meets it."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, dynamic
from kubernetes.client.exceptions import ApiException, NotFoundException

from platform_spec.installation import files
from platform_spec.metadata import API_VERSION, GROUP, VERSION

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

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.client = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]  # as it ships
        self.objects = client.CustomObjectsApi(self.client)
        self.namespace = namespace

    def install(self) -> None:
        """Applies what crds/ holds, and waits until it is in force."""
        cluster = dynamic.DynamicClient(self.client)  # type: ignore[no-untyped-call]  # as it ships
        for text in files().values():
            for body in yaml.safe_load_all(text):
                kind = cluster.resources.get(api_version=body["apiVersion"], kind=body["kind"])
                kind.server_side_apply(body=body, field_manager="kubectl")
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
            except Refused:
                return True
            return False

        _until(refused, f"{spec} is refused")

    def until_gone(self, kind: str, name: str) -> None:
        def gone() -> bool:
            try:
                self.get(kind, name)
            except NotFoundException:
                return True
            return False

        _until(gone, f"{kind} {name} is gone")

    def _asked(self, ask: Callable[..., Any], plural: str, *rest: Any, **options: str) -> Object:
        try:
            answer: Object = ask(GROUP, VERSION, self.namespace, plural, *rest, **options)
        except ApiException as error:
            if error.status not in (400, 403, 422):
                raise
            raise Refused(error.body) from None
        return answer


def _until(fact: Callable[[], bool], what: str, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.1)


def strategy(spec: Mapping[str, Any], name: str = "probe") -> Object:
    return _object("Strategy", name, spec)


def policy(name: str, spec: Mapping[str, Any]) -> Object:
    return _object("RiskPolicy", name, spec)


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
