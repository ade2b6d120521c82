"""An operator as a process of its own, outside of the cluster, and what it is asked over HTTP."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from cluster_driver import wait_for
from dev_cluster.cluster import Cluster
from own_time import seconds_to_end

ROOT = Path(__file__).parents[2]
START_S = 120.0  # imports alone take long where many start at once


class OperatorProcess:
    def __init__(
        self,
        kubeconfig: Path,
        environment: Mapping[str, str],
        folder: Path,
        port: int,
        identity: str = "one",
        **settings: str,
    ) -> None:
        self.identity = identity
        self.port = port
        self.log = folder / f"{identity}.log"
        token = folder / "gateway-token"
        token.write_text("nobody asks for it")
        self._environment = {
            **environment,
            "KUBECONFIG": str(kubeconfig),
            "STRATOPS_IDENTITY": identity,
            "STRATOPS_RUNNER_IMAGE": "localhost/pause:1",
            "STRATOPS_IMAGE_PULL_POLICY": "Never",
            "STRATOPS_GATEWAY_TOKEN_FILE": str(token),
            "STRATOPS_METRICS_PORT": str(port),
            **{f"STRATOPS_{name}": value for name, value in settings.items()},
        }
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "strategy_operator"],
                env=self._environment,
                stderr=log,
            )

    def page(self, path: str) -> tuple[int, str]:
        """Status 0: nobody listens."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[str, float]:
        """Samples by name and labels, as they are written."""
        found = {}
        for family in text_string_to_metric_families(self.page("/metrics")[1]):
            for sample in family.samples:
                labels = ",".join(
                    f"{name}={value}" for name, value in sorted(sample.labels.items())
                )
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def writes(self) -> float:
        return sum(
            value for name, value in self.metrics().items() if "operator_writes_total" in name
        )

    @property
    def leads(self) -> bool:
        return self.metrics().get("stratops_operator_leader") == 1

    def until_ready(self) -> None:
        wait_for(lambda: self.page("/ready")[0] == 200, START_S)

    def until_leading(self, within_s: float = START_S) -> None:
        wait_for(lambda: self.leads, within_s)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Seconds of its own that it took."""
        return seconds_to_end(self.process, number)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)


def uninstall(kubeconfig: Path, environment: Mapping[str, str], namespace: str) -> str:
    """What it said."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "strategy_operator.uninstall"],
        env={
            **environment,
            "KUBECONFIG": str(kubeconfig),
            "STRATOPS_NAMESPACE": namespace,
            "STRATOPS_IDENTITY": "uninstaller",
            "STRATOPS_RUNNER_IMAGE": "none",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stderr


def account(
    cluster: Cluster, namespace: str, folder: Path, rules: Sequence[Mapping[str, Any]]
) -> Path:
    """A kubeconfig of a ServiceAccount of that namespace with exactly these rights there."""
    metadata = {"name": "operator", "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", **metadata}
    reference = {"apiGroup": group, "kind": "Role", "name": "operator"}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]
    documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("apply", "-f", "-", stdin=documents)
    token = cluster.kubectl("create", "token", "operator", "-n", namespace, "--duration=2h")
    admin = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    path = folder / f"{namespace}.kubeconfig"
    config = {
        **admin,
        "users": [{"name": user["name"], "user": {"token": token}} for user in admin["users"]],
    }
    path.write_text(json.dumps(config))
    return path


def environment_of(cluster: Cluster) -> Mapping[str, str]:
    return {**os.environ, **cluster.environment}


def until(fact: Callable[[], object], within_s: float = 120.0) -> None:
    wait_for(lambda: bool(fact()), within_s)
