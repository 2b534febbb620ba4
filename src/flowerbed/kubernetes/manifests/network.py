"""NetworkPolicies: nobody reaches a federation's Pods, nor they anybody, but for its edges and what the file names.

Each kind of Pod has a policy that is whole in itself, so that no moment between two applies leaves it half open or half
closed; one more denies everything to what has the federation's labels and no policy of its own.
"""

from __future__ import annotations

from flowerbed.flower import apis
from flowerbed.flower.releases import Row
from flowerbed.kubernetes import labels
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.edges import Edge, dialled, door, edges
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.said import said
from flowerbed.spec.model import Federation
from flowerbed.spec.network import Access, AccessPreset, Api, Egress, Peer, PortRange, Switch
from flowerbed.spec.selectors import LabelSelector
from flowerbed.topology.model import Role

NAMESPACE = "kubernetes.io/metadata.name"
"""The label with its name that every namespace has (kubernetes.io, "Well-Known Labels, Annotations and Taints")."""

DNS = Egress(
    namespace_selector=LabelSelector(match_labels={NAMESPACE: "kube-system"}),
    pod_selector=LabelSelector(match_labels={"k8s-app": "kube-dns"}),
    ports=(PortRange.model_validate({"port": 53, "protocol": "UDP"}), PortRange(port=53)),
)
"""Where the cluster's names are resolved, with most distributions."""

PRESETS: dict[AccessPreset, tuple[Object, Object]] = {
    AccessPreset.THUNDERLINE: (
        {
            "matchExpressions": [
                {"key": NAMESPACE, "operator": "In", "values": ["thunder", "thunderline", "flower-system"]}
            ]
        },
        {
            "matchLabels": {labels.NAME: "thunderhelm"},
            "matchExpressions": [{"key": labels.COMPONENT, "operator": "In", "values": ["web", "worker"]}],
        },
    ),
}
"""For each preset, its namespaces, where the file selects no others, and its Pods, to which the file can add."""


_API = {Api.CONTROL: apis.Api.CONTROL, Api.FLEET: apis.Api.FLEET}


def policies(federation: Federation, row: Row, identity: Identity) -> list[Object]:
    """Return the policies; none where the file disables them."""
    if federation.spec.security.network_policies is Switch.DISABLED:
        return []
    return _Network(federation, row, identity).policies()


class _Network:
    def __init__(self, federation: Federation, row: Row, identity: Identity) -> None:
        self._spec = federation.spec
        self._row = row
        self._identity = identity
        self._edges = edges(federation, row)
        self._ports = dialled(federation, row)

    def policies(self) -> list[Object]:
        federation, spec = self._identity.federation, self._spec
        superlink, serverapp = Role.SUPERLINK, Role.SERVERAPP_SUPEREXEC
        return [
            self._policy(names.superlink(federation), self._of(superlink), superlink, ingress=self._to_superlink()),
            self._policy(names.serverapp(federation), self._of(serverapp), serverapp, egress=self._from(serverapp)),
            *(
                self._policy(
                    names.pool(federation, pool.name),
                    self._of(Role.SUPERNODE, pool.name),
                    Role.SUPERNODE,
                    pool.name,
                    egress=self._from(Role.SUPERNODE, pool.name),
                )
                for pool in spec.own_pools
            ),
            self._policy(names.runs(federation), self._of(None), egress=self._from(None)),
            self._policy(names.others(federation), self._everything()),
        ]

    def _policy(
        self,
        name: str,
        selector: Object,
        role: Role | None = None,
        pool: str | None = None,
        *,
        ingress: list[Object] | None = None,
        egress: list[Object] | None = None,
    ) -> Object:
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self._identity.metadata(name, role, pool),
            "spec": {
                "podSelector": selector,
                "policyTypes": ["Ingress", "Egress"],
                **({"ingress": ingress} if ingress else {}),
                **({"egress": egress} if egress else {}),
            },
        }

    # Whom a selector selects.

    def _everything(self) -> Object:
        return {"matchLabels": {labels.NAME: "flower", labels.INSTANCE: self._identity.federation}}

    def _of(self, role: Role | None, pool: str | None = None) -> Object:
        """Return the selector of one kind of Pod; without a role, of the Jobs of runs."""
        if role is not None:
            return {"matchLabels": self._identity.selector(role, pool)}
        return {**self._everything(), "matchExpressions": [{"key": labels.RUN, "operator": "Exists"}]}

    # What may come in, and go out.

    def _to_superlink(self) -> list[Object]:
        dialling = {
            port: [edge for edge in self._edges if edge.port == port and not edge.outside] for port in self._ports
        }
        own = [
            {
                "from": [{"podSelector": self._of(edge.role, edge.pool)} for edge in dialling[port]],
                "ports": [_port(number)],
            }
            for port, number in self._ports.items()
            if dialling[port]  # a rule without anybody in it would be for everybody
        ]
        outside = [self._from_outside(edge) for edge in self._edges if edge.outside]
        return own + outside + [self._access(access) for access in self._spec.access]

    def _from_outside(self, edge: Edge) -> Object:
        """Return the rule for SuperNodes outside: from everywhere, or from where the file says."""
        expose = self._spec.superlink.expose
        sources = (expose.sources if expose is not None else None) or ()
        peers = {"from": [_other(peer) for peer in sources]} if sources else {}
        return {**peers, "ports": [{"protocol": "TCP", "port": edge.port}]}  # by name, as the Service has it

    def _access(self, access: Access) -> Object:
        found = dict.fromkeys(self._number(_API[api]) for api in access.apis)
        return {"from": [_peer(access)], "ports": [_port(number) for number in found]}

    def _number(self, api: apis.Api) -> int:
        _, number = door(self._spec, self._row, api)
        return number

    def _from(self, role: Role | None, pool: str | None = None) -> list[Object]:
        """Return what one kind of Pod may reach: the SuperLink, names, and what the file has for it."""
        mine = [edge for edge in self._edges if (edge.role, edge.pool, edge.outside) == (role, pool, False)]
        to_superlink = {
            "to": [{"podSelector": self._of(Role.SUPERLINK)}],
            "ports": [_port(edge.number) for edge in mine],
        }
        dns = (DNS,) if self._spec.security.dns is None else self._spec.security.dns
        return [to_superlink, *map(_egress, (*dns, *self._asked(role, pool)))]

    def _asked(self, role: Role | None, pool: str | None) -> tuple[Egress, ...]:
        if role is Role.SERVERAPP_SUPEREXEC:
            return self._spec.serverapp.egress
        return next((one.egress for one in self._spec.supernodes if one.name == pool), ())


def _peer(access: Access) -> Object:
    namespaces = None if access.namespace_selector is None else said(access.namespace_selector)
    pods = None if access.pod_selector is None else said(access.pod_selector)
    if access.preset is not None:
        known_namespaces, known_pods = PRESETS[access.preset]
        namespaces = known_namespaces if namespaces is None else namespaces
        pods = _both(known_pods, pods or {})
    return {
        **({} if namespaces is None else {"namespaceSelector": namespaces}),
        **({} if pods is None else {"podSelector": pods}),
    }


def _both(one: Object, other: Object) -> Object:
    """Return a selector of what both select; a label that both name is the second's."""
    matched = {**one.get("matchLabels", {}), **other.get("matchLabels", {})}
    expressions = [*one.get("matchExpressions", []), *other.get("matchExpressions", [])]
    return {
        **({"matchLabels": matched} if matched else {}),
        **({"matchExpressions": expressions} if expressions else {}),
    }


def _other(peer: Peer) -> Object:
    """Return a network, or Pods, as a rule has them."""
    if peer.cidr is not None:
        return {"ipBlock": {"cidr": peer.cidr, **({"except": list(peer.excluded)} if peer.excluded else {})}}
    selectors = {"namespaceSelector": peer.namespace_selector, "podSelector": peer.pod_selector}
    return {name: said(selector) for name, selector in selectors.items() if selector is not None}


def _egress(egress: Egress) -> Object:
    return {
        "to": [_other(egress)],
        "ports": [_port(one.port, one.protocol.value, one.end_port) for one in egress.ports],
    }


def _port(number: int, protocol: str = "TCP", end: int | None = None) -> Object:
    return {"protocol": protocol, "port": number, **({"endPort": end} if end is not None else {})}
