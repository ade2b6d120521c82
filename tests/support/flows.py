"""The network policies, judged as Kubernetes defines them: who may open which port of whom.

The test cluster's network enforces none, so their meaning is computed here from the objects, and
held against the connections that there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chart_driver import NAMESPACE, Object, Rendering
from cluster_desk import ClusterDesk
from strategy_operator import names

RUNNER = names.labels("probe", "0123456789")
PORTS = (53, 443, 4222, 6379, 6380, 6432, 6443, 7001, 8222, 9090, 9091, 9092, 9094)
OUTSIDE = "outside"  # an address that is no pod's
STRANGER = "stranger"  # a pod of another namespace


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a connection."""

    name: str
    labels: Mapping[str, str]
    namespace: str  # empty: no pod


def places(rendering: Rendering) -> list[Place]:
    ours = [
        Place(name.removeprefix("stratops-"), pod["metadata"]["labels"], NAMESPACE)
        for name, pod in rendering.pods().items()
    ]
    others = [Place(STRANGER, {}, "elsewhere"), Place(OUTSIDE, {}, "")]
    return [*ours, Place("runner", RUNNER, NAMESPACE), *others]


def flows(rendering: Rendering) -> set[tuple[str, str, int]]:
    policies = rendering.of_kind("NetworkPolicy")
    return {
        (source.name, target.name, port)
        for source in places(rendering)
        for target in places(rendering)
        for port in PORTS
        if NAMESPACE in (source.namespace, target.namespace) and source != target
        if lets(policies, source, target, port, "egress")
        and lets(policies, target, source, port, "ingress")
    }


def lets(policies: tuple[Object, ...], pod: Place, peer: Place, port: int, way: str) -> bool:
    """A pod that no policy selects for this way may do everything."""
    selecting = [
        each["spec"]
        for each in policies
        if pod.namespace == NAMESPACE
        and _matches(each["spec"]["podSelector"], pod.labels)
        and way.capitalize() in each["spec"]["policyTypes"]
    ]
    side = "to" if way == "egress" else "from"
    return not selecting or any(
        _port(rule, port) and _peer(rule.get(side), peer)
        for spec in selecting
        for rule in spec.get(way) or ()
    )


def _port(rule: Mapping[str, Any], port: int) -> bool:
    return "ports" not in rule or port in [each["port"] for each in rule["ports"]]


def _peer(peers: list[dict[str, Any]] | None, other: Place) -> bool:
    return peers is None or any(_is(each, other) for each in peers)


def _is(peer: Mapping[str, Any], other: Place) -> bool:
    if "ipBlock" in peer:
        return not other.namespace
    namespaces = peer.get("namespaceSelector")
    if namespaces is None:
        in_namespace = other.namespace == NAMESPACE
    else:
        labels = {"kubernetes.io/metadata.name": other.namespace}
        in_namespace = bool(other.namespace) and _matches(namespaces, labels)
    return in_namespace and _matches(peer.get("podSelector", {}), other.labels)


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def between(found: set[tuple[str, str, int]]) -> set[tuple[str, str, int]]:
    """Of the desk's own parts, without the pages that everybody in the cluster may read."""
    return {
        (source, target, port)
        for source, target, port in found
        if not {OUTSIDE, STRANGER} & {source, target} and port not in (53, 443, 6443)
    }


# Of a pod, from within: the far ends of its connections over IPv4 and of such within IPv6.
_FAR_ENDS = """
import socket, struct
for name in ("tcp", "tcp6"):
    for line in open(f"/proc/net/{name}").readlines()[1:]:
        far, state = line.split()[2:4]
        if state == "01":  # established
            address, _, port = far.partition(":")
            four = struct.pack("<I", int(address[-8:], 16))
            print(socket.inet_ntoa(four), int(port, 16))
"""


def connections(desk: ClusterDesk) -> set[tuple[str, str, int]]:
    """Those that are open now, by who opened them; of the pods that have a Python to tell."""
    pods = [each for each in desk.listed("pods") if _name(each) not in ("redis", "nats")]
    services = [each for each in desk.listed("services") if each["spec"]["clusterIP"] != "None"]
    known = {each["status"]["podIP"]: _name(each) for each in desk.listed("pods")}
    known |= {each["spec"]["clusterIP"]: _name(each) for each in services}
    return {
        (_name(pod), known.get(address, OUTSIDE), int(port))
        for pod in pods
        for address, port in _far_ends(desk, pod["metadata"]["name"])
        if int(port) in PORTS
    }


def _far_ends(desk: ClusterDesk, pod: str) -> list[list[str]]:
    said = desk.kubectl("exec", pod, "--", "python", "-c", _FAR_ENDS)
    return [line.split() for line in said.splitlines()]


def _name(thing: Object) -> str:
    return str(thing["metadata"]["labels"]["app.kubernetes.io/name"]).removeprefix("stratops-")
