"""The Pod of a unit: one container in which our init runs the unit's programs, so that they live and die together.

Every Pod passes Pod Security `restricted`
(kubernetes.io/docs/concepts/security/pod-security-standards) and needs nothing from the API server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowerbed.flower.contract import WorkMarks
from flowerbed.kubernetes.manifests import programs
from flowerbed.kubernetes.manifests.expansion import literal
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.places import LOOPBACK, SCRATCH, Places
from flowerbed.kubernetes.manifests.programs import IN_PODS
from flowerbed.kubernetes.manifests.trust import NOTHING, PodTrust
from flowerbed.kubernetes.manifests.volumes import env_from, mounts, volumes
from flowerbed.spec.kubernetes import EnvFromSource, Volume
from flowerbed.spec.kubernetes_values import SHORTEST_GRACE
from flowerbed.spec.model import App
from flowerbed.topology.model import Component, Role

HEALTH_PORT = 9990
USER = 49999
"""The user `app` of Flower's images."""

READY = "/ready?wait=3"
"""What tells of readiness; the answer comes the moment that it is so, or after three seconds."""

PATH = f"{programs.LAUNCHERS}:/python/venv/bin:/usr/local/bin:/usr/bin:/bin"
"""Our launchers before Flower's own programs, which its images have in ``/python/venv``."""


@dataclass(frozen=True)
class Program:
    """A component as its unit starts it.

    Parameters
    ----------
    name : str
        What its lines in the log begin with.
    component : Component
        What it is.
    places : Places
        Where its places are.
    """

    name: str
    component: Component
    places: Places

    @property
    def dials(self) -> list[str]:
        """The addresses that it connects to."""
        return [self.places.address(peer, port) for peer, port in self.component.dials]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment beside the common one."""
        return {name: self.places.text(value) for name, value in self.component.environment.items()}

    @property
    def argv(self) -> list[str]:
        """Its command line."""
        return [self.component.executable, *map(self.places.text, self.component.arguments)]


@dataclass(frozen=True)
class Beside:
    """A container that is no unit of Flower's, beside the one that is.

    Parameters
    ----------
    container : dict
        The container.
    volumes : tuple of dict
        Volumes that only it mounts.
    annotations : dict of str to str
        For the Pod.
    """

    container: Object
    volumes: tuple[Object, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class UnitPod:
    """A unit as a Pod.

    Parameters
    ----------
    role : Role
        What it is.
    container : str
        The container's name.
    image : str
        Its image.
    programs : tuple of Program
        What runs in it.
    options : tuple of str
        More for our init.
    resources : dict
        What it asks for and gets at most.
    app : App
        How images are pulled.
    ports : dict of str to int
        Where others reach it.
    pool : str or None
        The pool of SuperNodes.
    given : tuple of Volume
        The file's volumes.
    sources : tuple of EnvFromSource
        The file's sources of environment variables.
    own : dict of str to (str, dict)
        Volumes of ours: name → where it is mounted, and what it is (nothing for a claim of the workload's own).
    where : dict
        Fields of the Pod's spec that say on which nodes it may run.
    trust : PodTrust
        The certificates and keys that it gets.
    beside : Beside or None
        Another container.
    modules : tuple of str
        The programs of ours that it may start.
    grace : int
        How many seconds it may take to end.
    """

    role: Role
    container: str
    image: str
    programs: tuple[Program, ...]
    options: tuple[str, ...]
    resources: Object
    app: App
    ports: Mapping[str, int] = field(default_factory=dict)
    pool: str | None = None
    given: tuple[Volume, ...] = ()
    sources: tuple[EnvFromSource, ...] = ()
    own: Mapping[str, tuple[str, Object]] = field(default_factory=dict)
    where: Mapping[str, object] = field(default_factory=dict)
    trust: PodTrust = NOTHING
    beside: Beside | None = None
    modules: tuple[str, ...] = IN_PODS
    grace: int = SHORTEST_GRACE

    def template(self, identity: Identity) -> Object:
        """Return the Pod template."""
        own = [{"name": name, **what} for name, (_, what) in self.own.items() if what]
        secrets = [{"name": secret.name} for secret in self.app.image_pull_secrets]
        spec = {
            **({"imagePullSecrets": secrets} if secrets else {}),
            **self.where,
            **pod_security(),
            "terminationGracePeriodSeconds": self.grace,
            "containers": [self._container(), *([self.beside.container] if self.beside else [])],
            "volumes": [
                programs.volume(identity.federation, self.modules),
                SCRATCH_VOLUME,
                *self.trust.volumes,
                *own,
                *volumes(self.given),
                *(self.beside.volumes if self.beside else ()),
            ],
        }
        meta = {
            "labels": identity.labels(self.role, self.pool),
            "annotations": {programs.ANNOTATION: programs.digest(), **(self.beside.annotations if self.beside else {})},
        }
        return {"metadata": meta, "spec": spec}

    def _container(self) -> Object:
        ports = {**self.ports, "health": HEALTH_PORT}
        own = [{"name": name, "mountPath": path} for name, (path, _) in self.own.items()]
        return {
            "name": self.container,
            "image": self.image,
            **pull_policy(self.app),
            "command": list(programs.UNIT),
            **({} if self.role is Role.SUPERLINK else {"workingDir": SCRATCH}),  # the image's own is read-only
            "args": [literal(word) for word in self._arguments()],
            "env": [
                *({"name": name, "value": literal(value)} for name, value in self._environment().items()),
                *self.trust.environment,
            ],
            **({"envFrom": env_from(self.sources)} if self.sources else {}),
            "ports": [{"name": name, "containerPort": number} for name, number in ports.items()],
            "readinessProbe": {**_probe(READY), "periodSeconds": 1},
            "livenessProbe": {**_probe("/live"), "periodSeconds": 10, "failureThreshold": 6},
            "resources": self.resources,
            "securityContext": container_security(),
            "volumeMounts": [programs.MOUNT, SCRATCH_MOUNT, *self.trust.mounts, *own, *mounts(self.given)],
        }

    def _arguments(self) -> list[str]:
        words = ["--health-port", str(HEALTH_PORT), *self.options, *self.trust.options]
        for program in self.programs:
            for address in program.dials:
                words += ["--wait-for", f"{program.name}={address}"]
        for program in self.programs:
            for address in program.dials:
                words += ["--ready-connected", f"{program.name}={address}"]
        for program in self.programs:
            words += ["--", program.name, *self._own_environment(program), *program.argv]
        return words

    def _own_environment(self, program: Program) -> list[str]:
        """Return what sets the variables in which programs of one container differ: ``env NAME=VALUE …``."""
        shared = self._shared()
        own = [f"{name}={value}" for name, value in program.environment.items() if name not in shared]
        return ["env", *own] if own else []

    def _shared(self) -> dict[str, str]:
        first, *others = (program.environment for program in self.programs)
        return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}

    def _environment(self) -> dict[str, str]:
        """Return the container's environment: the common one, and over it what Flower and the file say.

        Flower's programs would send what they say to each other through a proxy if the file names one.
        """
        shared = self._shared()
        hosts = {address.rpartition(":")[0]: None for program in self.programs for address in program.dials}
        direct = ",".join(dict.fromkeys([*hosts, LOOPBACK, "localhost"]))
        for name in ("no_proxy", "NO_PROXY"):
            shared[name] = ",".join(filter(None, [shared.get(name, ""), direct]))
        return {"PATH": PATH, "HOME": SCRATCH, **shared}


SCRATCH_VOLUME: Object = {"name": "flowerbed-scratch", "emptyDir": {}}
SCRATCH_MOUNT: Object = {"name": "flowerbed-scratch", "mountPath": SCRATCH}


def work_options(marks: WorkMarks, finish: int = 0) -> tuple[str, ...]:
    """Return how our init sees what a SuperNode works on, and for how long it is left to that once it is to end."""
    seen = ("--taken", marks.taken, "--replied", marks.replied, "--lost", marks.lost)
    return (*seen, "--finish", str(finish)) if finish else seen


def _probe(path: str) -> Object:
    return {"httpGet": {"path": path, "port": "health"}, "timeoutSeconds": 5}


def pod_security() -> Object:
    """Return the part of a Pod's spec that says what it may do: nothing, and that as nobody in particular."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def container_security() -> Object:
    """Return a container's security context."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pull_policy(app: App) -> Object:
    """Return when images are pulled, where the file says it."""
    return {"imagePullPolicy": app.image_pull_policy.value} if app.image_pull_policy else {}
