"""The local runtime: the verbs' requests to a supervisor, and what it has written down.

Everything goes through the state database; the supervisor is rung by a signal. Nothing here waits without
watching that the supervisor is still there.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowerbed import processes
from flowerbed.errors import ControlError, FederationFailed, NotRunning, StateError, UnknownRunError, UsageError
from flowerbed.local import supervision
from flowerbed.local.changing import decide, unapplied
from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import ReadingStore
from flowerbed.local.plan import Plan
from flowerbed.local.store import USAGE
from flowerbed.runs.changes import named, sentences
from flowerbed.runs.lost import lost
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.runs.runtime import Event, FederationStatus

POLL_SECONDS = 0.05
STALLED_SECONDS = 180.0
"""A federation that is not ready and does not change for so long will not get ready."""
ADOPT_SECONDS = 6.0
"""How long a look for runs that somebody else submitted may take; the supervisor looks by itself too."""
STALE_SECONDS = 45.0
"""An observation that is older is not one of how things are; a supervisor that is well looks at least every 15 s."""

Watch = Callable[[Event], None]


class LocalRuntime:
    """One local federation, running or not.

    Parameters
    ----------
    folder : StateFolder
        Where its state lies.
    """

    def __init__(self, folder: StateFolder) -> None:
        self.folder = folder
        self._open: ReadingStore | None = None

    @property
    def store(self) -> ReadingStore:
        """The state database; opened once."""
        if self._open is None:
            self._open = ReadingStore(self.folder.database)
        return self._open

    @property
    def name(self) -> str:
        """The name of the folder that the federation lives in."""
        return self.folder.root.parent.name

    # What is.

    def is_up(self) -> bool:
        """Tell whether a supervisor lives that can be talked to."""
        return supervision.is_up(self.folder)

    def is_there(self) -> bool:
        """Tell whether there is anything of it, up or not."""
        return supervision.is_there(self.folder)

    def status(self) -> FederationStatus:
        """Return what was last observed."""
        up = self.is_up()
        if not up and (pid := supervision.stray(self.folder)) is not None:
            reason = f"{self.folder.root} was deleted or moved while it was up; `flowerbed down` ends what is left"
            return FederationStatus(self.name, "", "stopping", supervisor_pid=pid, reason=reason)
        if not self.folder.database.exists():
            return FederationStatus(self.name, "", "down")
        facts = self.store.facts()
        state = facts.get("state", "down")
        reason = facts.get("reason", "")
        if not up and state != "down":
            lost = [f"run {record.number}" for record in self.store.runs(unfinished=True)]
            with_it = f", and {named(lost)} {'was' if len(lost) == 1 else 'were'} lost with it" if lost else ""
            state, reason = "down", f"the supervisor was killed{with_it}; `flowerbed up` starts it again"
        observed_at, trouble = self.store.observation() if up else (None, "")
        age = 0.0 if observed_at is None else time.time() - observed_at
        if age >= STALE_SECONDS and state == "ready":
            state, reason = "degraded", f"the supervisor looked at it {age:.0f} s ago and not since"
        return FederationStatus(
            name=facts.get("federation", self.name),
            flower=facts.get("release", ""),
            state=state,
            nodes_online=facts.get("nodes_online", 0) if up else 0,
            nodes_expected=facts.get("nodes_expected", 0),
            superexecs_connected=facts.get("superexecs_connected", 0) if up else 0,
            superexecs_expected=facts.get("superexecs_expected", 0),
            components=tuple(self.store.components()) if up else (),
            runs=tuple(self.store.runs(unfinished=True)) if up else (),
            supervisor_pid=facts.get("supervisor_pid") if up else None,
            reason=reason,
            observed_at=observed_at,
            trouble=trouble,
        )

    def events(self, *, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Return the events numbered above `after`."""
        yield from self.store.events(after)

    def last_event(self) -> int:
        """Return the number of the newest event."""
        return self.store.last_event()

    def adopt(self) -> None:
        """Take runs into history that somebody else submitted, if the supervisor can be asked and can look now."""
        if self.is_up():
            with suppress(ControlError, NotRunning, StateError):
                self.ask("look", timeout=ADOPT_SECONDS)

    def runs(self) -> list[RunRecord]:
        """Return every run of history, oldest first."""
        return self.store.runs()

    def run(self, number: int) -> RunRecord:
        """Return one run."""
        record = self.store.run(number)
        if record is None:
            raise UnknownRunError(f"there is no run {number}", where=str(self.folder.root))
        if record.phase is not Phase.FINISHED and not self.is_up():
            return lost(record, self.store.last_seen(number))
        return record

    # Up and down.

    def serves(self, plan: Plan) -> bool:
        """Tell whether what is up has the environment that a plan asks for, so that its app can run as it is."""
        if not self.is_up():
            return False
        running = Plan.last(self.folder.plan)
        return running is not None and (running.environment, running.release) == (plan.environment, plan.release)

    def unapplied(self, plan: Plan, file: str) -> str:
        """Return in a sentence what of a federation file does not run; empty if all of it runs."""
        running = Plan.last(self.folder.plan)
        return "" if running is None else unapplied(running, plan, file)

    def up(self, plan: Plan, *, tied: bool, watch: Watch, interrupted: Callable[[], int] = lambda: 0) -> bool:
        """Make the plan so, and return when it is observed ready; return whether it was started just now.

        Parameters
        ----------
        plan : Plan
            What shall run.
        tied : bool
            End with this process (a foreground `up`), instead of living on.
        watch : callable
            Called with each event meanwhile.
        interrupted : callable
            Tells how often Ctrl-C was typed.

        Raises
        ------
        KeyboardInterrupt
            If it was typed while waiting.
        UsageError
            If a run is not finished that would lose a program that it needs. Nothing was changed.
        FederationFailed
            If a unit ends again and again; a federation that was started just now is taken down again.
        """
        fresh = not self.is_up()
        if fresh:
            self._end_stray(watch)
        self.folder.create()
        if self._open is None:
            self._open = ReadingStore(self.folder.database, create=True)
        after = self.store.last_event()
        if not fresh:
            plan = self._agreed(plan, watch)
        plan.write(self.folder.plan)
        if fresh:
            self.store.set_facts(state="starting", reason="", supervisor_pid=None, ready_at=None)
            supervision.start(self.folder, tied=tied)
        else:
            self.ask("apply")
        try:
            self._wait_ready(after, watch, interrupted)
        except BaseException:
            if fresh:
                self.down()
            raise
        return fresh

    def _agreed(self, plan: Plan, watch: Watch) -> Plan:
        """Return the plan that may be applied now, and say what it restarts before that happens."""
        running = Plan.last(self.folder.plan)
        if running is None:
            return plan  # the supervisor knows what runs, and decides
        self.adopt()
        decision = decide(running, plan, self.unfinished_run())
        if decision.refusal is not None:
            raise decision.refusal
        for sentence in sentences(decision.changes):
            watch(Event(time.time(), "change", plan.federation, sentence))
        return decision.plan

    def refuses(self, plan: Plan) -> bool:
        """Tell whether a run that is not finished forbids a plan now."""
        running = Plan.last(self.folder.plan)
        return running is not None and decide(running, plan, self.unfinished_run()).refusal is not None

    def unfinished_run(self) -> int | None:
        """Return the number of a run that is not finished; None if there is none."""
        runs = self.store.runs(unfinished=True) if self.is_up() else []
        return runs[0].number if runs else None

    def _wait_ready(self, after: int, watch: Watch, interrupted: Callable[[], int]) -> None:
        seen: object = None
        changed = time.monotonic()
        while True:
            for number, event in self.store.events(after):
                after = number
                if event.kind != "change":  # this verb has said it before
                    watch(event)
                if event.kind == "crash-loop":
                    reason = self._reason()
                    raise FederationFailed(event.message, where=event.subject, hint=reason)
            facts = self.store.facts()
            if facts["state"] == "ready" and not self.store.asked():
                return
            if interrupted():
                raise KeyboardInterrupt
            now = [facts.get(name) for name in ("nodes_online", "superexecs_connected", "state")] + [after]
            if now != seen:
                seen, changed = now, time.monotonic()
            if time.monotonic() - changed > STALLED_SECONDS:
                raise FederationFailed(
                    f"nothing has happened for {STALLED_SECONDS:g} s: {facts.get('reason')}",
                    where=self.folder.root.parent.name,
                    hint=f"The logs in {self.folder.logs} say more.",
                )
            if not self.is_up():
                raise FederationFailed(
                    "the supervisor ended before the federation was ready",
                    where=str(self.folder.supervisor_log),
                    hint="Its log says why; `flowerbed up` tries again.",
                )
            time.sleep(POLL_SECONDS)

    def _reason(self) -> str:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            facts = self.store.facts()
            if facts["state"] == "failed":
                return str(facts["reason"])
            time.sleep(POLL_SECONDS)
        return ""

    def down(self, *, watch: Watch | None = None, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Take the federation down; return whether it was up. Its state stays.

        Parameters
        ----------
        watch : callable or None
            Called with each event meanwhile.
        hurry : callable
            Tells whether to end everything at once instead of waiting for programs to end by themselves.
        """
        if not self.is_up():
            was_up = self._end_stray(watch or (lambda _: None))
            supervision.clear_leftovers(self.folder)
            return was_up
        after = self.store.last_event()
        pid = self._supervisor()
        processes.send([pid], signal.SIGTERM)
        hurried = False
        deadline = time.monotonic() + supervision.DOWN_SECONDS
        while supervision.is_locked(self.folder):
            if watch is not None:
                for number, event in self.store.events(after):
                    after = number
                    watch(event)
            if hurry() and not hurried:
                hurried = True
                processes.send([pid], signal.SIGTERM)
            if time.monotonic() > deadline:
                processes.send([pid], signal.SIGKILL)  # the guard clears away the rest
                deadline = time.monotonic() + supervision.DOWN_SECONDS
            time.sleep(POLL_SECONDS)
        supervision.clear_leftovers(self.folder)
        return True

    def remove(self) -> None:
        """Delete everything that the federation keeps: Flower's database, logs, results and history."""
        if self.is_up():
            raise StateError("the federation is up", where=str(self.folder.root), hint="Take it down first.")
        if self._open is not None:
            self._open.close()
            self._open = None
        shutil.rmtree(self.folder.root, ignore_errors=False)

    def _end_stray(self, watch: Watch) -> bool:
        """End a supervisor whose folder is no longer its own; return whether there was one."""
        pid = supervision.stray(self.folder)
        if pid is None:
            return False
        why = f"was up, and somebody has deleted or moved {self.folder.root} since: taking it down"
        watch(Event(time.time(), "supervisor", self.name, why))
        supervision.end(self.folder, pid)
        return True

    # Requests.

    def ask(self, kind: str, *, timeout: float = 90.0, **payload: object) -> dict[str, Any]:
        """Ask the supervisor for something and return its answer.

        Raises
        ------
        NotRunning
            If there is none.
        ControlError
            If it refuses, or does not answer within `timeout` seconds.
        """
        request = self.store.ask(kind, **payload)
        processes.send([self._supervisor()], signal.SIGUSR1)
        deadline = time.monotonic() + timeout
        while True:
            state, answer = self.store.answer_to(request)
            if state == "done":
                return answer
            if state == "refused":
                if answer["code"] == USAGE:
                    raise UsageError(str(answer["message"]), hint=answer["hint"])
                raise ControlError(str(answer["message"]), where=str(answer["code"]))
            if not self.is_up():
                raise NotRunning("the supervisor ended before it answered", hint="`flowerbed up` starts it again.")
            if time.monotonic() > deadline:
                raise ControlError(f"the supervisor did not answer {kind!r} within {timeout:g} s")
            time.sleep(POLL_SECONDS / 2)

    def submit(self, app: Path, config: dict[str, object], *, timeout: float | None = None, name: str = "") -> int:
        """Submit a staged app; return the run's number once the SuperLink has taken it."""
        self._supervisor()
        number = self.store.add_run(app=name or app.name, config=config, timeout=timeout, submitted_at=time.time())
        try:
            self.ask("submit", run=number, app=str(app))
        except BaseException as error:
            record = self.store.run(number)
            if record is not None and record.verdict is None:
                self.store.write_run(failed(record, f"the SuperLink did not take it: {error}"))
            raise
        return number

    def stop(self, number: int) -> None:
        """Stop a run."""
        record = self.run(number)
        if record.phase is Phase.FINISHED:
            return
        self.ask("stop", run=number)
        record = self.run(number)
        if record.flower_id is None and record.phase is not Phase.FINISHED:  # its command was killed meanwhile
            reason = "it was stopped before it was submitted"
            self.store.write_run(replace(failed(record, reason), verdict=Verdict.STOPPED))

    def wait_finished(self, number: int, *, timeout: float = 90.0) -> RunRecord:
        """Return a run once it has its verdict.

        Raises
        ------
        ControlError
            If it has none after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (record := self.run(number)).phase is not Phase.FINISHED:
            if time.monotonic() > deadline:
                raise ControlError(
                    f"run {number} did not finish within {timeout:g} s", hint="`flowerbed status` says more."
                )
            time.sleep(POLL_SECONDS)
        return record

    def _supervisor(self) -> int:
        if not self.is_up():
            raise NotRunning(
                "the federation is not up", where=str(self.folder.root.parent), hint="Start it with `flowerbed up`."
            )
        deadline = time.monotonic() + supervision.START_SECONDS
        while (pid := self.store.facts().get("supervisor_pid")) is None:  # it has the lock, but writes only now
            if time.monotonic() > deadline:
                raise NotRunning("the supervisor does not say which process it is", where=str(self.folder.root))
            time.sleep(POLL_SECONDS)
        return int(pid)


def failed(record: RunRecord, reason: str) -> RunRecord:
    """Return a record of a run that failed for a reason of ours."""
    return replace(record, phase=Phase.FINISHED, verdict=Verdict.FAILED, reason=reason, finished_at=time.time())


@contextmanager
def only_one_verb(folder: StateFolder, *, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold off other `up` and `run` commands on the same federation while one changes it; `waiting` is told."""
    with (folder.root / "verb.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting("waiting for another `flowerbed` command on this federation")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
