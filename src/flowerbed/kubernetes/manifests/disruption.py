"""PodDisruptionBudgets: what a node drain, and whoever else asks before evicting, may do to a federation's Pods.

The SuperLink and the ServerApp's SuperExec are one Pod each, and Flower never resumes a ServerApp: an eviction would
end a run that nobody asked to end. Nothing in the cluster knows whether there is one, so by default a drain waits until
somebody who does moves them; deleting a Pod asks no budget. A pool loses one SuperNode at a time.
"""

from __future__ import annotations

from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.spec.model import FederationSpec, NodeDrain
from flowerbed.topology.model import Role


def budgets(spec: FederationSpec, identity: Identity) -> list[Object]:
    """Return the budgets, each named after the workload that it is for."""
    federation = identity.federation
    made = []
    if spec.node_drain is not NodeDrain.PROCEED:
        made += [
            _budget(identity, names.superlink(federation), Role.SUPERLINK, unavailable=0),
            _budget(identity, names.serverapp(federation), Role.SERVERAPP_SUPEREXEC, unavailable=0),
        ]
    return made + [
        _budget(identity, names.pool(federation, pool.name), Role.SUPERNODE, pool.name, unavailable=1)
        for pool in spec.own_pools
    ]


def _budget(identity: Identity, name: str, role: Role, pool: str | None = None, *, unavailable: int) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": identity.metadata(name, role, pool),
        "spec": {
            "maxUnavailable": unavailable,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",  # a Pod that is not ready has nothing to lose
            "selector": {"matchLabels": identity.selector(role, pool)},
        },
    }
