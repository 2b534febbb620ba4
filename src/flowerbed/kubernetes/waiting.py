"""Waiting until a federation is observed ready, saying meanwhile what is missing, and giving up for a reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flowerbed.counting import counted
from flowerbed.errors import ClusterRefused, FederationFailed
from flowerbed.kubernetes.belonging import Belongings, selector
from flowerbed.kubernetes.explain import pods
from flowerbed.kubernetes.explain.model import Reason, Seen
from flowerbed.kubernetes.explain.reading import controller, number, text
from flowerbed.kubernetes.living import Living, container_statuses, is_made, metadata, name
from flowerbed.kubernetes.observing import Observer
from flowerbed.runs.runtime import Event
from flowerbed.topology.model import Role

Watch = Callable[[Event], None]

POLL_SECONDS = 0.5
EXPLAIN_SECONDS = 2.0
"""How often the reasons are looked for while something is not ready."""
FATAL_SECONDS = 15.0
"""A reason that waiting does not cure ends the waiting after so long: some cure themselves a moment later."""
STALLED_SECONDS = 300.0
"""Nothing has changed for so long: it will not get ready."""
STALE_SECONDS = 120.0
"""How long SuperNodes that only count as online keep a run waiting; two heartbeats at most are overdue by then."""
GONE_SECONDS = 120.0
"""How long Pods may take beyond the time that they are given to end: their node may be slow, or not answer."""
_MOST = 5
LOG_LINES = 15
"""How many last lines of a crash loop's log are shown."""


def wait_until_ready(observer: Observer, watch: Watch, interrupted: Callable[[], int]) -> None:
    """Return once a federation is observed ready.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C was typed meanwhile.
    FederationFailed
        If it does not get ready, or is taken down.
    """
    _Waiting(observer, watch).wait(interrupted)


def wait_for_stale(observer: Observer, watch: Watch, interrupted: Callable[[], int]) -> None:
    """Return once no SuperNode counts as online that is gone: a run would ask it, and wait in vain.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C was typed meanwhile.
    """
    until, told = time.monotonic() + STALE_SECONDS, 0
    while True:
        _, stale = observer.readiness(observer.look(), patience=10.0)
        if not stale:
            return
        if interrupted():
            raise KeyboardInterrupt
        late = time.monotonic() > until
        if late or stale != told:
            told = stale
            count = counted(stale, "SuperNode counts", "SuperNodes count")
            then = "the run begins all the same" if late else "waiting until the SuperLink misses a heartbeat"
            watch(Event(time.time(), "unit", observer.federation, f"{count} as online without a ready Pod; {then}"))
        if late:
            return
        time.sleep(POLL_SECONDS)


def wait_until_gone(observer: Observer, removed: Belongings, watch: Watch) -> None:
    """Return once the Pods of a federation that was removed are gone, and say what keeps one that stays.

    A Pod that no workload made is left alone, whatever its labels say. So is one that somebody else's workload makes in
    the meantime: who applied the federation may apply it again.

    Parameters
    ----------
    observer : Observer
        Looks at the federation.
    removed : Belongings
        What there was of it.
    watch : callable
        Is told what happens.

    Raises
    ------
    FederationFailed
        If Pods have not ended a good while after their time.
    """
    told: set[tuple[str, str]] = set()
    makers = {text(item, "metadata", "uid") for item in (*removed.statefulsets, *removed.replicasets)}
    until: float | None = None

    def say(subject: str, message: str) -> None:
        if (subject, message) not in told:
            told.add((subject, message))
            watch(Event(time.time(), "unit", subject, message))

    labelled = observer.cluster.listing("Pod", observer.namespace, labels=selector(observer.federation))
    makers |= {text(controller(pod), "uid") for pod in labelled} - {""}  # also where `down` was broken off before
    while True:
        found = observer.cluster.listing("Pod", observer.namespace)
        ending = [pod for pod in found if text(controller(pod), "uid") in makers]
        for other in (name(pod) for pod in labelled if not is_made(pod)):
            way = f"kubectl delete pod -n {observer.namespace} {other}"
            say(other, f"it has this federation's labels, but no workload made it, so it stays; `{way}` ends it")
        if not ending:
            return
        say(observer.federation, counted(len(ending), "Pod is ending", "Pods are ending"))
        now = Seen(now=datetime.now(UTC))
        for pod in (one for one in ending if metadata(one).get("deletionTimestamp")):
            if reason := pods.explain(pod, now):
                say(reason.subject, " ".join(filter(None, [f"{reason.message}.", reason.hint])))
        until = until or time.monotonic() + max(map(_grace, ending)) + GONE_SECONDS
        if time.monotonic() > until:
            stay = ", ".join(map(name, ending[:_MOST])) + (f" and {len(ending) - _MOST} more" if ending[_MOST:] else "")
            raise FederationFailed(
                f"{stay}: not ended {GONE_SECONDS:g} s after the time that Pods are given to end",
                where=observer.where,
                hint="They are deleted, and end once nothing keeps them; `kubectl describe pod` says what does."
                " `flowerbed down --on kubernetes` waits for them again.",
            )
        time.sleep(POLL_SECONDS)


def _grace(pod: Mapping[str, Any]) -> int:
    """Return how many seconds a Pod may take to end; it was asked a moment ago."""
    return number(pod, "spec", "terminationGracePeriodSeconds") or 0


class _Waiting:
    def __init__(self, observer: Observer, watch: Watch) -> None:
        self._observer = observer
        self._watch = watch
        self._shown: tuple[object, ...] | None = None
        self._changed = self._explained = time.monotonic()
        self._fatal: dict[str, float] = {}
        self._told: set[str] = set()

    def wait(self, interrupted: Callable[[], int]) -> None:
        while True:
            found = self._observer.look()
            if not found.exists:
                raise FederationFailed(
                    "it was taken down by another command before it was ready",
                    where=self._observer.where,
                    hint="`flowerbed up --on kubernetes` starts it again.",
                )
            # Each question is a write in the SuperLink's database: asked only once a SuperNode says it is ready.
            patience = 5.0 if found.ready(Role.SUPERNODE) else 0.0
            seen, stale = self._observer.readiness(found, patience=patience)
            if seen.ready and settled(found) and not stale:
                self._say("ready", self._observer.federation, seen.counts)
                return
            if interrupted():
                raise KeyboardInterrupt
            self._show(found, seen.counts)
            self._explain()
            if time.monotonic() - self._changed > STALLED_SECONDS:
                why = "\n".join(map(str, self._observer.problems())) or seen.reason
                raise FederationFailed(
                    f"nothing has happened for {STALLED_SECONDS:g} s: {why}",
                    where=self._observer.where,
                    hint="`flowerbed status --on kubernetes` says more; `flowerbed down --on kubernetes` removes it.",
                )
            time.sleep(POLL_SECONDS)

    def _say(self, kind: str, subject: str, message: str) -> None:
        self._watch(Event(time.time(), kind, subject, message))

    def _show(self, found: Living, counts: str) -> None:
        current = (counts, [(item.name, item.state, item.restarts) for item in found.components()])
        if current != self._shown:
            if self._shown is None or self._shown[0] != counts:
                self._say("unit", self._observer.federation, counts)
            self._shown, self._changed = current, time.monotonic()

    def _explain(self) -> None:
        """Say what keeps it, once each; give up for what waiting does not cure."""
        now = time.monotonic()
        if now - self._explained < EXPLAIN_SECONDS:
            return
        self._explained = now
        problems = self._observer.problems()
        for problem in problems:
            if problem.message not in self._told:
                self._told.add(problem.message)
                self._say("unit", problem.subject, problem.message)
        self._fatal = {item.message: self._fatal.get(item.message, now) for item in problems if item.fatal}
        for problem in problems:
            if problem.fatal and now - self._fatal[problem.message] >= FATAL_SECONDS:
                raise self._failed(problem)

    def _failed(self, problem: Reason) -> FederationFailed:
        hint = problem.hint or "Mend it and run `flowerbed up --on kubernetes` again, which goes on from here."
        tail = self._tail(problem.subject)
        return FederationFailed(
            problem.message, where=problem.subject, hint=f"{hint}\n--- {problem.subject}\n{tail}" if tail else hint
        )

    def _tail(self, pod: str) -> str:
        """Return the last lines of a Pod that ended, or ends again and again; empty where there are none."""
        cluster, namespace = self._observer.cluster, self._observer.namespace
        living = cluster.get("Pod", pod, namespace)
        statuses = container_statuses(living or {})
        container = next((str(status["name"]) for status in statuses if status.get("restartCount")), None)
        if container is None:
            return ""
        try:
            return "\n".join(cluster.logs(pod, namespace, container=container, tail=LOG_LINES))
        except ClusterRefused:
            return ""


def settled(found: Living) -> bool:
    """Tell whether every workload has the Pods that its newest spec asks for, and no other."""
    for item in found.workloads:
        status, wanted = item.get("status") or {}, int((item.get("spec") or {}).get("replicas") or 0)
        if int(status.get("observedGeneration") or 0) < int(metadata(item).get("generation") or 0):
            return False
        if int(status.get("updatedReplicas") or 0) < wanted or int(status.get("replicas") or 0) != wanted:
            return False
    return True
