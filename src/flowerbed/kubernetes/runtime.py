"""The Kubernetes runtime: the verbs on a federation that lives in a namespace.

Nothing of it runs beside the federation: what is known comes from the API server (Pods and their readiness), from
the SuperLink itself, and from the records of runs; what is wanted is applied. So a command can be killed at any
moment, and the next one goes on from what is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowerbed.errors import ClusterRefused
from flowerbed.flower.releases import Row
from flowerbed.kubernetes import belonging, labels, replacing
from flowerbed.kubernetes.applying import Agreed, Applier
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.living import Living, name, never_started
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.observing import Observer
from flowerbed.kubernetes.running import Runs, stopped
from flowerbed.kubernetes.waiting import Watch, wait_for_stale, wait_until_gone, wait_until_ready
from flowerbed.runs.changes import Act, refusal, sentences
from flowerbed.runs.records import Phase, RunRecord
from flowerbed.runs.runtime import ComponentStatus, Event, FederationStatus, external_status
from flowerbed.spec.model import Federation
from flowerbed.topology.build import protection
from flowerbed.topology.model import Role

if TYPE_CHECKING:
    from flowerbed.kubernetes.keeping import Keeper

Object = dict[str, Any]


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
        self.observer = Observer(cluster, federation, namespace)
        self.book = Runs(self.observer, self.report)
        self.created: set[tuple[str, str]] = set()
        """Kinds and names of what `up` made that was not there before."""
        self._events: list[Event] = []

    def close(self) -> None:
        """Leave the federation to itself."""
        self.book.leave()
        self.observer.close()

    # What is.

    def look(self) -> Living:
        """Return what of the federation is in the cluster now."""
        return self.observer.look()

    def is_up(self) -> bool:
        """Tell whether there is anything of it."""
        return self.look().exists

    def status(self) -> FederationStatus:
        """Return the federation as the cluster and the SuperLink tell of it now."""
        found = self.look()
        if not found.exists:
            strangers = found.strangers
            return FederationStatus(self.federation, "", "foreign" if strangers else "down", reason=strangers)
        seen, _ = self.observer.readiness(found, patience=10.0)
        self.adopt()
        reason = ""
        if not seen.ready:
            problems = self.observer.problems()
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
            components=(*found.components(self.observer.beginnings(found)), *self.external()),
            runs=tuple(record for record in map(self._now, self.runs()) if record.phase is not Phase.FINISHED),
            reason=reason,
        )

    def _now(self, record: RunRecord) -> RunRecord:
        return record if record.phase is Phase.FINISHED else self.settle(record.number)

    def external(self) -> list[ComponentStatus]:
        """Return the SuperNodes that run elsewhere, as the SuperLink knows them."""
        found = self.observer.external(self.look(), patience=10.0)
        return [external_status(name, online=online) for name, online in found.items()]

    def events(self, *, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Return what this command saw happen, numbered above `after`."""
        yield from list(enumerate(self._events, start=1))[after:]

    def last_event(self) -> int:
        """Return the number of the newest event."""
        return len(self._events)

    def report(self, kind: str, subject: str, message: str) -> None:
        """Say that something happened."""
        self._events.append(Event(time.time(), kind, subject, message))

    # Up and down.

    def keeper(self, federation: Federation, row: Row) -> Keeper:
        """Return who keeps what the federation trusts."""
        from flowerbed.kubernetes.keeping import Keeper  # cryptography takes a moment, and few commands need it

        return Keeper(self.observer, federation, row, self.unfinished_run, self.book.note)

    def up(
        self,
        federation: Federation,
        wanted: list[Object],
        row: Row,
        *,
        watch: Watch,
        interrupted: Callable[[], int],
        force: bool = False,
    ) -> bool:
        """Make the objects so, and return when the federation is observed ready; return whether it is new.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C was typed while waiting. What was applied stays.
        UsageError
            If a run is not finished that would lose a program that it needs. Nothing was changed.
        ClusterConflict
            If somebody else manages what the file says otherwise, unless forced. Nothing was changed.
        FederationFailed
            If it does not get ready, with the reason. What was applied stays: the next `up` goes on from it.
        """
        before = self.look()
        applier = self._applier(watch)
        keeper = self.keeper(federation, row) if protection(federation).tls else None
        if keeper is not None:
            complete = keeper.with_trust(wanted, before)
            news = keeper.to_tell(complete)
        else:
            complete = wanted
        try:
            with self._agreeing(before, watch) as agreed:
                touched = applier.apply(complete, force=force, agreed=agreed)
        finally:
            self.created = applier.created
        if keeper is not None:
            keeper.await_certificate(lambda subject, message: watch(_event(subject, message)), interrupted)
        if keeper is not None and before.exists:
            for node in news.dismissed:
                watch(_event(node, "ran elsewhere, by an earlier file: its keys are taken back"))
            keeper.tell(before, news)
            if f"Secret {names.superlink_tls(self.federation)}" in applier.rewritten:
                keeper.start_superlink_again(lambda subject, message: watch(_event(subject, message)), interrupted)
        if any(kind in ("Secret", "ConfigMap") for kind, _ in applier.created):
            self._start_waiting(before, watch)
        if keeper is not None and before.exists and _trust_changed(self.federation, applier.rewritten, applier.created):
            keeper.start_theirs_again(lambda subject, message: watch(_event(subject, message)))
        changing = keeper is not None and keeper.is_changing()
        if not touched and not changing and self.observer.readiness(before, patience=10.0)[0].ready:
            return False
        wait_until_ready(self.observer, watch, interrupted)
        if keeper is not None and changing and keeper.retire(lambda subject, message: watch(_event(subject, message))):
            applier.change(keeper.with_trust(wanted, self.look()))  # so that nobody remembers the authority before
            keeper.start_theirs_again(lambda subject, message: watch(_event(subject, message)))
            wait_until_ready(self.observer, watch, interrupted)
        applier.prune()
        return not before.exists

    def preview(self, federation: Federation, wanted: list[Object], row: Row, *, force: bool = False) -> str:
        """Return what `up` would change, as one unified diff."""
        if protection(federation).tls:
            wanted = self.keeper(federation, row).with_trust(wanted, self.look())
        return self._applier(lambda _: None).preview(wanted, force=force)

    def down(
        self,
        *,
        volumes: bool = False,
        watch: Watch | None = None,
        only: Collection[tuple[str, str]] | None = None,
    ) -> bool:
        """Take the federation down and return once its Pods are gone; return whether there was anything.

        Its claims stay, and with them Flower's database and the results, unless `volumes`.

        Parameters
        ----------
        volumes : bool
            Delete the claims, the Secrets and the records of runs too.
        watch : callable or None
            Is told what happens.
        only : collection of (str, str) or None
            Kinds and names of what may be deleted; None for all that is the federation's.

        Raises
        ------
        FederationFailed
            If Pods do not end in time. All is deleted then, but for them.
        """
        say = watch or (lambda _: None)
        self.adopt()
        running = [kept for kept in self.book.kept() if kept.record.phase is not Phase.FINISHED]
        found = belonging.find(self.cluster.listing, self.namespace, self.federation)
        applier = self._applier(say)
        removed = applier.remove(volumes=volumes, only=only)
        for kept in running:
            if not volumes:
                self.book.keep(replace(kept, record=stopped(kept.record)))
        for who in applier.others:
            say(_event(self.federation, f"{who.said} had applied it: {who.after}"))
        wait_until_gone(self.observer, found, say)
        return bool(removed)

    def _start_waiting(self, before: Living, watch: Watch) -> None:
        """Have Pods made again that waited for what is there now: a kubelet looks for it again after minutes only."""
        for pod in filter(never_started, before.pods):
            watch(_event(before.short(pod), "waited for what is there now, and is made again"))
            self.cluster.delete("Pod", name(pod), self.namespace)

    def _applier(self, watch: Watch) -> Applier:
        def say(subject: str, message: str) -> None:
            watch(_event(subject, message))

        return Applier(self.cluster, self.federation, self.namespace, say)

    @contextmanager
    def _agreeing(self, before: Living, watch: Watch) -> Iterator[Agreed]:
        """Give what agrees to changes, or refuses those that a run forbids; runs are held off until they are made.

        A run's record is written before the run looks whether something is being changed, and here it is the other way
        round, so one of the two always sees the other.
        """
        superlink = next(iter(before.of(Role.SUPERLINK)), None)
        marked = False

        def mark(value: str | None) -> None:
            if superlink is not None:
                kind, called = str(superlink["kind"]), name(superlink)
                self.cluster.annotate(kind, called, self.namespace, {labels.CHANGING: value})

        def agreed(foreseen: list[tuple[Object | None, Object]], surplus: list[Object]) -> None:
            nonlocal marked
            found = replacing.changes(self.federation, foreseen, surplus)
            if not (found and before.exists):
                return
            if any(change.ends_runs for change in found):
                mark(f"{time.time():.3f}")
                marked = True
            run = self.unfinished_run()
            if (refused := refusal(found, run, on="--on kubernetes")) is not None:
                raise refused
            for sentence in sentences(found):
                watch(Event(time.time(), "change", self.federation, sentence))
            for change in found:
                if run is not None and change.act is not Act.START:
                    self.book.note(change.past)

        try:
            yield agreed
        finally:
            if marked:
                with suppress(ClusterRefused):  # it may have been taken down meanwhile
                    mark(None)

    def await_stale(self, *, watch: Watch, interrupted: Callable[[], int]) -> None:
        """Return once no SuperNode that is gone counts as online."""
        wait_for_stale(self.observer, watch, interrupted)

    def require(self) -> Living:
        """Return what lives.

        Raises
        ------
        NotRunning
            If nothing of it does.
        """
        return self.observer.require()

    def serves(self, row: Row) -> bool:
        """Tell whether what is up runs the release that is asked for."""
        found = self.look()
        return found.exists and found.release == str(row.release)

    # Runs.

    def adopt(self) -> None:
        """Take runs into history that somebody else submitted, if the SuperLink can be asked."""
        self.book.adopt()

    def runs(self) -> list[RunRecord]:
        """Return every run of history, oldest first."""
        return self.book.all()

    def run(self, number: int) -> RunRecord:
        """Return a run as it is now known."""
        return self.book.one(number)

    def settle(self, number: int) -> RunRecord:
        """Return a run, judged if it has finished while nobody watched."""
        return self.book.settle(number)

    def unfinished_run(self, *, submitted: bool = False) -> int | None:
        """Return the number of a run that is not finished; None if there is none.

        Parameters
        ----------
        submitted : bool
            Only of those that the SuperLink has taken: the command that was to submit another may be gone.
        """
        self.adopt()
        records = [self.settle(record.number) for record in self.runs()]
        unfinished = [record for record in records if record.phase is not Phase.FINISHED]
        return next((record.number for record in unfinished if not submitted or record.flower_id is not None), None)

    def stop(self, number: int) -> None:
        """Stop a run; one that was never submitted is given up."""
        self.book.stop(number)

    def wait_finished(self, number: int, *, timeout: float = 90.0) -> RunRecord:
        """Return a run once it has its verdict."""
        return self.book.wait_finished(number, timeout=timeout)


def _trust_changed(federation: str, rewritten: Collection[str], created: Collection[tuple[str, str]]) -> bool:
    """Tell whether an apply changed what Pods read once, at their start."""
    read = [("ConfigMap", names.authority(federation))]
    read += [("Secret", secret(federation)) for secret in (names.superexec, names.supernode_secret)]
    return any(f"{kind} {called}" in rewritten for kind, called in read if (kind, called) not in created)


def _event(subject: str, message: str) -> Event:
    return Event(time.time(), "apply", subject, message)
