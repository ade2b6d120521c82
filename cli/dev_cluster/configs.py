"""The configuration files of a cluster's daemons, as text by name. JSON is YAML."""

import json
from typing import Any

from dev_cluster.addresses import Addresses
from dev_cluster.layout import CONTAINERD_SOCKET, Layout
from dev_cluster.pki import NODE

DOMAIN = "cluster.local"
PAUSE = "localhost/stratops-pause:1"
CONTAINERD, KUBELET, PROXY, DNS, AUDIT = (
    "containerd.toml",
    "kubelet.yaml",
    "proxy.yaml",
    "Corefile",
    "audit.yaml",
)
NETWORK = "cni/10-pods.conflist"


def files(layout: Layout, addresses: Addresses) -> dict[str, str]:
    return {
        CONTAINERD: _containerd(layout),
        KUBELET: json.dumps(_kubelet(layout, addresses), indent=2),
        PROXY: json.dumps(_proxy(layout, addresses), indent=2),
        DNS: _dns(layout, addresses),
        AUDIT: json.dumps(_audit(), indent=2),
        NETWORK: json.dumps(_network(layout, addresses), indent=2),
    }


def _containerd(layout: Layout) -> str:
    # Without CAP_SYS_RESOURCE nobody may lower the OOM score: every pod would fail.
    return f"""\
version = 3
root = "{layout.data}/containerd"
state = "/run/containerd/state"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{layout.programs}"]
    conf_dir = "{layout.network}"
    use_internal_loopback = true
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{PAUSE}"
"""


def _kubelet(layout: Layout, addresses: Addresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{addresses.cgroup}",
        "failCgroupV1": False,  # from 1.35 on it refuses cgroup v1 otherwise
        "failSwapOn": False,
        "resolvConf": "",  # pods know the cluster's names only
        "clusterDomain": DOMAIN,
        "clusterDNS": [str(addresses.node)],
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "maxPods": 250,
        "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},  # tests do not wait minutes
        # A developer's disk is often nearly full, which is none of the cluster's business.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "imagefs.available": "0%",
            "nodefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,  # there is no registry to pull from again
        "imageGCLowThresholdPercent": 99,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.certificate("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.certificate("kubelet-serving")),
        "tlsPrivateKeyFile": str(layout.key("kubelet-serving")),
        "volumePluginDir": str(layout.data / "volume-plugins"),
        "podLogsDir": str(layout.logs / "pods"),
    }


def _proxy(layout: Layout, addresses: Addresses) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(layout.user("proxy"))},
        "clusterCIDR": str(addresses.pods),
        "hostnameOverride": NODE,
        # These are the machine's: zero leaves them alone.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _dns(layout: Layout, addresses: Addresses) -> str:
    return f"""\
.:53 {{
  bind {addresses.node}
  errors
  cache 5
  kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
    kubeconfig {layout.user("dns")}
  }}
}}
"""


def _audit() -> dict[str, Any]:
    """Who did what, once per request; without what the cluster's own programs do all the time."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "users": ["local-volumes", "cluster-dns"]},
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version"]},
            {"level": "Metadata"},
        ],
    }


def _network(layout: Layout, addresses: Addresses) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(layout.data / "cni"),
            "ranges": [[{"subnet": str(addresses.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}
