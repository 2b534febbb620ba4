"""The runs of a federation in a cluster: submitting, following, judging late, stopping; each kept as a ConfigMap.

A command can be killed at any moment: the next one finds the run's record, the Job that submitted it, and what the
SuperLink knows, and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from flowerbed.errors import ClusterRefused, ControlError, UnknownRunError
from flowerbed.flower.releases import Row
from flowerbed.kubernetes import belonging, labels, run_records
from flowerbed.kubernetes.following import Follower
from flowerbed.kubernetes.living import name
from flowerbed.kubernetes.manifests.run_job import run_job
from flowerbed.kubernetes.observing import Observer
from flowerbed.kubernetes.run_records import Kept
from flowerbed.kubernetes.submission import Submission
from flowerbed.kubernetes.waiting import wait_until_ready
from flowerbed.runs import foreign
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.spec.model import FederationSpec

POD_SECONDS = 180.0
"""How long a run's Pod may take to start and to submit."""
CHANGE_SECONDS = 60.0
"""How long an `up` may take to apply its objects; one that takes longer was killed."""
CHANGE_POLL_SECONDS = 1.0
SUBMITTING_SECONDS = 30.0
"""A run that is being submitted for longer may have lost its command, and is looked after by whoever looks at it."""
ADOPT_SECONDS = 10.0
"""How long the SuperLink may take to list its runs."""
NEWEST = 50
"""How many of its newest runs are looked at; all, where it lists none that is known."""

Report = Callable[[str, str, str], None]


class Runs:
    """All runs of one federation.

    Parameters
    ----------
    observer : Observer
        Looks at the federation.
    report : callable
        Is told what happens: a kind of event, what it is about, and a message.
    """

    def __init__(self, observer: Observer, report: Report) -> None:
        self._observer = observer
        self._cluster = observer.cluster
        self._federation = observer.federation
        self._namespace = observer.namespace
        self._report = report
        self._followers: dict[int, Follower] = {}

    def leave(self) -> None:
        """Stop looking; the runs go on."""
        for follower in self._followers.values():
            follower.leave()

    # What is kept.

    def kept(self) -> list[Kept]:
        """Return what is kept of every run, oldest first."""
        return run_records.without_doubles(self._kept())

    def _kept(self) -> list[Kept]:
        return run_records.from_objects(
            self._cluster.listing("ConfigMap", self._namespace, labels=belonging.selector(self._federation))
        )

    def keep(self, kept: Kept) -> None:
        """Write down what is known of a run."""
        self._cluster.apply(run_records.to_object(self._federation, self._namespace, kept), force=True)

    def note(self, done: str) -> None:
        """Have the reasons of runs that go on, and fail, tell what Flowerbed did to the federation meanwhile."""
        for kept in self.kept():
            if kept.record.phase is not Phase.FINISHED:
                self._annotate(kept, labels.MEANWHILE, "\n".join([*kept.done_meanwhile, done]))

    def _annotate(self, kept: Kept, annotation: str, value: str) -> None:
        record = run_records.object_name(self._federation, kept.record.number)
        self._cluster.annotate("ConfigMap", record, self._namespace, {annotation: value})

    def all(self) -> list[RunRecord]:
        """Return every run of history, oldest first."""
        return [
            self._followers[item.record.number].record if item.record.number in self._followers else item.record
            for item in self.kept()
        ]

    def _find(self, number: int) -> Kept:
        for kept in self.kept():
            if kept.record.number == number:
                return kept
        raise UnknownRunError(f"there is no run {number}", where=self._observer.where)

    # Submitting.

    def submit(
        self,
        row: Row,
        spec: FederationSpec,
        app: Path | None,
        requirements: tuple[Requirement, ...],
        config: dict[str, object],
        *,
        title: str,
        timeout: float | None = None,
    ) -> int:
        """Submit a staged app, or with None what the image holds; return the run's number once it is taken."""
        self._observer.require()
        kept = self._open_run(
            Kept(
                RunRecord(0, None, title, Phase.SUBMITTING, config=config, submitted_at=time.time()),
                timeout,
                self._observer.serverapp_incarnation(),
            )
        )
        number = kept.record.number
        job = run_job(self._federation, self._namespace, number, row, spec, config=config, baked=app is None)

        def why() -> str:
            """Tell what keeps the run's own Pod from running; another one's trouble is no reason not to submit."""
            mine = (item for item in self._observer.problems() if item.fatal and item.subject.startswith(name(job)))
            return next(map(str, mine), "")

        try:
            kept = self._after_change(kept)
            answer = Submission(self._cluster, job, why).submit(app, requirements, patience=POD_SECONDS)
        except BaseException as error:
            self.keep(replace(kept, record=_failed(kept.record, f"it was not submitted: {error}")))
            raise
        kept = replace(kept, record=replace(kept.record, flower_id=str(answer["run"]), phase=Phase.PENDING))
        self.keep(kept)
        self._report("run", str(number), f"taken by the SuperLink as {answer['run']}")
        self._followers[number] = self._follow(kept)
        return number

    def _after_change(self, kept: Kept) -> Kept:
        """Return the run once no `up` changes what it needs; one that was killed is not waited for."""
        seen, since = "", time.monotonic()
        while mark := self._observer.look().changing:
            if mark != seen:
                seen, since = mark, time.monotonic()
                self._report("run", str(kept.record.number), "waits for `flowerbed up`, which changes the federation")
            if time.monotonic() - since > CHANGE_SECONDS:
                break
            time.sleep(CHANGE_POLL_SECONDS)
        if not seen:
            return kept
        wait_until_ready(self._observer, lambda event: self._report(event.kind, event.subject, event.message), int)
        kept = replace(kept, serverapp=self._observer.serverapp_incarnation())
        self.keep(kept)
        return kept

    def _open_run(self, kept: Kept) -> Kept:
        while True:
            number = run_records.next_number(self._kept())
            numbered = replace(kept, record=replace(kept.record, number=number))
            try:
                self._cluster.create(run_records.to_object(self._federation, self._namespace, numbered))
            except ClusterRefused as error:
                if error.reason != "AlreadyExists":
                    raise
                continue
            return numbered

    # Runs that somebody else submitted.

    def adopt(self) -> None:
        """Take runs into history that somebody else submitted, if the SuperLink can be asked.

        A record is opened before a run of ours is submitted, and so is in what is read after the SuperLink's list.
        """
        if self._observer.look().superlink() is None:
            return
        try:
            listed = self._observer.link.ask("runs", timeout=ADOPT_SECONDS, newest=NEWEST)
            known = self._kept()
            if listed and len(foreign.unknown(listed, _ids(known))) == len(listed):
                listed = self._observer.link.ask("runs", timeout=ADOPT_SECONDS)
                known = self._kept()
            for record in foreign.unknown(listed, _ids(known)):
                if not run_records.may_be_submitting(known, record.submitted_at or 0.0, time.time()):
                    self._adopt(record, next(found for found in listed if found["run"] == record.flower_id))
        except (ControlError, ClusterRefused):  # who may not write records can still look at those that are there
            return

    def _adopt(self, record: RunRecord, listed: Mapping[str, Any]) -> None:
        finished = listed["status"] == Phase.FINISHED
        serverapp = "" if finished else self._observer.serverapp_incarnation()
        number = self._open_run(Kept(record, None, serverapp)).record.number
        first = min(item.record.number for item in self._kept() if item.record.flower_id == record.flower_id)
        if first != number:  # another command was faster
            self._cluster.delete("ConfigMap", run_records.object_name(self._federation, number), self._namespace)
            return
        message = f"{record.flower_id} was submitted by {foreign.SUBMITTER}; it is run {number}"
        self._report("run", str(number), message)

    # Following, judging, stopping.

    def _follow(self, kept: Kept, *, glancing: bool = False) -> Follower:
        number = kept.record.number
        return Follower(
            self._observer,
            kept,
            keep=self.keep,
            report=self._report,
            glancing=glancing,
            again=lambda: self._with_restarts(number),
        )

    def _with_restarts(self, number: int) -> Kept:
        kept = self._find(number)
        restarts = self._observer.look().restarted_by_us(kept.record.submitted_at or 0.0)
        return replace(kept, done_meanwhile=(*kept.done_meanwhile, *restarts))

    def one(self, number: int) -> RunRecord:
        """Return a run as it is now known."""
        return self.follower(number).record if number in self._followers else self._find(number).record

    def follower(self, number: int) -> Follower:
        """Return who follows a run; it begins now if nobody did."""
        if number not in self._followers:
            self._followers[number] = self._follow(self._find(number))
        return self._followers[number]

    def settle(self, number: int, *, patience: float = 60.0) -> RunRecord:
        """Return a run as it is now, judged if it has finished while nobody watched."""
        kept = self._submitted(self._find(number))
        if kept.record.phase is Phase.FINISHED or kept.record.flower_id is None or not self._observer.look().exists:
            return kept.record
        try:
            state = self._observer.link.ask("runs", run=kept.record.flower_id, timeout=15)
        except ControlError as error:
            if error.where != "not-found":
                return kept.record  # it cannot be known now
            state = [{"status": "finished"}]
        if state and state[0]["status"] == "finished":
            return self.follower(number).wait(patience)
        if number not in self._followers:
            self._followers[number] = self._follow(kept, glancing=True)
        return self._followers[number].glance()

    def _submitted(self, kept: Kept) -> Kept:
        """Return a run with its Flower id, also where the command that submitted it was killed before it wrote that."""
        record = kept.record
        if record.phase is not Phase.SUBMITTING or time.time() - (record.submitted_at or 0.0) < SUBMITTING_SECONDS:
            return kept
        job = {
            "metadata": {"name": run_records.object_name(self._federation, record.number), "namespace": self._namespace}
        }
        answer = Submission(self._cluster, job, str).earlier()
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
        kept = self._submitted(self._find(number))
        if kept.record.phase is Phase.FINISHED:
            return
        if kept.record.flower_id is not None:
            self._annotate(kept, labels.STOP_ASKED, "yes")  # for another command that follows it
            self.follower(number).stop()
            return
        self._cluster.delete("Job", run_records.object_name(self._federation, number), self._namespace)
        record = replace(stopped(kept.record), reason="it was stopped before it was submitted")
        self.keep(replace(kept, record=record))

    def wait_finished(self, number: int, *, timeout: float = 90.0) -> RunRecord:
        """Return a run once it has its verdict."""
        known = self._find(number).record
        record = known if known.phase is Phase.FINISHED else self.follower(number).wait(timeout)
        if record.phase is not Phase.FINISHED:
            raise ControlError(
                f"run {number} did not finish within {timeout:g} s",
                hint="`flowerbed status --on kubernetes` says more.",
            )
        return record


def _ids(kept: Iterable[Kept]) -> set[str]:
    return {item.record.flower_id for item in kept if item.record.flower_id is not None}


def _failed(record: RunRecord, reason: str) -> RunRecord:
    return replace(record, phase=Phase.FINISHED, verdict=Verdict.FAILED, reason=reason, finished_at=time.time())


def stopped(record: RunRecord) -> RunRecord:
    """Return a run as it is when its federation is taken down below it."""
    reason = "the federation was taken down"
    return replace(record, phase=Phase.FINISHED, verdict=Verdict.STOPPED, reason=reason, finished_at=time.time())
