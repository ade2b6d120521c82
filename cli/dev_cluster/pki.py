"""Every certificate and kubeconfig of a cluster, as files by name."""

from datetime import datetime

from dev_cluster import certificates
from dev_cluster.addresses import Addresses
from dev_cluster.certificates import Host, Pair

NODE = "node1"
_MASTERS = "system:masters"

# File name: user and group.
_CLIENTS = {
    "admin": ("admin", _MASTERS),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "volumes": ("local-volumes", _MASTERS),
    "dns": ("cluster-dns", _MASTERS),
    "apiserver-kubelet": ("apiserver-kubelet", _MASTERS),
}


def files(addresses: Addresses, now: datetime) -> dict[str, bytes]:
    ca = certificates.authority("stratops-test-cluster", now)
    token = certificates.token_key()
    made = {
        "ca.crt": ca.certificate_pem,
        "sa.key": certificates.private_pem(token),
        "sa.pub": certificates.public_pem(token),
    }
    for name, hosts in _servers(addresses).items():
        made |= _pair(name, certificates.server(ca, name, hosts, now))
    for name, (user, group) in _CLIENTS.items():
        pair = certificates.client(ca, user, group, now)
        made |= _pair(name, pair)
        config = certificates.kubeconfig(addresses.api, ca, user, pair)
        made[f"{name}.kubeconfig"] = config.encode()
    return made


def _servers(addresses: Addresses) -> dict[str, list[Host]]:
    api: list[Host] = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        addresses.kubernetes_service,
        addresses.node,
    ]
    return {"apiserver": api, "kubelet-serving": [NODE, addresses.node]}


def _pair(name: str, pair: Pair) -> dict[str, bytes]:
    return {f"{name}.crt": pair.certificate_pem, f"{name}.key": pair.key_pem}
