"""The chart, rendered by a real helm: its objects, and the questions tests ask of them."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dev_cluster import tools
from dev_cluster.cluster import Cluster

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "stratops"
VALUES = ROOT / "tests" / "charts" / "values"
NAMESPACE = "trading"

Object = Mapping[str, Any]

# In C: the other one takes longer to read what helm printed than helm to print it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# A quarter of helm's work here was to collect garbage; it ends with less than 100 MiB without.
_KEEP_GARBAGE = {"GOGC": "off"}

_PROMETHEUS_KINDS = (
    "monitoring.coreos.com/v1/ServiceMonitor",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
)


class HelmFailed(Exception):
    """What helm said on its way out."""


@dataclass(frozen=True, slots=True)
class Rendering:
    objects: tuple[Object, ...]

    def of_kind(self, *kinds: str) -> tuple[Object, ...]:
        return tuple(each for each in self.objects if each["kind"] in kinds)

    def one(self, kind: str, name: str) -> Object:
        (found,) = (each for each in self.of_kind(kind) if each["metadata"]["name"] == name)
        return found

    def pods(self) -> dict[str, Object]:
        """Labels and spec of every pod that these objects make, hooks included, by their names."""
        return {name: pod for each in self.objects for name, pod in _pods(each)}

    def env(self, pod: str) -> dict[str, str]:
        """Of its one container; what the kubelet fills in is named by its source."""
        (container,) = self.pods()[pod]["spec"]["containers"]
        return {
            each["name"]: each.get("value") or _filled_in(each["valueFrom"])
            for each in container.get("env", [])
        }


def _filled_in(source: Object) -> str:
    if "fieldRef" in source:
        return str(source["fieldRef"]["fieldPath"])
    return f"{source['secretKeyRef']['name']}/{source['secretKeyRef']['key']}"


def _pods(thing: Object) -> Iterator[tuple[str, Object]]:
    if thing["kind"] == "Pod":
        yield thing["metadata"]["name"], thing
    elif "template" in thing.get("spec", {}):
        yield thing["metadata"]["name"], thing["spec"]["template"]


def helm(
    *arguments: str | Path, version: int = 4, environment: Mapping[str, str] | None = None
) -> str:
    """What it prints. Raises HelmFailed."""
    command = [tools.helm(version), *arguments]
    chosen = {**(os.environ if environment is None else environment), **_KEEP_GARBAGE}
    done = subprocess.run(command, env=chosen, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HelmFailed(done.stdout + done.stderr)
    return done.stdout


def rendered(
    values: str = "demo",
    sets: Sequence[str] = (),
    *,
    version: int = 4,
    monitors: bool = True,
    namespace: str = NAMESPACE,
) -> Rendering:
    """By a file of tests/charts/values. Raises HelmFailed."""
    return _rendered(values, tuple(sets), version, monitors, namespace)


@cache
def _rendered(
    values: str, sets: tuple[str, ...], version: int, monitors: bool, namespace: str
) -> Rendering:
    arguments: list[str | Path] = ["template", "desk", CHART, "-n", namespace]
    arguments += ["-f", VALUES / f"{values}.yaml"]
    arguments += [word for each in sets for word in ("--set-json", each)]
    arguments += [word for kind in _PROMETHEUS_KINDS if monitors for word in ("-a", kind)]
    text = helm(*arguments, version=version)
    objects = yaml.load_all(text, _Loader)
    return Rendering(tuple(each for each in objects if each))


def blocks(section: str, namespace: str) -> list[str]:
    """What docs/install.md has a person paste under that heading, for a desk in that namespace."""
    text = (ROOT / "docs" / "install.md").read_text()
    start = text.index(section)
    end = text.find("\n## ", start)
    found = re.findall(r"```\n(.*?)```", text[start : end if end > 0 else None], re.DOTALL)
    return [
        re.sub(r"(-n |stratops-gateway\.)trading\b", rf"\g<1>{namespace}", block) for block in found
    ]


def pasted(cluster: Cluster, script: str, folder: Path) -> str:
    """What a shell says to it that stands in `folder` and knows kubectl and helm."""
    environment = dict(cluster.environment)
    programs = (cluster.kubectl_program.parent, tools.helm().parent)
    environment["PATH"] = ":".join(map(str, (*programs, environment["PATH"])))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
