"""``layout: Quickstart``: the seed's bundle, each program a bare Deployment, as Flower's walk-throughs have it.

For Flower 1.22 the objects are those of the seed; ``docs/seed.md`` tells what differs, and why. Other releases get
the same objects with their own flags. Nothing of ours runs in the Pods, and the SuperLink's state is in its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flowerbed.errors import UsageError
from flowerbed.flower.releases import Row
from flowerbed.flower.values import DataFile, Value
from flowerbed.kubernetes.manifests import images, names
from flowerbed.kubernetes.manifests.expansion import literal
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.placement import pod_fields, spreading, with_gpus
from flowerbed.kubernetes.manifests.places import ANYWHERE, DATA, SCRATCH, Places, numbers
from flowerbed.kubernetes.manifests.resources import resources
from flowerbed.kubernetes.manifests.volumes import env_from, mounts, volumes
from flowerbed.spec.kubernetes import EnvFromSource, PullPolicy, Resources, Volume
from flowerbed.spec.model import App, Federation, SuperNodePool
from flowerbed.topology.build import SERVERAPP_SUPEREXEC, build, protection
from flowerbed.topology.model import SUPERLINK, Component, Role

SEED = "1.22"
"""The release of the seed."""

SEED_FLAGS = {
    Role.SUPERLINK: ("--insecure", "--isolation"),
    Role.SUPERNODE: ("--insecure", "--superlink", "--node-config", "--clientappio-api-address", "--isolation"),
}
"""Which flags the seed gives, in its order; SuperExecs get all. Where it gives no address, 1.22 listens anywhere."""

PORT_NAMES = {
    (Role.SUPERLINK, "runtime"): "serverapp-io",
    (Role.SUPERLINK, "fleet"): "superlink",
    (Role.SUPERNODE, "runtime"): "clientapp-io",
}
"""What the seed calls the ports; a port that is not here goes by its own name."""

RESOURCES = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"cpu": "1", "memory": "512Mi"})
"""The seed's, for every program."""

CLIENTAPP_IO = 9094
"""The port of the first SuperNode; each further one has the next, as in the seed."""

PORTS = 56_000
"""After so many SuperNodes it starts again with the first port: each has an address of its own anyway."""

QUIET = ("FLWR_TELEMETRY_ENABLED", "FLWR_DISABLE_UPDATE_CHECK")
"""What is set of Flower's environment, so that nothing leaves the cluster that nobody asked for."""

Peers = dict[str, tuple[str, dict[str, int]]]


def objects(federation: Federation, row: Row, identity: Identity, image: str) -> list[Object]:
    """Return the objects, in the seed's order.

    Raises
    ------
    UsageError
        If they shall speak TLS: its programs are Flower's alone, and nobody there tells a SuperLink of keys.
    """
    if protection(federation).tls:
        raise UsageError(
            "on Kubernetes, layout: Quickstart is Flower's own walk-through, which has no TLS",
            where="spec.security.tls",
            hint="Choose layout: Colocated, or write security: {tls: {mode: Disabled}, nodeAuth: false}.",
        )
    return list(_Quickstart(federation, row, identity, image).objects())


@dataclass(frozen=True)
class _Said:
    """What the file says about one program."""

    resources: Resources
    env: dict[str, str] = field(default_factory=dict)
    sources: tuple[EnvFromSource, ...] = ()
    given: tuple[Volume, ...] = ()
    where: Object = field(default_factory=dict)


class _Quickstart:
    def __init__(self, federation: Federation, row: Row, identity: Identity, image: str) -> None:
        self._spec = federation.spec
        self._row = row
        self._identity = identity
        self._image = image
        found = build(federation, row.contract, row.minor)
        self._components = {component.name: component for component in found.components}
        superlink = self._components[SUPERLINK]
        self._superlink = names.superlink(identity.federation), numbers(superlink.ports)

    def objects(self) -> Iterator[Object]:
        federation, said = self._identity.federation, self._spec.superlink
        name, ports = self._superlink
        image = images.superlink(self._spec, self._row)
        yield self._deployment(name, SUPERLINK, image, ports, {}, _Said(said.resources, where=pod_fields(said)))
        yield self._service(name, SUPERLINK, ports)
        nodes = list(self._supernodes())
        image = images.supernode(self._spec, self._row)
        for pool, name, component, port in nodes:
            peers = {SUPERLINK: self._superlink}
            of_node = _Said(pool.resources, pool.env, pool.env_from, where=_where(pool))
            yield self._deployment(name, component, image, {"runtime": port}, peers, of_node)
            yield self._service(name, component, {"runtime": port})
        server = self._spec.serverapp
        yield self._deployment(
            names.serverapp(federation),
            SERVERAPP_SUPEREXEC,
            self._image,
            {},
            {SUPERLINK: self._superlink},
            _Said(
                with_gpus(server.resources, server.gpus),
                server.env,
                server.env_from,
                server.volumes,
                pod_fields(server, server.gpus),
            ),
        )
        for partition, (pool, name, component, port) in enumerate(nodes):
            yield self._deployment(
                names.clientapp(federation, partition),
                f"{component}-superexec",
                self._image,
                {},
                {component: (name, {"runtime": port})},
                _Said(
                    with_gpus(pool.resources, pool.gpus),
                    pool.env,
                    pool.env_from,
                    pool.volumes,
                    {**_where(pool), **pod_fields(pool, pool.gpus)},
                ),
            )

    def _supernodes(self) -> Iterator[tuple[SuperNodePool, str, str, int]]:
        """Yield each SuperNode: its pool, its objects' name, its component's name and its port."""
        partition = 0
        for pool in self._spec.supernodes:
            for ordinal in range(pool.replicas):
                name = names.supernode(self._identity.federation, pool.name, ordinal)
                yield pool, name, f"{pool.name}-{ordinal}", CLIENTAPP_IO + partition % PORTS
                partition += 1

    def _deployment(
        self, name: str, component_name: str, image: str, ports: dict[str, int], peers: Peers, said: _Said
    ) -> Object:
        component = self._components[component_name]
        places = Places(ANYWHERE, ports, peers, DATA, SCRATCH)
        quiet = {key: places.text(component.environment[key]) for key in QUIET}
        listed = [{"name": _port_name(component, port), "containerPort": number} for port, number in ports.items()]
        container = {
            "name": component.role.value.partition("-")[0],
            "image": image,
            **_pull_policy(self._spec.app, image == self._image),
            "args": [literal(places.text(value)) for value in _arguments(component, str(self._row.minor))],
            "env": [{"name": key, "value": literal(value)} for key, value in {**quiet, **said.env}.items()],
            **({"envFrom": env_from(said.sources)} if said.sources else {}),
            **({"ports": listed} if listed else {}),
            "resources": resources(said.resources, RESOURCES),
            **({"volumeMounts": mounts(said.given)} if said.given else {}),
        }
        secrets = [{"name": secret.name} for secret in self._spec.app.image_pull_secrets]
        spec = {
            **({"imagePullSecrets": secrets} if secrets else {}),
            **said.where,
            "containers": [container],
            **({"volumes": volumes(said.given)} if said.given else {}),
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self._metadata(name),
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": self._labels(name)}, "spec": spec},
            },
        }

    def _service(self, name: str, component_name: str, ports: dict[str, int]) -> Object:
        component = self._components[component_name]
        listed = [(_port_name(component, port), number) for port, number in ports.items()]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._metadata(name),
            "spec": {
                "selector": {"app": name},
                "ports": [{"name": port, "port": number, "targetPort": port} for port, number in listed],
            },
        }

    def _labels(self, name: str) -> dict[str, str]:
        return {**self._identity.more, "app": name}

    def _metadata(self, name: str) -> Object:
        namespace = self._identity.namespace
        return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": self._labels(name)}


def _where(pool: SuperNodePool) -> Object:
    """Return where a pool's Pods may run; spread only where the file says so, as the seed has nothing of it."""
    return {**pod_fields(pool), **spreading(pool.topology_spread_constraints or (), {})}


def _port_name(component: Component, port: str) -> str:
    return PORT_NAMES.get((component.role, port), port)


def _pull_policy(app: App, of_the_app: bool) -> Object:
    if app.image_pull_policy is None and not of_the_app:
        return {}
    return {"imagePullPolicy": (app.image_pull_policy or PullPolicy.IF_NOT_PRESENT).value}


def _arguments(component: Component, minor: str) -> list[Value]:
    """Return a program's arguments: the seed's for its release, else all that need no volume."""
    flags: dict[str, list[Value]] = {}
    flag = ""
    for value in component.arguments:
        if isinstance(value, str) and value.startswith("--"):
            flag = value
            flags[flag] = []
        else:
            flags[flag].append(value)
    order = SEED_FLAGS.get(component.role) if minor == SEED else None
    lasting = {flag for flag, values in flags.items() if any(isinstance(value, DataFile) for value in values)}
    chosen = order or [flag for flag in flags if flag not in lasting]
    return [word for flag in chosen for word in (flag, *flags[flag])]
