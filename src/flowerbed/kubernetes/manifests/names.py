"""How objects are called: everything starts with the federation's name."""

from __future__ import annotations

SUPERLINK = "superlink"
SUPEREXEC_SERVERAPP = "superexec-serverapp"


def superlink(federation: str) -> str:
    """Return the name of the SuperLink's workload and Service."""
    return f"{federation}-{SUPERLINK}"


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


def programs(federation: str) -> str:
    """Return the name of the ConfigMap with the programs of ours that run in the Pods."""
    return f"{federation}-programs"


def results(federation: str) -> str:
    """Return the name of the claim for results."""
    return f"{federation}-results"


def runs(federation: str) -> str:
    """Return the name of the NetworkPolicy of the Jobs of runs; with a dot, as no pool's is."""
    return f"{federation}.runs"


def others(federation: str) -> str:
    """Return the name of the NetworkPolicy of what has none of its own."""
    return f"{federation}.default-deny"
