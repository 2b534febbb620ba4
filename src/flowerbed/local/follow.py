"""Following runs inside the supervisor: their log, their phase, their end, and the verdict.

Each run is followed by one `Follower` from its submission to its verdict, whether or not anyone watches.
What it learns goes to the state database at once, so a command that shows a run only reads.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from flowerbed import processes
from flowerbed.local import logs
from flowerbed.local.adopting import Adopting
from flowerbed.local.client import ClientError, ControlClient
from flowerbed.local.layout import StateFolder
from flowerbed.local.node_names import NodeNames
from flowerbed.local.notes import Notes
from flowerbed.local.plan import Plan
from flowerbed.local.unit import log_sizes
from flowerbed.runs import replied
from flowerbed.runs.absence import Absence
from flowerbed.runs.lost import cut_off, lost
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.runs.run_log import RunLog
from flowerbed.runs.tracebacks import cause, last_traceback
from flowerbed.runs.verdict import Observation, judge
from flowerbed.runs.waiting import Seen, waits_for
from flowerbed.topology.model import Role

POLL_SECONDS = 0.5
"""How often the SuperLink is asked for the phase of a run that has not begun."""
RUNNING_POLL_SECONDS = 5.0
"""And of one that runs: each question is a write in the SuperLink's database (1.41), where SuperNodes queue to write
their replies, and the end of the log tells of the run's end anyway."""
DRAIN_SECONDS = 5.0
"""How long the rest of a finished run's log is waited for."""
RETRY_SECONDS = 2.0
ASK_SECONDS = 10.0
"""How long an answer of the SuperLink is waited for: a limit is kept also while it does not answer."""
STOP_SECONDS = 10.0
"""How long after its time a run may take to be stopped; then it has its verdict, and its ServerApp is ended."""
LOST_SECONDS = 30.0
"""How long a SuperLink that does not answer is asked what became of a run whose ServerApp's process ended."""
LOST_AFTER_SECONDS = 3.0
"""A running run without a ServerApp process for this long has lost it."""
SERVERAPP = "flwr-serverapp"


class Surroundings(Protocol):
    """What following a run needs of the supervisor."""

    folder: StateFolder
    store: Notes
    plan: Plan
    client: ControlClient

    def report(self, kind: str, subject: str, message: str) -> None:
        """Write down that something happened."""

    def seen(self) -> Seen:
        """Return what was last seen of the federation."""

    def end_serverapps(self, cause: str) -> None:
        """End every ServerApp."""


class Follower:
    """One run.

    Parameters
    ----------
    around : Surroundings
        Whose client and store are used.
    record : RunRecord
        The run, with its Flower id.
    marks : dict of str to int
        How long each component's log was when the run was submitted.
    timeout : float or None
        Seconds from submission after which the run is stopped.
    on_end : callable
        Called with the follower when its run has its verdict.
    names : NodeNames
        The SuperNodes' names.
    """

    def __init__(
        self,
        around: Surroundings,
        record: RunRecord,
        *,
        names: NodeNames,
        marks: dict[str, int],
        timeout: float | None,
        on_end: Callable[[Follower], None],
    ) -> None:
        self.record = record
        self.lost = ""
        self.unstopped = False
        """Whether its time is over and the SuperLink did not stop it."""
        self._lost_at = 0.0
        self.log_complete = True
        self.lost_since: float | None = None
        self._around = around
        self._names = names
        self._marks = marks
        self._timeout = timeout
        self._on_end = on_end
        self._told = RunLog()
        self._last_at = 0.0
        self._end: dict[str, Any] | None = None
        """The finished run, as the end of its log told it."""
        self._log_ended = asyncio.Event()
        self._wake = asyncio.Event()
        self._stop_asked = False
        self._timed_out = False
        self._ended_at: float | None = None
        self._moved = time.monotonic()  # when the run was last heard to do something
        self._done_meanwhile: list[str] = []
        self._absence = Absence()
        self._folder = around.folder.run(record.number)
        self._log = logs.LogFile(self._folder / "serverapp.log")
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to follow."""
        self._task = asyncio.create_task(self._follow_to_the_end())

    async def listen(self) -> None:
        """Ask the control client for the log, from where it was last heard."""
        try:
            await self._around.client.ask("follow", run=self.record.flower_id, after=self._last_at, timeout=ASK_SECONDS)
        except ClientError as error:
            self._around.report("run", str(self.record.number), f"its log cannot be followed: {error}")

    def on_event(self, event: dict[str, Any]) -> None:
        """Take a piece of the log, or its end."""
        if event["event"] == "log-end":
            self._end = event.get("state")
            self._log_ended.set()
            self._wake.set()
            return
        self._last_at = max(self._last_at, float(event["at"]))
        self._log.write(event["text"])
        self._advance(event["text"], at=float(event["at"]) or time.time())

    def _advance(self, text: str, *, at: float, last: bool = False, completed: bool = True) -> None:
        before = replace(self._told.progress, waiting=None)
        if not self._told.feed(text, at, last=last, completed=completed):
            return
        progress = self._told.progress
        if progress.errors and not self.record.client_error:
            self._wake.set()  # it is told at once, with the SuperNode's name
        if replace(progress, waiting=None) != before:  # a strategy that waits says so each second
            self._moved = time.monotonic()
            self._write(rounds=progress.rounds, total_rounds=progress.total_rounds)
        self._note_waiting()

    def _note_waiting(self) -> None:
        """Write down what the run waits for, and tell it, if that has changed."""
        quiet = time.monotonic() - self._moved
        waits = waits_for(self.record.phase, self._told.progress, quiet, self._around.seen)
        if waits != self.record.waits_for:
            self._write(waits_for=waits)
            if waits:
                self._around.report("waiting", str(self.record.number), f"waits for {waits}")

    def _write(self, **changes: Any) -> None:
        record = replace(self.record, **changes)
        self._around.store.write_run(record)
        self.record = record

    async def _follow_to_the_end(self) -> None:
        """Follow; start over after a failure, until there is a verdict."""
        while self.record.phase is not Phase.FINISHED:
            try:
                await self._follow()
            except Exception:  # noqa: BLE001 - whatever it is, it is told, and the run is followed further
                logs.complain(traceback.format_exc())
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self) -> None:
        await self.listen()
        while self.record.phase is not Phase.FINISHED:
            await self._pause()
            if self._left() < 0:
                await self._stop_for_time()
            lost = self.lost  # before the question: an answer that is older than the loss says nothing of it
            state = self._end or await self._ask_state()
            if self._left() < -STOP_SECONDS and (state is None or state["status"] != "finished"):
                self.unstopped = True
                break
            if state is None:
                if self.lost and time.monotonic() - self._lost_at >= LOST_SECONDS:
                    break
                continue
            if state["status"] == "finished" or lost:
                await self._finish(state)
                return
            await self._look_at_replies()
            self._note_waiting()
            phase = Phase(state["status"])
            if phase is not self.record.phase:
                self._moved = time.monotonic()
                self._write(phase=phase)
                self._around.report("run", str(self.record.number), phase.value)
        await self._finish({"status": "running", "sub": "", "details": ""})

    def _left(self) -> float:
        """Return how many seconds the run has left."""
        if self._timeout is None:
            return math.inf
        return (self.record.submitted_at or 0) + self._timeout - time.time()

    async def _stop_for_time(self) -> None:
        """Ask the SuperLink to stop the run, whose time is over; say once when it does not."""
        said, self._timed_out = self._timed_out, True
        try:
            await self.stop()
        except ClientError as error:
            if not said:
                message = f"its time is over, and the SuperLink could not be told: {error}"
                self._around.report("run", str(self.record.number), message)

    async def _pause(self) -> None:
        """Wait a while, or until a sign that the run is over: the end of its log, a loss, a request to stop."""
        slow = self.record.phase is Phase.RUNNING and not (self._log_ended.is_set() or self._stop_asked or self.lost)
        delay = RUNNING_POLL_SECONDS if slow else POLL_SECONDS
        delay = min(delay, max(self._left(), POLL_SECONDS))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), delay)
        self._wake.clear()

    def lose(self, why: str) -> None:
        """Take the news that the ServerApp is gone."""
        if not self.lost:
            self._lost_at = time.monotonic()
        self.lost = why
        self._wake.set()

    def note(self, done: str) -> None:
        """Remember what Flowerbed did to the federation while the run went on."""
        self._done_meanwhile.append(done)

    async def _ask_state(self) -> dict[str, Any] | None:
        try:
            found = await self._around.client.ask("runs", run=self.record.flower_id, timeout=ASK_SECONDS)
        except ClientError as error:
            self._absence.asked(time.monotonic(), answered=error.code != "unavailable")
            return None
        self._absence.asked(time.monotonic(), answered=True)
        return found[0] if found else None

    async def _look_at_replies(self) -> None:
        """Write down what the SuperLink has counted, if that has changed."""
        try:
            rows = (await self._around.client.ask("replies", run=self.record.flower_id, timeout=10))["counted"]
        except ClientError:
            return
        told = self._told.progress.errors
        names = await self._names.of([*(row["node"] for row in rows or ()), *(error.node for error in told)])
        record = replied.noted(self.record, rows, told, names)
        if record != self.record:
            self._around.store.write_run(record)
            self.record = record

    async def stop(self) -> bool:
        """Ask the SuperLink to stop the run."""
        self._stop_asked = True
        self._wake.set()
        try:
            answer = await self._around.client.ask("stop", run=self.record.flower_id, timeout=ASK_SECONDS)
        except ClientError as error:
            if error.code != "not-found":
                raise
            return False
        return bool(answer["stopped"])

    async def _finish(self, state: dict[str, Any]) -> None:
        waited_for = self.record.waits_for  # before the end of the log changes it
        over = state["status"] == "finished"
        if self.lost and not over:
            await self._give_up_run()
        try:
            await asyncio.wait_for(self._log_ended.wait(), DRAIN_SECONDS if over else 1.0)
        except TimeoutError:
            self.log_complete = False
            self._around.report("run", str(self.record.number), "the end of its log did not come")
        ended_at = state.get("finished_at") or time.time()
        self._advance("", at=ended_at, last=True, completed=state["sub"] == "completed")
        await self._look_at_replies()
        self._judge(state, waited_for)

    async def _give_up_run(self) -> None:
        """Have the SuperLink forget a run whose ServerApp is gone, so that SuperNodes stop working for it."""
        try:
            await self._around.client.ask("stop", run=self.record.flower_id, timeout=ASK_SECONDS)
        except ClientError:
            return

    def conclude(self, verdict: Verdict, reason: str) -> None:
        """End the following with a verdict that is not Flower's to know."""
        if self._task is not None:
            self._task.cancel()
        said = self._clientapp_traceback() or replied.errors(self.record.replies)
        self._close(verdict, reason, said if self.record.client_error else "")

    def _judge(self, state: dict[str, Any], waited_for: str) -> None:
        serverapp_log = self._log.text()
        judgement = judge(
            Observation(
                outcome=state["sub"],
                details=state["details"],
                progress=self._told.progress,
                stop_asked=self._stop_asked and not self._timed_out,
                timed_out=self._timed_out,
                serverapp_lost=self.lost,
                log_complete=self.log_complete,
                timeout=self._timeout,
                waited_for=waited_for,
                done_meanwhile=tuple(self._done_meanwhile),
                superlink_away=self._absence.longest,
                expected_nodes=self._around.plan.count(Role.SUPERNODE),
                serverapp_traceback=last_traceback(serverapp_log) or self._serverapp_traceback(),
                clientapp_traceback=self._clientapp_traceback(),
                replies=self.record.replies,
                nodes=self.record.nodes,
            )
        )
        self.record = replace(self.record, outcome=state["sub"])
        if self.record.foreign:  # it may have ended long before anybody looked
            self._ended_at = state.get("finished_at")
        self._close(judgement.verdict, judgement.reason, judgement.detail)

    def _serverapp_traceback(self) -> str:
        return next(filter(None, (last_traceback(text) for _, text in self._said(Role.SERVERAPP_SUPEREXEC))), "")

    def _clientapp_traceback(self) -> str:
        return cause(self._said(Role.CLIENTAPP_SUPEREXEC), replied.said_first(self.record))

    def _said(self, role: Role) -> Iterator[tuple[str, str]]:
        """Yield the components of a role, and what they printed since the run was submitted."""
        for component in self._around.plan.components():
            if component.role == role.value:
                log = self._around.folder.log(component.name)
                yield component.name, logs.read_from(log, self._marks.get(component.name, 0))

    def _close(self, verdict: Verdict, reason: str, detail: str) -> None:
        results = self._around.folder.results / str(self.record.flower_id)
        kept = results.is_dir() and any(results.iterdir())
        ended_at = self._ended_at or time.time()
        self._write(
            phase=Phase.FINISHED,
            rounds=cut_off(self.record.rounds, ended_at),
            verdict=verdict,
            reason=reason,
            detail=detail,
            waits_for="",
            finished_at=ended_at,
            results=str(self._folder / "results") if kept else None,
        )
        self._log.close()
        self._on_end(self)
        self._around.report("run", str(self.record.number), f"{verdict.value}: {reason}")


class Followers:
    """All runs that are being followed.

    Parameters
    ----------
    around : Surroundings
        Whom they belong to.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._active: dict[int, Follower] = {}
        self._names = NodeNames(around)
        self.adopting = Adopting(around, self._follow)
        self._chores: set[asyncio.Task[None]] = set()

    async def submit(self, number: int, app: str) -> str:
        """Have the SuperLink take a run that the store holds; return Flower's id and follow it."""
        store, folder = self._around.store, self._around.folder
        record = store.run(number)
        if record is None:
            raise ClientError("not-found", f"there is no run {number}")
        if record.phase is Phase.FINISHED:
            raise ClientError("stopped", f"run {number} was stopped before it was submitted")
        marks = log_sizes(folder, [component.name for component in self._around.plan.components()])
        folder.run(number).mkdir(parents=True, exist_ok=True)  # before the SuperLink has taken it: a disk may be full
        with self.adopting.submitting():
            taken = await self._around.client.ask("submit", app=app, config=record.config)
            record = replace(record, flower_id=str(taken["run"]), phase=Phase.PENDING)
            store.write_run(record)
        self._follow(record, marks, store.run_timeout(number))
        self._around.report("run", str(number), f"taken by the SuperLink as {record.flower_id}")
        return str(record.flower_id)

    def _follow(self, record: RunRecord, marks: dict[str, int], timeout: float | None) -> Follower:
        """Follow a run that the SuperLink has taken."""
        link = self._around.folder.run(record.number) / "results"
        with suppress(OSError):  # the run goes on, and the end of it says what it saved
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(f"../../results/{record.flower_id}")
        follower = Follower(self._around, record, names=self._names, marks=marks, timeout=timeout, on_end=self._ended)
        self._active[record.number] = follower
        follower.begin()
        return follower

    async def stop(self, number: int) -> bool:
        """Stop a run."""
        follower = self._active.get(number)
        return False if follower is None else await follower.stop()

    def on_event(self, event: dict[str, Any]) -> None:
        """Pass an event of the control client on to the run that it is about."""
        for follower in list(self._active.values()):
            if follower.record.flower_id == event.get("run"):
                follower.on_event(event)

    def resume(self) -> None:
        """Listen again after the control client was started anew."""
        for follower in self._active.values():
            self._begin_chore(follower.listen())

    def recover(self) -> None:
        """Judge the runs that an earlier supervisor left unfinished: their ServerApps died with it."""
        for record in self._around.store.runs(unfinished=True):
            ended = lost(record, self._around.store.last_seen(record.number))
            self._around.store.write_run(ended)
            self._around.report("run", str(record.number), f"failed: {ended.reason}")
            if record.flower_id is not None:
                self._begin_chore(self._end_at_superlink(record.flower_id))

    async def _end_at_superlink(self, flower_id: str) -> None:
        """Tell a SuperLink that resumed from its database not to wait for a ServerApp that is gone."""
        while True:
            try:
                await self._around.client.ask("stop", run=flower_id, timeout=10)
            except ClientError as error:
                if error.code in ("not-found", "refused"):
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def serverapp_lost(self, why: str) -> None:
        """Take the news that every running ServerApp has died."""
        for follower in self._active.values():
            if follower.record.phase in (Phase.STARTING, Phase.RUNNING):
                follower.lose(why)

    def look_for_serverapps(self, tree: list[int], ended: str = "") -> None:
        """Notice runs whose ServerApp process is gone, long before Flower does (after a missed heartbeat).

        Parameters
        ----------
        tree : list of int
            The processes of the ServerApp's SuperExec, all descendants included.
        ended : str
            How the last ServerApp's process ended, as a clause, if that was seen.
        """
        running = [follower for follower in self._active.values() if follower.record.phase is Phase.RUNNING]
        if not running:
            return
        if any(SERVERAPP in processes.command_line(pid) for pid in tree):
            for follower in running:
                follower.lost_since = None
            return
        now = time.monotonic()
        for follower in running:
            follower.lost_since = follower.lost_since or now
            if now - follower.lost_since >= LOST_AFTER_SECONDS:
                follower.lose(ended or "its process ended without a word")

    def note(self, done: str) -> None:
        """Have the reasons of runs that go on, and fail, tell what Flowerbed did meanwhile."""
        for follower in self._active.values():
            follower.note(done)

    def close(self, reason: str) -> None:
        """Judge what is still going on when the federation is taken down."""
        for follower in list(self._active.values()):
            follower.conclude(Verdict.STOPPED, reason)

    def _ended(self, follower: Follower) -> None:
        """Let go of a run that has its verdict; where the SuperLink did not stop it, see to it that it ends."""
        number = follower.record.number
        self._active.pop(number, None)
        if not follower.unstopped:
            return
        self._begin_chore(self._end_at_superlink(str(follower.record.flower_id)))
        if not self._active:  # a ServerApp's process does not tell of which run it is
            self._around.end_serverapps(f"run {number} is over, and the SuperLink did not stop it")

    def _begin_chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
