"""The Kubernetes runtime: the verbs on a federation that lives in a namespace.

Nothing of it runs beside the federation: what is known comes from the API server (Pods and their readiness), from
the SuperLink itself (through `flowerbed.kubernetes.control`), and from the records of runs; what is wanted is
applied. So a command can be killed at any moment, and the next one goes on from what is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from flowerbed.errors import ClusterRefused, ControlError, FederationFailed, NotRunning, UnknownRunError, UsageError
from flowerbed.flower.releases import Row, find
from flowerbed.kubernetes import living as looking
from flowerbed.kubernetes import reasons, run_records
from flowerbed.kubernetes.applying import Applier
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.connections import peers
from flowerbed.kubernetes.control import ControlLink, Place
from flowerbed.kubernetes.following import Follower
from flowerbed.kubernetes.living import Living, container_statuses, metadata, name
from flowerbed.kubernetes.manifests.run_job import run_job
from flowerbed.kubernetes.run_records import Kept
from flowerbed.kubernetes.submission import Submission
from flowerbed.runs.readiness import Readiness
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.runs.runtime import Event, FederationStatus
from flowerbed.runs.tracebacks import last_traceback
from flowerbed.spec.model import App
from flowerbed.topology.model import Role

Object = dict[str, Any]
Watch = Callable[[Event], None]

POLL_SECONDS = 0.5
EXPLAIN_SECONDS = 2.0
"""How often the reasons are looked for while something is not ready."""
FATAL_SECONDS = 15.0
"""A reason that waiting does not cure ends the waiting after so long: some cure themselves a moment later."""
STALLED_SECONDS = 300.0
"""Nothing has changed for so long: it will not get ready."""
POD_SECONDS = 180.0
"""How long a run's Pod may take to start and to submit."""
SUBMITTING_SECONDS = 30.0
"""A run that is being submitted for longer may have lost its command, and is looked after by whoever looks at it."""
TRACEBACK_PODS = 20
"""How many Pods' logs are searched for a ClientApp's traceback at most."""
LOG_LINES = 15
"""How many last lines of a crash loop's log are shown."""


class KubernetesRuntime:
    """One federation in a namespace, there or not.

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
        self._events: list[Event] = []
        self._followers: dict[int, Follower] = {}
        self._link: ControlLink | None = None
        self._stale = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Leave the federation to itself."""
        for follower in self._followers.values():
            follower.leave()
        if self._link is not None:
            self._link.close()

    # What is.

    @property
    def link(self) -> ControlLink:
        """The control client in the SuperLink's Pod; started at first use."""
        with self._lock:
            if self._link is None:
                self._link = ControlLink(self.cluster, self._place)
            return self._link

    def look(self) -> Living:
        """Return what of the federation is in the cluster now."""
        mine = looking.selector(self.federation)
        workloads = [
            item
            for kind in ("StatefulSet", "Deployment")
            for item in self.cluster.listing(kind, self.namespace, labels=mine)
        ]
        pods = self.cluster.listing("Pod", self.namespace, labels=mine)
        return looking.read(self.federation, self.namespace, workloads, pods)

    def is_up(self) -> bool:
        """Tell whether there is anything of it."""
        return self.look().exists

    def status(self) -> FederationStatus:
        """Return the federation as the cluster and the SuperLink tell of it now."""
        found = self.look()
        if not found.exists:
            return FederationStatus(self.federation, "", "down")
        seen = self._readiness(found, patience=10.0)
        reason = ""
        if not seen.ready:
            problems = self.problems()
            loop = next((str(item) for item in problems if item.fatal), "")
            seen = replace(seen, loop=loop)
            reason = "\n".join(map(str, problems)) or seen.reason
        return FederationStatus(
            name=self.federation,
            flower=found.release,
            state=seen.state,
            nodes_online=seen.nodes_online,
            nodes_expected=seen.nodes_expected,
            superexecs_connected=seen.superexecs_connected,
            superexecs_expected=seen.superexecs_expected,
            components=tuple(found.components()),
            runs=tuple(record for record in self.runs() if record.phase is not Phase.FINISHED),
            reason=reason,
        )

    def events(self, *, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Return what this command saw happen, numbered above `after`."""
        yield from list(enumerate(self._events, start=1))[after:]

    def last_event(self) -> int:
        """Return the number of the newest event."""
        return len(self._events)

    def report(self, kind: str, subject: str, message: str) -> None:
        """Say that something happened."""
        self._events.append(Event(time.time(), kind, subject, message))

    def explain(self) -> str:
        """Return in sentences why it is not ready, worst first; empty if there is nothing to say."""
        return "\n".join(map(str, self.problems()))

    def problems(self) -> list[reasons.Reason]:
        """Return what keeps it from being ready, worst first, with the last lines of what crashes."""
        seen = reasons.gather(self.cluster.listing, self.namespace, looking.selector(self.federation))
        return reasons.problems(seen)

    # Up and down.

    def up(
        self, wanted: list[Object], row: Row, *, watch: Watch, interrupted: Callable[[], int], force: bool = False
    ) -> bool:
        """Make the objects so, and return when the federation is observed ready; return whether it is new.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C was typed while waiting. What was applied stays.
        ClusterConflict
            If another field manager owns what the file says otherwise, unless forced. Nothing was changed.
        FederationFailed
            If it does not get ready, with the reason. What was applied stays: the next `up` goes on from it.
        """
        before = self.look()
        self._refuse_release_change(before, row)
        applier = self._applier(watch)
        touched = applier.apply(wanted, force=force)
        if not touched and self._readiness(before, patience=10.0).ready:
            return False
        self._wait_ready(watch, interrupted)
        return not before.exists

    def preview(self, wanted: list[Object], *, force: bool = False) -> str:
        """Return what `up` would change, as one unified diff."""
        return self._applier(lambda _: None).preview(wanted, force=force)

    def down(self, *, volumes: bool = False, watch: Watch | None = None) -> bool:
        """Take the federation down and return once its Pods are gone; return whether there was anything.

        Its claims stay, and with them Flower's database and the results, unless `volumes`.
        """
        say = watch or (lambda _: None)
        running = [kept for kept in self._kept() if kept.record.phase is not Phase.FINISHED]
        removed = self._applier(say).remove(volumes=volumes)
        for kept in running:
            if not volumes:
                self.keep(replace(kept, record=_stopped(kept.record)))
        mine = looking.selector(self.federation)
        while pods := self.cluster.listing("Pod", self.namespace, labels=mine):
            say(Event(time.time(), "unit", self.federation, f"{len(pods)} Pods are ending"))
            time.sleep(POLL_SECONDS)
        return bool(removed)

    def _applier(self, watch: Watch) -> Applier:
        def say(subject: str, message: str) -> None:
            watch(Event(time.time(), "apply", subject, message))

        return Applier(self.cluster, self.federation, self.namespace, say)

    def _refuse_release_change(self, before: Living, row: Row) -> None:
        if not before.release or before.release == str(row.release):
            return
        records = [self.settle(record.number) for record in self.runs()]
        unfinished = [record for record in records if record.phase is not Phase.FINISHED]
        if unfinished:
            number = unfinished[0].number
            raise UsageError(
                f"the federation runs Flower {before.release} and the file now asks for {row.release},"
                f" but run {number} is not finished",
                hint=f"Wait for it, or stop it with `flowerbed stop {number} --on kubernetes`, and run `up` again.",
            )

    def _wait_ready(self, watch: Watch, interrupted: Callable[[], int]) -> None:
        shown: tuple[object, ...] | None = None
        changed = explained = time.monotonic()
        fatal: dict[str, float] = {}
        told: set[str] = set()
        while True:
            found = self.look()
            # Each question is a write in the SuperLink's database: asked only once a SuperNode says it is ready.
            if not found.exists:
                raise FederationFailed(
                    "it was taken down by another command before it was ready",
                    where=f"{self.namespace}/{self.federation}",
                    hint="`flowerbed up --on kubernetes` starts it again.",
                )
            seen = self._readiness(found, patience=5.0 if found.ready(Role.SUPERNODE) else 0.0)
            if seen.ready and settled(found) and not self._stale:
                watch(Event(time.time(), "ready", self.federation, seen.counts))
                return
            if interrupted():
                raise KeyboardInterrupt
            now = time.monotonic()
            current = (seen.counts, [(item.name, item.state, item.restarts) for item in found.components()])
            if current != shown:
                if shown is None or shown[0] != seen.counts:
                    watch(Event(time.time(), "unit", self.federation, seen.counts))
                shown, changed = current, now
            if now - explained >= EXPLAIN_SECONDS:
                explained = now
                problems = self.problems()
                for problem in problems:
                    if problem.message not in told:
                        told.add(problem.message)
                        watch(Event(time.time(), "unit", problem.subject, problem.message))
                fatal = {problem.message: fatal.get(problem.message, now) for problem in problems if problem.fatal}
                for problem in problems:
                    if problem.fatal and now - fatal[problem.message] >= FATAL_SECONDS:
                        raise self._failed(problem)
            if now - changed > STALLED_SECONDS:
                raise FederationFailed(
                    f"nothing has happened for {STALLED_SECONDS:g} s: {self.explain() or seen.reason}",
                    where=f"{self.namespace}/{self.federation}",
                    hint="`flowerbed status --on kubernetes` says more; `flowerbed down --on kubernetes` removes it.",
                )
            time.sleep(POLL_SECONDS)

    def _failed(self, problem: reasons.Reason) -> FederationFailed:
        hint = problem.hint or "Mend it and run `flowerbed up --on kubernetes` again, which goes on from here."
        tail = self._tail(problem.subject)
        return FederationFailed(
            problem.message, where=problem.subject, hint=f"{hint}\n--- {problem.subject}\n{tail}" if tail else hint
        )

    def _tail(self, pod: str) -> str:
        """Return the last lines of a Pod that ended, or ends again and again; empty where there are none."""
        living = self.cluster.get("Pod", pod, self.namespace)
        if living is None or not any(status.get("restartCount") for status in container_statuses(living)):
            return ""
        try:
            return "\n".join(self.cluster.logs(pod, self.namespace, tail=LOG_LINES))
        except ClusterRefused:
            return ""

    def _readiness(self, found: Living, *, patience: float, loop: str = "") -> Readiness:
        online = self._nodes_online(found, patience)
        running = sum(1 for pod in found.pods_of(Role.SUPERNODE) if looking.is_running(pod))
        self._stale = max(0, online - running)  # killed ones, which count as online until a heartbeat is overdue
        return Readiness(
            nodes_online=min(online, running),
            nodes_expected=found.wanted(Role.SUPERNODE),
            superexecs_connected=found.superexecs_ready,
            superexecs_expected=found.superexecs_wanted,
            loop=loop,
        )

    def _nodes_online(self, found: Living, patience: float) -> int:
        """Return how many SuperNodes the SuperLink knows as online."""
        if found.superlink() is None or patience <= 0:
            return 0
        try:
            return sum(1 for node in self.link.ask("nodes", timeout=patience) if node["online"])
        except ControlError as error:
            if error.where != "unsupported":
                return 0
        return self._nodes_connected(found)

    def _nodes_connected(self, found: Living) -> int:
        """Count the SuperNodes that hold a connection to the SuperLink: all that 1.22 without a database shows."""
        superlink = found.superlink()
        if superlink is None:
            return 0
        row = find(found.release)
        [program] = [port for port in row.contract.superlink(row.minor).ports if port.name == row.contract.fleet_port()]
        command = ["python", "-c", "print(open('/proc/net/tcp').read(), open('/proc/net/tcp6').read())"]
        container = superlink["spec"]["containers"][0]["name"]
        with self.cluster.stream(name(superlink), self.namespace, container, command) as stream:
            text = b"".join(stream.read()).decode()
        return len(peers(text, program.default))

    def _place(self) -> Place | None:
        found = self.look()
        superlink = found.superlink()
        if superlink is None:
            return None
        row = find(found.release)
        container = superlink["spec"]["containers"][0]
        port = next(
            item.default for item in row.contract.superlink(row.minor).ports if item.name == row.contract.control_port()
        )
        words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
        database = words[words.index("--database") + 1] if "--database" in words else None
        arguments = ["--dialect", row.contract.dialect, "--address", f"127.0.0.1:{port}"]
        return Place(
            self.namespace,
            name(superlink),
            str(container["name"]),
            (*arguments, *(["--database", database] if database else [])),
        )

    # Runs.

    def serves(self, row: Row) -> bool:
        """Tell whether what is up runs the release that is asked for."""
        found = self.look()
        return found.exists and found.release == str(row.release)

    def submit_app(
        self,
        row: Row,
        image: App,
        app: Path | None,
        requirements: tuple[Requirement, ...],
        config: dict[str, object],
        *,
        title: str,
        timeout: float | None = None,
    ) -> int:
        """Submit a staged app, or with None what the image holds; return the run's number once it is taken."""
        living = self.look()
        if not living.exists:
            raise NotRunning(
                "the federation is not up",
                where=f"{self.namespace}/{self.federation}",
                hint="Start it with `flowerbed up --on kubernetes`.",
            )
        kept = self._open_run(
            Kept(
                RunRecord(0, None, title, Phase.SUBMITTING, config=config, submitted_at=time.time()),
                timeout,
                self.serverapp_incarnation(),
            )
        )
        number = kept.record.number
        job = run_job(self.federation, self.namespace, number, row, image, config=config, baked=app is None)

        def why() -> str:
            """Tell what keeps the run's own Pod from running; another one's trouble is no reason not to submit."""
            mine = (item for item in self.problems() if item.fatal and item.subject.startswith(name(job)))
            return next(map(str, mine), "")

        try:
            answer = Submission(self.cluster, job, why).submit(app, requirements, patience=POD_SECONDS)
        except BaseException as error:
            self.keep(replace(kept, record=_failed(kept.record, f"it was not submitted: {error}")))
            raise
        kept = replace(kept, record=replace(kept.record, flower_id=str(answer["run"]), phase=Phase.PENDING))
        self.keep(kept)
        self.report("run", str(number), f"taken by the SuperLink as {answer['run']}")
        self._followers[number] = Follower(self, kept)
        return number

    def _open_run(self, kept: Kept) -> Kept:
        while True:
            number = run_records.next_number(self._kept())
            numbered = replace(kept, record=replace(kept.record, number=number))
            try:
                self.cluster.create(run_records.to_object(self.federation, self.namespace, numbered))
            except ClusterRefused as error:
                if error.reason != "AlreadyExists":
                    raise
                continue
            return numbered

    def keep(self, kept: Kept) -> None:
        """Write down what is known of a run."""
        self.cluster.apply(run_records.to_object(self.federation, self.namespace, kept), force=True)

    def _kept(self) -> list[Kept]:
        return run_records.from_objects(
            self.cluster.listing("ConfigMap", self.namespace, labels=looking.selector(self.federation))
        )

    def runs(self) -> list[RunRecord]:
        """Return every run of history, oldest first."""
        return [
            self._followers[item.record.number].record if item.record.number in self._followers else item.record
            for item in self._kept()
        ]

    def run(self, number: int) -> RunRecord:
        """Return a run as it is now known; one that nobody has watched to its end is read and judged now."""
        return self.follower(number).record if number in self._followers else self._one(number).record

    def follower(self, number: int, *, on_text: Callable[[str], None] | None = None) -> Follower:
        """Return who follows a run; it begins now if nobody did."""
        if number not in self._followers or on_text is not None:
            self._followers[number] = Follower(self, self._one(number), on_text=on_text)
        return self._followers[number]

    def settle(self, number: int, *, patience: float = 60.0) -> RunRecord:
        """Return a run, judged if it has finished while nobody watched."""
        kept = self._submitted(self._one(number))
        if kept.record.phase is Phase.FINISHED or kept.record.flower_id is None or not self.is_up():
            return kept.record
        try:
            state = self.link.ask("runs", run=kept.record.flower_id, timeout=15)
        except ControlError as error:
            if error.where != "not-found":
                return kept.record  # it cannot be known now
            state = [{"status": "finished"}]
        if state and state[0]["status"] == "finished":
            return self.follower(number).wait(patience)
        return kept.record

    def _submitted(self, kept: Kept) -> Kept:
        """Return a run with its Flower id, also where the command that submitted it was killed before it wrote that."""
        record = kept.record
        if record.phase is not Phase.SUBMITTING or time.time() - (record.submitted_at or 0.0) < SUBMITTING_SECONDS:
            return kept
        job = {
            "metadata": {"name": run_records.object_name(self.federation, record.number), "namespace": self.namespace}
        }
        answer = Submission(self.cluster, job, str).earlier()
        if answer is None:
            return kept
        if answer["ok"]:
            known = replace(record, flower_id=str(answer["run"]), phase=Phase.PENDING)
        else:
            known = _failed(record, f"it was not submitted: {answer['error']['message']}")
        kept = replace(kept, record=known)
        self.keep(kept)
        return kept

    def stop(self, number: int) -> None:
        """Stop a run; one that was never submitted is given up."""
        kept = self._submitted(self._one(number))
        if kept.record.phase is Phase.FINISHED:
            return
        if kept.record.flower_id is not None:
            self.follower(number).stop()
            return
        self.cluster.delete("Job", run_records.object_name(self.federation, number), self.namespace)
        stopped = replace(_stopped(kept.record), reason="it was stopped before it was submitted")
        self.keep(replace(kept, record=stopped))

    def wait_finished(self, number: int, *, timeout: float = 90.0) -> RunRecord:
        """Return a run once it has its verdict."""
        known = self._one(number).record
        record = known if known.phase is Phase.FINISHED else self.follower(number).wait(timeout)
        if record.phase is not Phase.FINISHED:
            raise ControlError(
                f"run {number} did not finish within {timeout:g} s",
                hint="`flowerbed status --on kubernetes` says more.",
            )
        return record

    def _one(self, number: int) -> Kept:
        for kept in self._kept():
            if kept.record.number == number:
                return kept
        raise UnknownRunError(f"there is no run {number}", where=f"{self.namespace}/{self.federation}")

    # What a follower asks.

    def serverapp_incarnation(self) -> str:
        """Return which incarnation of the ServerApp's SuperExec is there; empty if none runs."""
        return next((looking.incarnation(pod) for pod in self.look().pods_of(Role.SERVERAPP_SUPEREXEC)), "")

    def nodes_expected(self) -> int:
        """Return how many SuperNodes there shall be."""
        return self.look().wanted(Role.SUPERNODE)

    def clientapp_traceback(self, since: float) -> str:
        """Return the last traceback in a ClientApp's log since a Unix time."""
        found = self.look()
        role = Role.SUPERNODE if found.colocated else Role.CLIENTAPP_SUPEREXEC
        seconds = max(1, int(time.time() - since) + 1)
        for pod in found.pods_of(role)[:TRACEBACK_PODS]:
            lines = self.cluster.logs(name(pod), self.namespace, since_seconds=seconds)
            text = "\n".join(line.removeprefix("superexec | ") for line in lines)
            if said := last_traceback(text):
                return said
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


def _failed(record: RunRecord, reason: str) -> RunRecord:
    return replace(record, phase=Phase.FINISHED, verdict=Verdict.FAILED, reason=reason, finished_at=time.time())


def _stopped(record: RunRecord) -> RunRecord:
    reason = "the federation was taken down"
    return replace(record, phase=Phase.FINISHED, verdict=Verdict.STOPPED, reason=reason, finished_at=time.time())
