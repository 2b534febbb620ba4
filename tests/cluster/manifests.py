"""What the harness itself puts into a cluster: nodes, DNS, and a storage class."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.addresses import DNS_SERVICE, node_pods
from cluster.configuration import DNS_IMAGE

Manifest = dict[str, object]

PROVISIONER = "flowerbed.dev/folder"
"""Who makes the volumes of the default storage class: `cluster.storage`."""

_DNS = {"k8s-app": "kube-dns"}
_COREFILE = """\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
}
.:53 {
    errors
    template ANY ANY . {
        rcode NXDOMAIN
    }
}
"""


@dataclass(frozen=True)
class NodeSpec:
    """What is special about a node.

    Parameters
    ----------
    labels : dict of str
        Its labels, such as ``{"pool": "gpu"}``.
    taints : tuple of dict
        Its taints, as in a Node's ``spec.taints``.
    """

    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[dict[str, str], ...] = ()


def node(name: str, number: int, spec: NodeSpec) -> Manifest:
    """Return a node as it is before its kubelet comes: with labels and taints that a kubelet may not give itself."""
    pods = str(node_pods(number))
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": spec.labels},
        "spec": {"podCIDR": pods, "podCIDRs": [pods], "taints": list(spec.taints)},
    }


def storage_class() -> Manifest:
    """Return the default storage class; `cluster.storage` makes its volumes."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def dns() -> list[tuple[str, Manifest]]:
    """Return CoreDNS, each object with its path, named and labelled as everywhere, so that network policies find it."""
    name = {"name": "coredns", "namespace": "kube-system"}
    reads = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    probe = {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1}
    container = {
        "name": "coredns",
        "image": DNS_IMAGE,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "10m", "memory": "30Mi"}},
        "readinessProbe": probe,
        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/coredns"}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}],  # its own node may be tainted for a pool
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "configuration", "configMap": {"name": "coredns"}}],
    }
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    account: Manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name}
    role: Manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": reads,
    }
    binding: Manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", **name}],
    }
    files: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {"Corefile": _COREFILE}}
    deployment: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**name, "labels": _DNS},
        "spec": {"selector": {"matchLabels": _DNS}, "template": {"metadata": {"labels": _DNS}, "spec": pod}},
    }
    service: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": _DNS},
        "spec": {"clusterIP": str(DNS_SERVICE), "selector": _DNS, "ports": ports},
    }
    return [
        ("/api/v1/namespaces/kube-system/serviceaccounts", account),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", role),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
        ("/api/v1/namespaces/kube-system/configmaps", files),
        ("/apis/apps/v1/namespaces/kube-system/deployments", deployment),
        ("/api/v1/namespaces/kube-system/services", service),
    ]
