"""A kit in a cluster of the site's own: a Deployment of one SuperNode, and Kustomize's words for its keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from flowerbed.flower.families.protection import NOT_LET_IN
from flowerbed.flower.releases import Row
from flowerbed.flower.values import Trusted
from flowerbed.kubernetes.manifests import names, resources
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.places import DATA, LOOPBACK, SCRATCH, Places, numbers
from flowerbed.kubernetes.manifests.pod import Program, UnitPod, work_options
from flowerbed.kubernetes.manifests.programs import AT_SITES
from flowerbed.kubernetes.manifests.trust import FOLDER, PodTrust
from flowerbed.kubernetes.yaml_text import dump
from flowerbed.spec.kubernetes import Resources
from flowerbed.spec.model import Federation, SuperNodePool
from flowerbed.topology.model import SUPERLINK, Component, Role

KUSTOMIZATION = "kustomization.yaml"
_DEPLOYMENT, _POLICY = "kubernetes/deployment.yaml", "kubernetes/networkpolicy.yaml"
_KEPT = f"{FOLDER}/kit"
_NODE = f"{SCRATCH}/flowerbed-node"


def files(
    federation: Federation,
    row: Row,
    name: str,
    components: tuple[Component, Component],
    pool: SuperNodePool,
    *,
    secrets: Mapping[str, str],
    trusted: Mapping[Trusted, str],
    programs: Mapping[str, Mapping[str, str]],
) -> dict[str, str]:
    """Return the texts of the files; none where the federation's file names no image.

    Parameters
    ----------
    federation : Federation
        What the file says.
    row : Row
        The Flower release.
    name : str
        How the objects are called.
    components : tuple of Component
        The SuperNode and its SuperExec.
    pool : SuperNodePool
        The SuperNode's.
    secrets : dict of str to str
        The keys of the Secret, and the kit's files that they hold.
    programs : dict of str to dict
        The same of the ConfigMap of each room.
    trusted : dict of Trusted to str
        Which key of the Secret is what.
    """
    if federation.spec.app.image is None:
        return {}
    site = _Site(federation, row, name, components, pool, trusted)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_DEPLOYMENT, _POLICY],
        "secretGenerator": [{"name": site.secret, "files": _entries(secrets)}],
        "configMapGenerator": [
            {"name": names.programs(name, room), "files": _entries(files)} for room, files in programs.items()
        ],
        "generatorOptions": {"labels": site.identity.labels()},
    }
    return {
        KUSTOMIZATION: dump(kustomization),
        _DEPLOYMENT: dump(site.deployment()),
        _POLICY: dump(site.policy()),
    }


class _Site:
    def __init__(
        self,
        federation: Federation,
        row: Row,
        name: str,
        components: tuple[Component, Component],
        pool: SuperNodePool,
        trusted: Mapping[Trusted, str],
    ) -> None:
        self._federation = federation
        self._row = row
        self._components = components
        self._pool = pool
        self._trusted = trusted
        # Not the federation's own name: these are not among its objects, also where both are in one namespace.
        self.identity = Identity(name, None, str(row.release), dict(federation.metadata.labels))

    @property
    def secret(self) -> str:
        return f"{self.identity.federation}-kit"

    def deployment(self) -> Object:
        name, role = self.identity.federation, Role.SUPERNODE
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self.identity.metadata(name, role),
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},  # two of them would be two SuperNodes
                "selector": {"matchLabels": self.identity.selector(role)},
                "template": self._pod().template(self.identity),
            },
        }

    def policy(self) -> Object:
        """Return the policy by which nobody reaches the Pod; whom it reaches is not known by address."""
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": self.identity.metadata(self.identity.federation, Role.SUPERNODE),
            "spec": {
                "podSelector": {"matchLabels": self.identity.selector(Role.SUPERNODE)},
                "policyTypes": ["Ingress"],
            },
        }

    def _pod(self) -> UnitPod:
        app = self._federation.spec.app
        supernode, superexec = self._components
        return UnitPod(
            role=Role.SUPERNODE,
            container="supernode",
            image=app.image or "",
            programs=(self._program("supernode", supernode), self._program("superexec", superexec)),
            options=work_options(self._row.contract.work_marks, self._pool.finish),
            grace=self._pool.grace,
            resources=resources.resources(Resources(), resources.SUPERNODE),
            app=app.model_copy(update={"image_pull_secrets": ()}),  # those of another namespace
            trust=self._trust(),
            modules=AT_SITES,
        )

    def _program(self, name: str, component: Component) -> Program:
        expose = self._federation.spec.superlink.expose
        assert expose is not None  # noqa: S101 - the file is refused otherwise
        host = expose.fleet_address.rpartition(":")[0]
        supernode = self._components[0]
        peers = {
            SUPERLINK: (host, {self._row.contract.fleet_port(): expose.port}),
            supernode.name: (LOOPBACK, numbers(supernode.ports)),
        }
        home = f"{SCRATCH}/flwr/{name}"
        return Program(name, component, Places(LOOPBACK, numbers(component.ports), peers, DATA, home, self._files()))

    def _files(self) -> dict[Trusted, str]:
        kept = {what: f"{_KEPT}/{key}" for what, key in self._trusted.items()}
        return {**kept, Trusted.NODE_KEY: f"{_NODE}/key", Trusted.NODE_PUBLIC_KEY: f"{_NODE}/key.pub"}

    def _trust(self) -> PodTrust:
        volume = {"name": "flowerbed-kit", "secret": {"secretName": self.secret, "defaultMode": 0o440}}
        mount = {"name": "flowerbed-kit", "mountPath": _KEPT, "readOnly": True}
        options = ("--node-keys", f"{_KEPT}/node={_NODE}", "--refused", NOT_LET_IN)
        return PodTrust(self._files(), (volume,), (mount,), options=options)


def _entries(files: Mapping[str, str]) -> list[str]:
    return [f"{key}={path}" for key, path in sorted(files.items())]
