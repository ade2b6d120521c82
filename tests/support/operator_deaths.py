"""Deaths of an operator on the test cluster: `mortal_operator` in its pod, and orders to it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from cluster_desk import ClusterDesk, until

_PROGRAM = Path(__file__).with_name("mortal_operator.py")
_DEPLOYMENT = "deployment/stratops-operator"
_DEATH = "SIGKILL "


class MortalOperator:
    """Of a desk; dies as it is told, and lives again at once."""

    def __init__(self, desk: ClusterDesk) -> None:
        self.desk = desk
        self._pod = ""

    def install(self) -> None:
        self.desk.kubectl("create", "configmap", "mortal", f"--from-file={_PROGRAM}")
        container = {
            "name": "operator",
            "command": ["python", "-P", f"/mortal/{_PROGRAM.name}"],
            "volumeMounts": [{"name": "mortal", "mountPath": "/mortal"}],
        }
        volume = {"name": "mortal", "configMap": {"name": "mortal"}}
        spec = {"template": {"spec": {"containers": [container], "volumes": [volume]}}}
        self.desk.kubectl("patch", _DEPLOYMENT, "-p", json.dumps({"spec": spec}))
        self.desk.kubectl("rollout", "status", _DEPLOYMENT, "--timeout=100s")
        (pod,) = until(self._only_pod, "the one before is gone")
        self._pod = pod["metadata"]["name"]

    def _only_pod(self) -> list[dict[str, Any]] | None:
        pods = self.desk.listed("pods", "app.kubernetes.io/name=stratops-operator")
        return pods if len(pods) == 1 else None

    def order(self, strategy: str, *deaths: str) -> None:
        """One after the other; what was done before is forgotten."""
        orders = "".join(f"{strategy} {death}\n" for death in deaths)
        self._sh('rm -f /tmp/effects; printf %s "$1" > /tmp/orders', orders)

    def until_dead(self, *deaths: str) -> None:
        """Until it died just so."""
        expected = [_DEATH + _without_number(death) for death in deaths]
        until(
            lambda: [line for line in self._log() if line.startswith(_DEATH)] == expected,
            f"it died {', '.join(deaths)}",
        )

    def done(self) -> Counter[str]:
        """What it did since the last order, and how often: what it died before is not done."""
        log = Counter(self._log())
        effects = [line for line in log if not line.startswith(_DEATH)]
        return Counter({each: log[each] - log[f"{_DEATH}before {each}"] for each in effects})

    def _log(self) -> list[str]:
        return self._sh("cat /tmp/effects || true").splitlines()

    def _sh(self, script: str, *arguments: str) -> str:
        """Without its standard input: of one that ends at once a container may never hear."""
        command = ("sh", "-c", script, "sh", *arguments)
        return self.desk.kubectl("exec", self._pod, "--", *command)


def _without_number(death: str) -> str:
    moment, _, effect = death.split(maxsplit=2)
    return f"{moment} {effect}"


def around(effect: str) -> tuple[str, str]:
    """Dead before it; what is then still to be done is the next life's first of its kind."""
    return f"before {effect}", f"after 1 {effect.split(maxsplit=1)[1]}"
