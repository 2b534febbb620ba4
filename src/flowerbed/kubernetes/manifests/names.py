"""How objects are called: everything starts with the federation's name."""

from __future__ import annotations

SUPERLINK = "superlink"
SUPEREXEC_SERVERAPP = "superexec-serverapp"


def superlink(federation: str) -> str:
    """Return the name of the SuperLink's workload and Service."""
    return f"{federation}-{SUPERLINK}"


def fleet(federation: str) -> str:
    """Return the name of the Service, and of what leads there, for SuperNodes outside."""
    return f"{federation}-{SUPERLINK}-fleet"


def serverapp(federation: str) -> str:
    """Return the name of the workload of the ServerApp's SuperExec."""
    return f"{federation}-{SUPEREXEC_SERVERAPP}"


def pool(federation: str, name: str) -> str:
    """Return the name of a pool's workload; its Pods are called so, with their ordinal."""
    return f"{federation}-{name}"


def supernode(federation: str, pool_name: str, ordinal: int) -> str:
    """Return the name of one SuperNode's workload and Service, where each has its own."""
    return f"{federation}-{pool_name}-{ordinal}"


def clientapp(federation: str, partition: int) -> str:
    """Return the name of the workload of one ClientApp's SuperExec, where each has its own."""
    return f"{federation}-superexec-clientapp-{partition}"


def programs(federation: str, room: str) -> str:
    """Return the name of the ConfigMap with a room of our programs that run in the Pods."""
    return f"{federation}-programs-{room}"


def results(federation: str) -> str:
    """Return the name of the claim for results."""
    return f"{federation}-results"


def runs(federation: str) -> str:
    """Return the name of the NetworkPolicy of the Jobs of runs; with a dot, as no pool's is."""
    return f"{federation}.runs"


def others(federation: str) -> str:
    """Return the name of the NetworkPolicy of what has none of its own."""
    return f"{federation}.default-deny"


def superlink_tls(federation: str) -> str:
    """Return the name of the Secret with the SuperLink's certificate."""
    return f"{federation}-superlink-tls"


def authority(federation: str) -> str:
    """Return the name of the Secret with the federation's authority, and of the ConfigMap with what is trusted."""
    return f"{federation}-authority"


def proxy(federation: str) -> str:
    """Return the name of the ConfigMap with the configuration of the proxy before the SuperLink."""
    return f"{federation}-proxy"


def control_client(federation: str) -> str:
    """Return the name of the Secret with the certificate that the Jobs of runs show for Control."""
    return f"{federation}-control-client"


def superexec(federation: str) -> str:
    """Return the name of the Secret with which the ServerApp's SuperExec signs."""
    return f"{federation}-superexec"


def supernode_secret(federation: str) -> str:
    """Return the name of the Secret that is the same for all SuperNodes."""
    return f"{federation}-supernode"


def pool_keys(federation: str, pool_name: str) -> str:
    """Return the name of the Secret with the keys of a pool's SuperNodes."""
    return f"{federation}-{pool_name}-keys"


def nodes(federation: str) -> str:
    """Return the name of the ConfigMap with the public keys of the SuperNodes that may join."""
    return f"{federation}-nodes"
