"""What runs on the node: the commands that prepare it and the daemons, all as plain values."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dev_cluster import configs
from dev_cluster.addresses import Addresses
from dev_cluster.layout import Layout
from dev_cluster.pki import NODE

LINK = "eth0"  # the node's end


class Component(StrEnum):
    ETCD = "etcd"
    CONTAINERD = "containerd"
    API_SERVER = "apiserver"
    CONTROLLERS = "controllers"
    SCHEDULER = "scheduler"
    KUBELET = "kubelet"
    PROXY = "proxy"
    DNS = "dns"
    VOLUMES = "volumes"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the built ones are."""

    folder: Path

    def __call__(self, name: str) -> str:
        return str(self.folder / name)


def network_setup(addresses: Addresses) -> list[list[str]]:
    """In the node's network namespace, when its end of the link is there."""
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{addresses.node}/{addresses.link.prefixlen}", "dev", LINK],
        ["ip", "link", "set", LINK, "up"],
        ["ip", "route", "add", "default", "via", str(addresses.host)],
    ]


def daemons(layout: Layout, addresses: Addresses) -> dict[Component, list[str]]:
    """In the order they start; each waits for what it needs by itself."""
    program = Programs(layout.programs)
    return {
        Component.ETCD: _etcd(program, layout),
        Component.CONTAINERD: [
            program("containerd"),
            f"--config={layout.configs / configs.CONTAINERD}",
        ],
        Component.API_SERVER: _api_server(program, layout, addresses),
        Component.CONTROLLERS: _controllers(program, layout),
        Component.SCHEDULER: [
            program("kube-scheduler"),
            f"--kubeconfig={layout.user('scheduler')}",
            "--leader-elect=false",
        ],
        Component.KUBELET: _kubelet(program, layout, addresses),
        Component.PROXY: [program("kube-proxy"), f"--config={layout.configs / configs.PROXY}"],
        Component.DNS: [program("coredns"), "-conf", str(layout.configs / configs.DNS)],
        Component.VOLUMES: [sys.executable, "-P", "-m", "dev_cluster.volumes", str(layout.folder)],
    }


def _etcd(program: Programs, layout: Layout) -> list[str]:
    return [
        program("etcd"),
        f"--data-dir={layout.data / 'etcd'}",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",  # a test cluster survives kills, not power cuts
    ]


def _api_server(program: Programs, layout: Layout, addresses: Addresses) -> list[str]:
    return [
        program("kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--advertise-address={addresses.node}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={addresses.services}",
        f"--tls-cert-file={layout.certificate('apiserver')}",
        f"--tls-private-key-file={layout.key('apiserver')}",
        f"--client-ca-file={layout.certificate('ca')}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={layout.pki / 'sa.pub'}",
        f"--service-account-signing-key-file={layout.key('sa')}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--kubelet-client-certificate={layout.certificate('apiserver-kubelet')}",
        f"--kubelet-client-key={layout.key('apiserver-kubelet')}",
        f"--kubelet-certificate-authority={layout.certificate('ca')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={layout.configs / configs.AUDIT}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=1000",
    ]


def _controllers(program: Programs, layout: Layout) -> list[str]:
    return [
        program("kube-controller-manager"),
        f"--kubeconfig={layout.user('controllers')}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.key('sa')}",
        f"--root-ca-file={layout.certificate('ca')}",
        f"--flex-volume-plugin-dir={layout.data / 'volume-plugins'}",
        "--leader-elect=false",
    ]


def _kubelet(program: Programs, layout: Layout, addresses: Addresses) -> list[str]:
    return [
        program("kubelet"),
        f"--config={layout.configs / configs.KUBELET}",
        f"--kubeconfig={layout.user('kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={addresses.node}",
        f"--root-dir={layout.data / 'kubelet'}",
        f"--cert-dir={layout.data / 'kubelet-pki'}",
    ]
