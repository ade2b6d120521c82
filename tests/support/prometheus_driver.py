"""A real Prometheus that scrapes a desk as the chart's monitors say, and what one asks of it.

The Prometheus operator makes scrape configurations of PodMonitors and ServiceMonitors; here
`scrape_configs` does, by the same rules, so that a selector or a port that is wrong in the chart
finds nothing. Debian's Prometheus is built without Kubernetes: what that would discover is listed
by `discovered`, under the same names. Pods are reached by way of the API server.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from cluster_desk import ClusterDesk, until
from dev_cluster import tools
from held_ports import free_port

Object = Mapping[str, Any]
Rule = Mapping[str, Any]

_META = "__meta_kubernetes_"
_open = build_opener(ProxyHandler({})).open  # nothing here is behind a proxy


# ---- From monitors to a configuration


def scrape_configs(monitors: Sequence[Object], api: str) -> list[dict[str, Any]]:
    """`api`: host and port that stand for the API server. What is discovered lies in files beside
    the configuration."""
    made = {"PodMonitor": _of_pods, "ServiceMonitor": _of_services}
    return [config for each in monitors for config in made[each["kind"]](each, api)]


def _of_pods(monitor: Object, api: str) -> Iterator[dict[str, Any]]:
    spec, name = monitor["spec"], monitor["metadata"]["name"]
    job = {"target_label": "job", "replacement": f"{monitor['metadata']['namespace']}/{name}"}
    copied = [
        _copied(f"{_META}pod_label_{_safe(label)}", _safe(label))
        for label in spec.get("podTargetLabels", ())
    ]
    for endpoint in spec["podMetricsEndpoints"]:
        found = [*_labelled("pod", spec["selector"]), *_port(endpoint, "pod_container_port")]
        number = "pod_container_port_number"
        yield _config(monitor, endpoint, api, "pod", [*found, *_reached(number), job, *copied])


def _of_services(monitor: Object, api: str) -> Iterator[dict[str, Any]]:
    spec = monitor["spec"]
    job = _copied(f"{_META}service_name", "job")
    for endpoint in spec["endpoints"]:
        found = [*_labelled("service", spec["selector"]), *_port(endpoint, "endpointslice_port")]
        number = "endpointslice_port"
        yield _config(monitor, endpoint, api, "endpointslice", [*found, *_reached(number), job])


def _config(
    monitor: Object, endpoint: Object, api: str, role: str, rules: Sequence[Rule]
) -> dict[str, Any]:
    metadata = monitor["metadata"]
    return {
        "job_name": f"{monitor['kind']}/{metadata['namespace']}/{metadata['name']}",
        "honor_labels": endpoint.get("honorLabels", False),
        "scrape_interval": endpoint["interval"],
        "scrape_timeout": endpoint["interval"],
        "file_sd_configs": [{"files": [f"{role}.json"]}],
        "relabel_configs": [*rules, {"target_label": "__address__", "replacement": api}],
    }


def _labelled(what: str, selector: Object) -> Iterator[Rule]:
    """Nothing but labels: our monitors have no expressions."""
    (labels,) = selector.values()
    for label, value in labels.items():
        yield _kept(f"{_META}{what}_label_{_safe(label)}", value)
    yield {"source_labels": [f"{_META}pod_phase"], "regex": "Failed|Succeeded", "action": "drop"}


def _port(endpoint: Object, meta: str) -> Iterator[Rule]:
    yield _kept(f"{_META}{meta}_name", endpoint["port"])


def _reached(number: str) -> Iterator[Rule]:
    """By the API server's proxy to pods."""
    yield {
        "source_labels": [f"{_META}namespace", f"{_META}pod_name", f"{_META}{number}"],
        "regex": "(.+);(.+);(.+)",
        "replacement": "/api/v1/namespaces/$1/pods/$2:$3/proxy/metrics",
        "target_label": "__metrics_path__",
    }
    yield _copied(f"{_META}namespace", "namespace")
    yield _copied(f"{_META}pod_name", "pod")
    yield _copied(f"{_META}pod_name", "instance")


def _kept(label: str, value: str) -> Rule:
    return {"source_labels": [label], "regex": re.escape(value), "action": "keep"}


def _copied(source: str, target: str) -> Rule:
    return {"source_labels": [source], "target_label": target}


def _safe(label: str) -> str:
    return re.sub(r"\W", "_", label)


# ---- What is in the cluster


def discovered(desk: ClusterDesk) -> dict[str, list[dict[str, Any]]]:
    """Targets by role, each with the labels that Prometheus gives it."""
    services = {each["metadata"]["name"]: each for each in desk.listed("services")}
    return {
        "pod": [found for pod in desk.listed("pods") for found in _ports_of_pod(pod)],
        "endpointslice": [
            found for each in desk.listed("endpointslices") for found in _endpoints(each, services)
        ],
    }


def _ports_of_pod(pod: Object) -> Iterator[dict[str, Any]]:
    labels = {
        "namespace": pod["metadata"]["namespace"],
        "pod_name": pod["metadata"]["name"],
        "pod_phase": pod["status"]["phase"],
        **_labels_of(pod, "pod"),
    }
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", ()):
            name, number = port.get("name", ""), str(port["containerPort"])
            mine = {"pod_container_port_name": name, "pod_container_port_number": number}
            yield _target(labels | mine)


def _endpoints(part: Object, services: Mapping[str, Object]) -> Iterator[dict[str, Any]]:
    service = services[part["metadata"]["labels"]["kubernetes.io/service-name"]]
    labels = {
        "namespace": service["metadata"]["namespace"],
        "service_name": service["metadata"]["name"],
        **_labels_of(service, "service"),
    }
    for port in part["ports"] or ():
        mine = {"endpointslice_port_name": port["name"], "endpointslice_port": str(port["port"])}
        for endpoint in part["endpoints"] or ():
            yield _target(labels | mine | {"pod_name": endpoint["targetRef"]["name"]})


def _labels_of(thing: Object, what: str) -> dict[str, str]:
    labels = thing["metadata"].get("labels", {}).items()
    return {f"{what}_label_{_safe(label)}": value for label, value in labels}


def _target(labels: Mapping[str, str]) -> dict[str, Any]:
    named = {f"{_META}{name}": value for name, value in labels.items()}
    return {"targets": ["replaced"], "labels": named}


# ---- The server


@dataclass(frozen=True, slots=True)
class Prometheus:
    port: int

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._asked("targets", state="active")["activeTargets"]
        return found

    def types(self) -> dict[str, dict[str, str]]:
        """What the targets say of themselves: types by name, by job."""
        found: dict[str, dict[str, str]] = {}
        for each in self._asked("targets/metadata", match_target='{job=~".+"}'):
            found.setdefault(each["target"]["job"], {})[each["metric"]] = each["type"]
        return found

    def series(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each, now."""
        found = self._asked("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def total(self, expression: str) -> float:
        return sum(value for _, value in self.series(expression))

    def _asked(self, what: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urlencode(parameters)}"
        with _open(url, timeout=60) as answer:
            return json.load(answer)["data"]


@contextmanager
def prometheus(desk: ClusterDesk, monitors: Sequence[Object], folder: Path) -> Iterator[Prometheus]:
    """Answers once every target that it found was scraped."""
    for role, targets in discovered(desk).items():
        (folder / f"{role}.json").write_text(json.dumps(targets))
    with _api_server(desk) as api, _serving(scrape_configs(monitors, api), folder) as server:

        def scraped() -> bool:
            health = [each["health"] for each in server.targets()] if _answers(server) else []
            return bool(health) and set(health) == {"up"}

        until(scraped, "Prometheus scrapes all that it finds")
        yield server


@contextmanager
def _api_server(desk: ClusterDesk) -> Iterator[str]:
    """Where it can be asked without credentials."""
    command = [str(desk.cluster.kubectl_program), "proxy", "--port=0"]
    environ = desk.cluster.environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as proxy:
        try:
            assert proxy.stdout is not None
            yield proxy.stdout.readline().split()[-1]  # "Starting to serve on 127.0.0.1:PORT"
        finally:
            proxy.kill()


@contextmanager
def _serving(configs: Sequence[Object], folder: Path) -> Iterator[Prometheus]:
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump({"scrape_configs": list(configs)}))
    command = [
        str(tools.prometheus()), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as server:
        try:
            found = Prometheus(port)
            until(lambda: _answers(found), "Prometheus answers")
            yield found
        finally:
            server.kill()


def _answers(server: Prometheus) -> bool:
    try:
        return bool(server.targets())
    except OSError:
        return False
