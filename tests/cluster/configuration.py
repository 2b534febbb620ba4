"""The files that the programs of a cluster read."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.addresses import DNS_SERVICE, NODES, PODS, REGISTRY_PORT, node_address, node_pods

SANDBOX_IMAGE = "flowerbed.test/pause:1"
DNS_IMAGE = "flowerbed.test/coredns:1"

_EVICTION_SIGNALS = ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available")


def write(path: Path, content: object) -> Path:
    """Write a file as JSON, which is YAML too, unless it is text already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def containerd(number: int, plugins: Path, folder: Path, snapshotter: str) -> str:
    """Return containerd's configuration: everything below `folder` or /run, images only from our registry."""
    return f"""\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{SANDBOX_IMAGE}"
# Lowering a score needs CAP_SYS_RESOURCE, which a machine that is a container may lack; runc then dies.
restrict_oom_score_adj = true
disable_apparmor = true
max_concurrent_downloads = 8
stream_server_address = "{node_address(number)}"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
discard_unpacked_layers = true

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"
"""


def registries() -> str:
    """Return where containerd finds all registries, whatever their name: ours, and no other one after it."""
    ours = f"http://{node_address(0)}:{REGISTRY_PORT}"
    return f'server = "{ours}"\n\n[host."{ours}"]\ncapabilities = ["pull", "resolve"]\n'


def network(number: int) -> dict[str, object]:
    """Return the Pod network of one node.

    Each Pod has a cable of its own to the node (``ptp``), so that the node routes all of its traffic, and Services work
    between Pods of one node whatever the kernel thinks of bridges.
    """
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": str(node_pods(number))}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/var/lib/cni/networks",
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(certificates: Path, name: str, cgroup: str) -> dict[str, object]:
    """Return a kubelet's configuration: quick where that shows nothing but less waiting, patient with full disks.

    The back-off of crashing containers and of image pulls stays Kubernetes' own: what is measured here shall hold
    elsewhere.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificates / f"{name}.crt"),
        "tlsPrivateKeyFile": str(certificates / f"{name}.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "clusterDNS": [str(DNS_SERVICE)],
        "clusterDomain": "cluster.local",
        "resolvConf": "/dev/null",
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 10,
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "podPidsLimit": -1,
        # A developer's disk may be nearly full; a test shall not fail for that.
        "evictionHard": dict.fromkeys(_EVICTION_SIGNALS, "0%"),
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def proxy(kubeconfig: Path, node: str) -> dict[str, object]:
    """Return kube-proxy's configuration. The limits of connection tracking belong to the whole machine: hands off."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": str(PODS),
        "hostnameOverride": node,
        "mode": "nftables",
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
        "nodePortAddresses": [str(NODES)],
    }


def scheduler(kubeconfig: Path) -> dict[str, object]:
    """Return the scheduler's configuration."""
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 200, "burst": 400},
        "leaderElection": {"leaderElect": False},
        "podMaxBackoffSeconds": 2,
    }


def registry(storage: Path, address: str) -> dict[str, object]:
    """Return the configuration of a registry that keeps its images in a folder."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }
