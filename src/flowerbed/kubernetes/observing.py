"""What is known of a federation in a cluster: from the API server, and from the SuperLink itself.

Only looks. The SuperLink is asked through `flowerbed.kubernetes.control`, in its own Pod.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from flowerbed.errors import ClusterRefused, ControlError, NotRunning
from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.releases import find
from flowerbed.kubernetes import belonging, reasons
from flowerbed.kubernetes import living as looking
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.connections import peers
from flowerbed.kubernetes.control import ControlLink, Place
from flowerbed.kubernetes.living import Living, container, container_statuses, name
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.places import RESULTS
from flowerbed.kubernetes.manifests.trust import admitted_nodes, dismissed_nodes, external_nodes
from flowerbed.runs.readiness import Readiness
from flowerbed.runs.tracebacks import cause, serverapp_ending
from flowerbed.runs.waiting import Seen
from flowerbed.topology.model import Role

Object = dict[str, Any]

LAST_WORDS_PODS = 3
"""Of how many containers that end again and again the log is read, for what it says of the reason."""

LAST_WORDS_LINES = 5

TELLING_PODS = 20
"""Of how many Pods the log is read at most, for how the processes of their apps begin."""

TRACEBACK_PODS = 20
"""How many Pods' logs are searched for a ClientApp's traceback at most."""

PATIENCE_SECONDS = 5.0
"""How long the SuperLink may take to say which SuperNodes are online, while a run may wait for one."""
NAMED_PODS = 50
"""Of how many SuperNodes without keys the log is read at most, for the id that Flower gave them."""

SAID_LINES = 500
"""How many lines from a log's beginning are read for that, and for how apps begin; each start says both once."""

SAID_ID = re.compile(r"SuperNode ID: (\d+)")

_ANY_FILE = "import os, sys; print(os.path.isdir(sys.argv[1]) and any(os.scandir(sys.argv[1])))"


class Observer:
    """Looks at one federation in a namespace, there or not.

    Parameters
    ----------
    cluster : Cluster
        Where.
    federation, namespace : str
        Which.
    """

    def __init__(self, cluster: Cluster, federation: str, namespace: str) -> None:
        self.cluster = cluster
        self.federation = federation
        self.namespace = namespace
        self._link: ControlLink | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the control client."""
        if self._link is not None:
            self._link.close()

    @property
    def where(self) -> str:
        """Which federation, for messages."""
        return f"{self.namespace}/{self.federation}"

    @property
    def link(self) -> ControlLink:
        """The control client in the SuperLink's Pod; started at first use."""
        with self._lock:
            if self._link is None:
                self._link = ControlLink(self.cluster, self._place)
            return self._link

    def look(self) -> Living:
        """Return what of the federation is in the cluster now."""
        found = belonging.find(self.cluster.listing, self.namespace, self.federation)
        return looking.read(self.federation, self.namespace, found.workloads, found.pods, found.others)

    def require(self) -> Living:
        """Return what lives; an error says what else is there, if nothing of the federation is."""
        found = self.look()
        if found.exists:
            return found
        raise NotRunning(
            "the federation is not up" + (f"; {found.strangers}" if found.strangers else ""),
            where=self.where,
            hint="Start it with `flowerbed up --on kubernetes`.",
        )

    def problems(self) -> list[reasons.Reason]:
        """Return what keeps it from being ready, worst first, with the last lines of what crashes."""
        seen = reasons.gather(self.cluster.listing, self.namespace, self.federation)
        return reasons.problems(replace(seen, namespace=self._namespace(), logs=self._last_words(seen.pods)))

    def _namespace(self) -> Object | None:
        try:
            return self.cluster.get("Namespace", self.namespace)
        except ClusterRefused:  # not everybody may read namespaces, and they are seldom the reason
            return None

    def _last_words(self, pods: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Return the end of the log of some containers that ended and were started again, ``POD/CONTAINER`` → text."""
        words: dict[str, str] = {}
        for pod in pods:
            for status in container_statuses(pod):
                if not status.get("restartCount") or status.get("ready") or len(words) >= LAST_WORDS_PODS:
                    continue
                crashed = str(status["name"])
                with suppress(ClusterRefused):  # of a container that is just being replaced, the kubelet has none
                    lines = self.cluster.logs(name(pod), self.namespace, container=crashed, tail=LAST_WORDS_LINES)
                    words[f"{name(pod)}/{crashed}"] = "\n".join(lines)
        return words

    def readiness(self, found: Living, *, patience: float) -> tuple[Readiness, int]:
        """Return how ready a federation is, and how many SuperNodes only count as online.

        Those were killed, and count until a heartbeat is overdue; a Pod that took the place of one and has not joined
        yet is not ready. The SuperLink is given `patience` seconds to answer; with none it is not asked.
        """
        online, _ = self._nodes_online(found, patience)
        running = sum(1 for pod in found.pods_of(Role.SUPERNODE) if looking.is_running(pod))
        seen = Readiness(
            nodes_online=min(online, running),
            nodes_expected=found.wanted(Role.SUPERNODE),
            superexecs_connected=found.superexecs_ready,
            superexecs_expected=found.superexecs_wanted,
        )
        return seen, max(0, online - found.ready(Role.SUPERNODE))

    def seen(self) -> Seen:
        """Return what is seen of the federation, for a run that may wait for some of it."""
        found = self.look()
        readiness, _ = self.readiness(found, patience=PATIENCE_SECONDS)
        external = self.external(found, patience=PATIENCE_SECONDS)
        return Seen(
            nodes_online=readiness.nodes_online,
            nodes_expected=readiness.nodes_expected,
            external_online=sum(external.values()),
            external_away=[node for node, online in external.items() if not online],
            serverapp=any(looking.is_ready(pod) for pod in found.pods_of(Role.SERVERAPP_SUPEREXEC)),
            away=[found.short(pod) for pod in found.pods_of(Role.SUPERNODE) if not looking.is_ready(pod)],
        )

    def external(self, found: Living, *, patience: float) -> dict[str, bool]:
        """Return the SuperNodes that run elsewhere, and whether the SuperLink knows each as online."""
        expected = external_nodes(self._listed())
        if not expected:
            return {}
        _, keys = self._nodes_online(found, patience)
        return {name: bool(keys.intersection(kept)) for name, kept in expected.items()}

    def _listed(self) -> Object | None:
        return self.cluster.get("ConfigMap", names.nodes(self.federation), self.namespace)

    def _nodes_online(self, found: Living, patience: float) -> tuple[int, set[str]]:
        """Return how many SuperNodes of ours are online for the SuperLink, and the keys of those elsewhere that are."""
        if found.superlink() is None or patience <= 0:
            return 0, set()
        try:
            online = [node["key"] for node in self.link.ask("nodes", timeout=patience) if node["online"]]
        except ControlError as error:
            if error.where != "unsupported":
                return 0, set()
            return self._nodes_connected(found), set()
        listed = self._listed()
        elsewhere = set(chain.from_iterable(external_nodes(listed).values())).intersection(online)
        others = elsewhere.union(*dismissed_nodes(listed).values())  # the SuperLink may not know yet that they are out
        return sum(1 for key in online if key not in others), elsewhere

    def _nodes_connected(self, found: Living) -> int:
        """Count the SuperNodes that hold a connection to the SuperLink: all that 1.22 without a database shows."""
        superlink = found.superlink()
        if superlink is None:
            return 0
        row = find(found.release)
        [program] = [port for port in row.contract.superlink(row.minor).ports if port.name == row.contract.fleet_port()]
        command = ["python", "-c", "print(open('/proc/net/tcp').read(), open('/proc/net/tcp6').read())"]
        with self.cluster.stream(name(superlink), self.namespace, container(superlink), command) as stream:
            text = b"".join(stream.read()).decode()
        return len(peers(text, program.default))

    def _place(self) -> Place | None:
        found = self.look()
        superlink = found.superlink()
        if superlink is None:
            return None
        row = find(found.release)
        program = superlink["spec"]["containers"][0]
        words = [str(word) for word in [*(program.get("command") or []), *(program.get("args") or [])]]
        if "--ready-request" in words:  # which is asked where the client asks
            port = words[words.index("--ready-request") + 1].rpartition(":")[2]
        else:
            port = str(apis.port(row, Api.CONTROL).default)
        database = words[words.index("--database") + 1] if "--database" in words else None
        arguments = ["--dialect", row.contract.dialect, "--address", f"127.0.0.1:{port}"]
        if "--root-certificates" in words:
            arguments += ["--root-certificates", words[words.index("--root-certificates") + 1]]
        return Place(
            self.namespace,
            name(superlink),
            container(superlink),
            (*arguments, *(["--database", database] if database else [])),
        )

    def serverapp_incarnation(self) -> str:
        """Return which incarnation of the ServerApp's SuperExec is there; empty if none runs."""
        return next((looking.incarnation(pod) for pod in self.look().pods_of(Role.SERVERAPP_SUPEREXEC)), "")

    def node_names(self) -> dict[str, str]:
        """Return the SuperNodes' names by Flower's ids of them: by their keys, else by what they said as they began."""
        found = self.look()
        listed = self._listed()
        names_of = {
            key: node
            for known in (dismissed_nodes(listed), admitted_nodes(listed))
            for node, kept in known.items()
            for key in kept
        }
        if names_of:
            nodes = self.link.ask("nodes", timeout=10)
            return {str(node["id"]): names_of[node["key"]] for node in nodes if node["key"] in names_of}
        pods = found.pods_of(Role.SUPERNODE)[:NAMED_PODS] if found.colocated else []
        return {said: found.short(pod) for pod in pods for said in self._said_ids(pod)}

    def _said_ids(self, pod: Mapping[str, Any]) -> list[str]:
        """Return the ids that a SuperNode's log says that it has."""
        return [found[1] for line in self._first_lines(pod) if (found := SAID_ID.search(line))]

    def beginnings(self, found: Living) -> dict[str, str]:
        """Return how the logs begin that tell how the processes of apps begin, by the names of their Pods."""
        return {name(pod): "\n".join(self._first_lines(pod)) for pod in found.telling[:TELLING_PODS]}

    def _first_lines(self, pod: Mapping[str, Any]) -> list[str]:
        """Return the first lines of a Pod's log, of its container with Flower's programs; none if it has none."""
        with suppress(ClusterRefused):
            return list(islice(self.cluster.logs(name(pod), self.namespace, container=container(pod)), SAID_LINES))
        return []

    def nodes_expected(self) -> int:
        """Return how many SuperNodes there shall be."""
        return self.look().wanted(Role.SUPERNODE)

    def clientapp_traceback(self, since: float, errors: Sequence[str]) -> str:
        """Return what ClientApps' logs since a Unix time say of the first of some error replies; see `cause`."""
        found = self.look()
        role = Role.SUPERNODE if found.colocated else Role.CLIENTAPP_SUPEREXEC
        seconds = max(1, int(time.time() - since) + 1)
        told = []
        for pod in found.pods_of(role)[:TRACEBACK_PODS]:
            lines = self.cluster.logs(name(pod), self.namespace, container=container(pod), since_seconds=seconds)
            told.append((found.short(pod), "\n".join(line.removeprefix("superexec | ") for line in lines)))
        return cause(told, errors)

    def serverapp_ending(self, since: float) -> str:
        """Return how the last ServerApp's process ended since a Unix time, as a clause; empty if nothing says it."""
        seconds = max(1, int(time.time() - since) + 1)
        for pod in self.look().pods_of(Role.SERVERAPP_SUPEREXEC):
            lines = self.cluster.logs(name(pod), self.namespace, since_seconds=seconds)
            if said := serverapp_ending("\n".join(lines)):
                return said
        return ""

    def results_kept(self, flower_id: str) -> str | None:
        """Return where a run's results lie, as ``persistentvolumeclaim/CLAIM/RUN``; None if nothing was saved."""
        for pod in self.look().pods_of(Role.SERVERAPP_SUPEREXEC):
            claim = results_claim(pod)
            if claim is None or not looking.is_running(pod):
                continue
            command = ["python", "-I", "-c", _ANY_FILE, f"{RESULTS}/{flower_id}"]
            with self.cluster.stream(name(pod), self.namespace, container(pod), command) as stream:
                said = b"".join(stream.read())
            return f"persistentvolumeclaim/{claim}/{flower_id}" if said.strip() == b"True" else None
        return None


def results_claim(pod: looking.Object) -> str | None:
    """Return the claim on which a ServerApp's results lie; None where they have no volume."""
    spec = pod["spec"]
    mounted = {
        mount["name"] for mount in spec["containers"][0].get("volumeMounts") or [] if mount["mountPath"] == RESULTS
    }
    claims = (
        volume["persistentVolumeClaim"]["claimName"]
        for volume in spec.get("volumes") or []
        if volume["name"] in mounted and "persistentVolumeClaim" in volume
    )
    return next(claims, None)
