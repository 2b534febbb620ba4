"""The arguments of the control plane's programs."""

from __future__ import annotations

from pathlib import Path

from cluster.addresses import API_PORT, API_SERVICE, PODS, SERVICES, node_address

ETCD = "http://127.0.0.1:2379"


def etcd(data: Path) -> list[str]:
    """Return etcd's command."""
    peers = "http://127.0.0.1:2380"
    return [
        *("etcd", "--data-dir", str(data), "--logger=zap", "--log-level=warn"),
        *("--listen-client-urls", ETCD, "--advertise-client-urls", ETCD),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"),
    ]


def api_server(programs: Path, keys: Path) -> list[str]:
    """Return the API server's command. Admission is Kubernetes' default, with quotas, limits and Pod Security."""
    return [
        str(programs / "kube-apiserver"),
        f"--etcd-servers={ETCD}",
        f"--advertise-address={node_address(0)}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={keys}/ca.crt",
        f"--tls-cert-file={keys}/api.crt",
        f"--tls-private-key-file={keys}/api.key",
        f"--kubelet-certificate-authority={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/admin.crt",
        f"--kubelet-client-key={keys}/admin.key",
        # Else exec and logs look the node's name up in a DNS that does not exist.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}/service-accounts.pub",
        f"--service-account-signing-key-file={keys}/service-accounts.key",
        "--profiling=false",
    ]


def controller_manager(programs: Path, keys: Path, kubeconfig: Path) -> list[str]:
    """Return the controller manager's command. The Pods' subnets are given to the nodes by the harness."""
    return [
        str(programs / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={keys}/ca.crt",
        f"--service-account-private-key-file={keys}/service-accounts.key",
        f"--cluster-signing-cert-file={keys}/ca.crt",
        f"--cluster-signing-key-file={keys}/ca.key",
        f"--cluster-cidr={PODS}",
        "--allocate-node-cidrs=false",
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=20s",
        "--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",  # else it makes one in /usr/libexec
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]


def scheduler(programs: Path, configuration: Path) -> list[str]:
    """Return the scheduler's command."""
    return [str(programs / "kube-scheduler"), f"--config={configuration}", "--secure-port=10259"]


def server_names(cable: str) -> list[str]:
    """Return all names by which the API server is called."""
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    addresses = [cable, str(API_SERVICE), str(node_address(0)), "127.0.0.1"]
    return [*(f"DNS:{name}" for name in [*service, "localhost"]), *(f"IP:{address}" for address in addresses)]
