"""``layout: Colocated``: the SuperLink, the ServerApp's SuperExec and each pool of SuperNodes as a workload.

A SuperNode and the SuperExec of its ClientApps are one container, because either one without the other wedges and
Kubernetes restarts single containers, never all of a Pod. Only the SuperLink has a Service: nothing else is dialled.
"""

from __future__ import annotations

from flowerbed.flower.apis import Api
from flowerbed.flower.contract import DATABASE
from flowerbed.flower.families.protection import NOT_LET_IN
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import expose, images, names, network, programs, proxy, resources, trust
from flowerbed.kubernetes.manifests.certificate import certificate
from flowerbed.kubernetes.manifests.disruption import budgets
from flowerbed.kubernetes.manifests.edges import dialled, peer
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.placement import pod_fields, spreading, with_gpus
from flowerbed.kubernetes.manifests.places import ANYWHERE, DATA, LOOPBACK, RESULTS, SCRATCH, Places, numbers
from flowerbed.kubernetes.manifests.pod import Program, UnitPod, work_options
from flowerbed.kubernetes.manifests.trust import PodTrust
from flowerbed.kubernetes.manifests.trust_sources import trust_sources
from flowerbed.kubernetes.manifests.volumes import claim
from flowerbed.spec.model import Federation, SuperNodePool
from flowerbed.topology.build import pools, protection, server_units
from flowerbed.topology.model import SUPERLINK, Component, Pool, Role

HOMES = f"{SCRATCH}/flwr"

START_SECONDS = 600
"""A SuperLink that has not answered a request by then is started again: nobody else would notice that it hangs. All
others wait for it for as long as it takes.

Its unit sees to that. A startup probe would, too, but every SuperNode would wait for it: a kubelet asks for readiness
only after it, and between the two lay 0.3 to 0.5 s (Kubernetes 1.34, measured on 2 cores).
"""

KEEP = {
    "argocd.argoproj.io/sync-options": "Delete=false,Prune=false",
    "helm.sh/resource-policy": "keep",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
"""Annotations by which Argo CD, Helm and Flux leave a claim with results alone when the federation goes."""


def objects(federation: Federation, row: Row, identity: Identity, image: str) -> list[Object]:
    """Return the objects, in the order in which they are applied."""
    layout = _Colocated(federation, row, identity, image)
    policies = network.policies(federation, row, identity)
    return [*programs.config_maps(identity), *policies, *layout.objects()]


class _Colocated:
    def __init__(self, federation: Federation, row: Row, identity: Identity, image: str) -> None:
        self._federation = federation
        self._spec = federation.spec
        self._row = row
        self._identity = identity
        self._image = image
        self._superlink, self._serverapp = (
            unit.components[0] for unit in server_units(federation, row.contract, row.minor)
        )
        self._pools = pools(federation, row.contract, row.minor)
        self._dialled = dialled(federation, row)
        self._protection = protection(federation)
        self._certificate = certificate(federation, identity)
        self._sources = trust_sources(identity.federation, federation.spec)
        self._exposed = expose.objects(federation, row, identity)

    def objects(self) -> list[Object]:
        return [
            *self._results_claim(),
            *self._proxy_configuration(),
            *self._certificate,
            self._superlink_service(),
            *self._exposed,
            self._superlink_workload(),
            self._serverapp_workload(),
            *map(self._pool_workload, self._spec.own_pools, self._pools),
            *budgets(self._spec, self._identity),
        ]

    # The SuperLink.

    def _proxy_configuration(self) -> list[Object]:
        closed = self._spec.control_closed
        return [proxy.config_map(self._federation, self._row, self._identity)] if closed else []

    def _superlink_service(self) -> Object:
        name = names.superlink(self._identity.federation)
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._identity.metadata(name, Role.SUPERLINK),
            "spec": {
                "selector": self._identity.selector(Role.SUPERLINK),
                "ports": [{"name": port, "port": number, "targetPort": port} for port, number in self._dialled.items()],
            },
        }

    def _superlink_workload(self) -> Object:
        name, ports = names.superlink(self._identity.federation), numbers(self._superlink.ports)
        closed = self._spec.control_closed
        if closed:
            ports = {port: proxy.behind(number) for port, number in ports.items()}
        folder = f"{DATA}/{self._row.minor}"  # no release promises to read another's database
        ready = f"{self._row.contract.dialect}:{ports[self._row.contract.control_port()]}"
        kept = self._trust_of_superlink(f"{folder}/{DATABASE.name}")
        places = Places(LOOPBACK if closed else ANYWHERE, ports, {}, folder, f"{HOMES}/superlink", kept.files)
        pod = UnitPod(
            role=Role.SUPERLINK,
            container="superlink",
            image=images.superlink(self._spec, self._row),
            programs=(Program("superlink", self._superlink, places),),
            options=("--make-folder", folder, "--ready-request", ready, "--ready-within", str(START_SECONDS)),
            resources=resources.resources(self._spec.superlink.resources, resources.SUPERLINK),
            app=self._spec.app,
            ports={} if closed else ports,
            own={"data": (DATA, {})},
            where=pod_fields(self._spec.superlink),
            trust=kept,
            beside=proxy.beside(self._federation, self._row, kept) if closed else None,
        )
        data = {"metadata": {"name": "data", "labels": self._identity.lasting(Role.SUPERLINK)}}
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": self._identity.metadata(name, Role.SUPERLINK),
            "spec": {
                "serviceName": name,
                "replicas": 1,  # its database is a file
                "podManagementPolicy": "Parallel",  # the other one never replaces a Pod that did not get ready
                "selector": {"matchLabels": self._identity.selector(Role.SUPERLINK)},
                "template": pod.template(self._identity),
                "volumeClaimTemplates": [{**data, "spec": claim(self._spec.superlink.storage)}],
            },
        }

    def _trust_of_superlink(self, database: str) -> PodTrust:
        if not self._protection.tls:
            return trust.NOTHING
        return trust.of_superlink(
            self._sources,
            self._row.minor,
            node_auth=self._protection.node_auth,
            closed=self._spec.control_closed,
            database=database,
        )

    # The ServerApp's SuperExec.

    def _results_claim(self) -> list[Object]:
        if self._spec.serverapp.results.claim_name is not None:
            return []
        meta = self._identity.metadata(names.results(self._identity.federation), Role.SERVERAPP_SUPEREXEC)
        return [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {**meta, "annotations": dict(KEEP)},
                "spec": claim(self._spec.serverapp.results),
            }
        ]

    def _serverapp_workload(self) -> Object:
        spec = self._spec.serverapp
        name = names.serverapp(self._identity.federation)
        claim_name = spec.results.claim_name or names.results(self._identity.federation)
        kept = trust.NOTHING
        if self._protection.tls:
            kept = trust.of_serverapp(self._sources, self._row.minor)
        at = {SUPERLINK: peer(self._identity.federation, self._spec, self._row, Api.RUNTIME)}
        places = Places(ANYWHERE, {}, at, DATA, f"{HOMES}/superexec", kept.files)
        pod = UnitPod(
            role=Role.SERVERAPP_SUPEREXEC,
            container="superexec",
            image=self._image,
            programs=(Program("superexec", self._serverapp, places),),
            options=(),
            resources=resources.resources(with_gpus(spec.resources, spec.gpus), resources.SERVERAPP),
            app=self._spec.app,
            given=spec.volumes,
            sources=spec.env_from,
            own={"flowerbed-results": (RESULTS, {"persistentVolumeClaim": {"claimName": claim_name}})},
            where=pod_fields(spec, spec.gpus),
            trust=kept,
        )
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",  # a StatefulSet's Pod on a lost node is not replaced by itself
            "metadata": self._identity.metadata(name, Role.SERVERAPP_SUPEREXEC),
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},  # the claim is for one Pod at a time
                "selector": {"matchLabels": self._identity.selector(Role.SERVERAPP_SUPEREXEC)},
                "template": pod.template(self._identity),
            },
        }

    # The SuperNodes.

    def _pool_workload(self, spec: SuperNodePool, pool: Pool) -> Object:
        name = names.pool(self._identity.federation, pool.name)
        selector = self._identity.selector(Role.SUPERNODE, pool.name)
        (unit,) = pool.units
        supernode, superexec = unit.components
        superlink = peer(self._identity.federation, self._spec, self._row, Api.FLEET)
        at = {SUPERLINK: superlink, supernode.name: (LOOPBACK, numbers(supernode.ports))}
        kept = self._trust_of_supernode(pool.name)
        pod = UnitPod(
            role=Role.SUPERNODE,
            container="supernode",
            image=self._image,
            programs=(
                _program("supernode", supernode, at, kept),
                _program("superexec", superexec, at, kept),
            ),
            options=(
                *("--first-partition", str(pool.first_partition)),
                *work_options(self._row.contract.work_marks, spec.finish),
            ),
            grace=spec.grace,
            resources=resources.resources(with_gpus(spec.resources, spec.gpus), resources.SUPERNODE),
            app=self._spec.app,
            pool=pool.name,
            given=spec.volumes,
            sources=spec.env_from,
            where={**pod_fields(spec, spec.gpus), **spreading(spec.topology_spread_constraints, selector)},
            trust=kept,
        )
        return {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": self._identity.metadata(name, Role.SUPERNODE, pool.name),
            "spec": {
                "serviceName": name,  # there is none: nothing dials a SuperNode, but older releases want a name here
                "replicas": pool.replicas,
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": selector},
                "template": pod.template(self._identity),
            },
        }

    def _trust_of_supernode(self, pool: str) -> PodTrust:
        if not self._protection.tls:
            return trust.NOTHING
        node_auth = self._protection.node_auth
        minor = self._row.minor
        return trust.of_supernode(self._sources, minor, pool, node_auth=node_auth, refused=NOT_LET_IN)


def _program(name: str, component: Component, peers: dict[str, tuple[str, dict[str, int]]], kept: PodTrust) -> Program:
    places = Places(LOOPBACK, numbers(component.ports), peers, DATA, f"{HOMES}/{name}", kept.files)
    return Program(name, component, places)
