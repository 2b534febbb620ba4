"""What of a federation lives in a cluster, read from its objects alone: nobody's file is needed to look at it.

Pure: from the objects of a namespace to the Pods of each role, how many there shall be, and the release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from flowerbed.kubernetes.explain import reading
from flowerbed.kubernetes.explain.reading import controller
from flowerbed.kubernetes.labels import CHANGING, COMPONENT, REVOKED, VERSION
from flowerbed.runs.runtime import ComponentStatus
from flowerbed.topology.model import Role
from flowerbed_inside.launch.execution import ASKED_FOR, ISOLATED, Execution, last_said
from flowerbed_inside.variables import EXECUTION

Object = Mapping[str, Any]

_OWN_ENDS = {
    70: "a run waited for it, and no reply came",
    75: "a file that it reads when it starts is another one",
    77: "the SuperLink did not let it in",
}
"""How the first process of a unit, `flowerbed_inside.unit.main`, ends to be started again by the kubelet."""
_WORKLOADS = ("Deployment", "StatefulSet")

_NOTHING_SAID = Execution("", "")

SUPEREXECS = (Role.SERVERAPP_SUPEREXEC, Role.CLIENTAPP_SUPEREXEC)


@dataclass(frozen=True)
class Living:
    """A federation as it lives in a namespace.

    Parameters
    ----------
    federation, namespace : str
        Which.
    workloads : tuple of dict
        Its StatefulSets and Deployments.
    pods : tuple of dict
        Their Pods, those on their way out left out.
    others : tuple of dict
        Workloads of Flower SuperLinks in the namespace that Flowerbed did not make.
    """

    federation: str
    namespace: str
    workloads: tuple[Object, ...]
    pods: tuple[Object, ...]
    others: tuple[Object, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is anything of it."""
        return bool(self.workloads)

    @property
    def release(self) -> str:
        """The exact Flower release of its SuperLink; empty without one."""
        return next((label(item, VERSION) for item in self.of(Role.SUPERLINK)), "")

    @property
    def changing(self) -> str:
        """What changes with each `up` that is about to change what a run needs; empty while none is."""
        said = (metadata(item).get("annotations") or {} for item in self.of(Role.SUPERLINK))
        return next((str(one[CHANGING]) for one in said if CHANGING in one), "")

    @property
    def colocated(self) -> bool:
        """Whether SuperNodes have their SuperExecs with them."""
        return not any(label(item, COMPONENT) == Role.CLIENTAPP_SUPEREXEC for item in self.workloads)

    def of(self, role: Role) -> list[Object]:
        """Return the workloads of a role."""
        return [item for item in self.workloads if label(item, COMPONENT) == role]

    def pods_of(self, role: Role) -> list[Object]:
        """Return the Pods of a role."""
        return [item for item in self.pods if label(item, COMPONENT) == role]

    def wanted(self, *roles: Role) -> int:
        """Return how many Pods of some roles there shall be; SuperNodes that were revoked do not count."""
        return sum(
            int((item.get("spec") or {}).get("replicas") or 0) - revoked(item)
            for role in roles
            for item in self.of(role)
        )

    def ready(self, *roles: Role) -> int:
        """Return how many Pods of some roles say that they are ready."""
        return sum(1 for role in roles for pod in self.pods_of(role) if is_ready(pod))

    @property
    def superexecs_wanted(self) -> int:
        """How many SuperExecs there shall be."""
        return self.wanted(*SUPEREXECS) + (self.wanted(Role.SUPERNODE) if self.colocated else 0)

    @property
    def superexecs_ready(self) -> int:
        """How many have a Pod that is ready; it is when they are connected."""
        return self.ready(*SUPEREXECS) + (self.ready(Role.SUPERNODE) if self.colocated else 0)

    @property
    def strangers(self) -> str:
        """Which SuperLinks are here that are nobody's of ours, in a sentence; empty if there are none."""
        kinds = {kind: [name(item) for item in self.others if item["kind"] == kind] for kind in _WORKLOADS}
        said = " and ".join(f"{kind}s" for kind, found in kinds.items() if found)
        listed = ", ".join(chain.from_iterable(kinds.values()))
        return f"there are {said} of a Flower SuperLink that Flowerbed did not make: {listed}" if listed else ""

    def superlink(self) -> Object | None:
        """Return the SuperLink's running Pod, if there is one."""
        return next((pod for pod in self.pods_of(Role.SUPERLINK) if is_running(pod)), None)

    def components(self, logs: Mapping[str, str] | None = None) -> list[ComponentStatus]:
        """Return the status of each Pod.

        Parameters
        ----------
        logs : dict of str to str
            By the names of Pods of `telling`, how their logs begin.
        """
        return [self._component(pod, (logs or {}).get(name(pod), "")) for pod in sorted(self.pods, key=name)]

    @property
    def telling(self) -> list[Object]:
        """The running Pods whose logs tell how the processes of apps begin: all that are asked to be Warm."""
        pods = [pod for role in (Role.SERVERAPP_SUPEREXEC, Role.SUPERNODE) for pod in self.pods_of(role)]
        return [pod for pod in pods if self.colocated and is_running(pod) and not _asks_isolated(pod)]

    def short(self, pod: Object) -> str:
        """Return a Pod's name without the federation's."""
        return name(pod).removeprefix(f"{self.federation}-")

    def restarted_by_us(self, since: float) -> list[str]:
        """Return what the programs of units did to them since a Unix time, for the reason of a run."""
        found = []
        for pod in sorted(self.pods, key=name):
            for status in container_statuses(pod):
                ended = reading.at(status, "lastState", "terminated")
                why = _OWN_ENDS.get(reading.number(ended, "exitCode") or 0)
                at = reading.moment(ended, "finishedAt")
                if why and at is not None and at.timestamp() >= since:
                    found.append(f"restarted {self.short(pod)} ({why})")
        return found

    def _execution(self, pod: Object, log: str) -> Execution:
        role = label(pod, COMPONENT)
        if role == Role.SUPERLINK or (role == Role.SUPERNODE and not self.colocated):
            return _NOTHING_SAID
        if not self.colocated:
            return Execution(ISOLATED, "layout: Quickstart has Flower's own programs alone")
        return Execution(ISOLATED, ASKED_FOR) if _asks_isolated(pod) else last_said(log) or _NOTHING_SAID

    def _component(self, pod: Object, log: str) -> ComponentStatus:
        state, note = _state(pod)
        execution = self._execution(pod, log)
        address = (pod.get("status") or {}).get("podIP")
        ports = {
            port["name"]: f"{address}:{port['containerPort']}"
            for container in (pod.get("spec") or {}).get("containers") or []
            for port in container.get("ports") or []
            if address and port.get("name")
        }
        return ComponentStatus(
            name=self.short(pod),
            role=label(pod, COMPONENT),
            state=state,
            restarts=sum(int(status.get("restartCount") or 0) for status in container_statuses(pod)),
            addresses=ports,
            note=note,
            execution=execution.mode,
            execution_why=execution.why,
        )


def read(
    federation: str,
    namespace: str,
    workloads: Iterable[Object],
    pods: Iterable[Object],
    others: Iterable[Object] = (),
) -> Living:
    """Return a federation from what belongs to it, and the SuperLinks beside it."""
    here = [item for item in workloads if label(item, COMPONENT)]
    living = [
        pod for pod in pods if label(pod, COMPONENT) and is_made(pod) and not metadata(pod).get("deletionTimestamp")
    ]
    return Living(federation, namespace, tuple(here), tuple(living), tuple(others))


def is_made(pod: Object) -> bool:
    """Tell whether a Pod was made by a workload or a Job, as all of ours are, and not by hand with our labels."""
    return bool(controller(pod))


def metadata(item: Object) -> dict[str, Any]:
    """Return an object's metadata."""
    return dict(item.get("metadata") or {})


def name(item: Object) -> str:
    """Return an object's name."""
    return str(metadata(item).get("name") or "")


def label(item: Object, key: str) -> str:
    """Return one of an object's labels; empty if it has none of that name."""
    return str((metadata(item).get("labels") or {}).get(key) or "")


def revoked(workload: Object) -> int:
    """Return how many of a pool's SuperNodes may join no more."""
    return int((metadata(workload).get("annotations") or {}).get(REVOKED) or 0)


def container(pod: Object) -> str:
    """Return the name of a Pod's container with Flower's programs; it is the first one."""
    return str(pod["spec"]["containers"][0]["name"])


def container_statuses(pod: Object) -> list[dict[str, Any]]:
    """Return what is known of a Pod's containers."""
    return list((pod.get("status") or {}).get("containerStatuses") or [])


def is_running(pod: Object) -> bool:
    """Tell whether all of a Pod's containers run."""
    statuses = container_statuses(pod)
    return bool(statuses) and all("running" in (status.get("state") or {}) for status in statuses)


def never_started(pod: Object) -> bool:
    """Tell whether a Pod has a node, and no container of it ever ran: it waits for an image, or for what it mounts."""
    statuses = container_statuses(pod)
    waits = ("waiting" in (one.get("state") or {}) and not one.get("restartCount") for one in statuses)
    return bool(statuses) and all(waits) and bool((pod.get("spec") or {}).get("nodeName"))


def is_ready(pod: Object) -> bool:
    """Tell whether a Pod is ready by its own probes."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def incarnation(pod: Object) -> str:
    """Return what changes when a Pod, or a container of it, is started anew: what ran in it is then lost."""
    restarts = sum(int(status.get("restartCount") or 0) for status in container_statuses(pod))
    return f"{metadata(pod).get('uid')}/{restarts}"


def _asks_isolated(pod: Object) -> bool:
    """Tell whether a Pod is told that processes of its apps are new interpreters: its container, or one program."""
    said = f"{EXECUTION}={ISOLATED}"
    for one in (pod.get("spec") or {}).get("containers") or []:
        variables = (f"{variable.get('name')}={variable.get('value')}" for variable in one.get("env") or [])
        if said in (*variables, *(one.get("args") or [])):
            return True
    return False


def _state(pod: Object) -> tuple[str, str]:
    for status in container_statuses(pod):
        waiting = (status.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason") == "CrashLoopBackOff":
            ended = (status.get("lastState") or {}).get("terminated") or {}
            return "crash loop", f"ended with exit status {ended.get('exitCode', '?')}"
        if waiting:
            return "waiting", str(waiting.get("reason") or "")
        if "terminated" in (status.get("state") or {}):
            return "stopped", f"ended with exit status {status['state']['terminated'].get('exitCode', '?')}"
    if is_ready(pod):
        return "running", ""
    if is_running(pod):
        return "starting", "not ready yet"
    return "waiting", str((pod.get("status") or {}).get("phase") or "")
