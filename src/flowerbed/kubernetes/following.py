"""Following a run in a cluster: its log and its phase from the SuperLink, its verdict, and a record of both.

The same reading and judging as on the local runtime (`flowerbed.runs`), on a thread of the command that watches.
A command that goes away takes nothing with it: the run goes on in the cluster, the SuperLink keeps its log, and
whoever looks next reads it from the start and judges it then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from flowerbed.errors import ControlError, FlowerbedError
from flowerbed.kubernetes.control import ControlLink
from flowerbed.kubernetes.run_records import Kept
from flowerbed.runs import replied
from flowerbed.runs.absence import Absence
from flowerbed.runs.progress import Progress
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.runs.run_log import RunLog
from flowerbed.runs.tracebacks import last_traceback
from flowerbed.runs.verdict import Judgement, Observation, judge
from flowerbed.runs.waiting import Seen, waits_for

POLL_SECONDS = 0.5
RUNNING_POLL_SECONDS = 3.0
"""How often the SuperLink is asked for the phase of a run that has begun; the end of its log comes by itself."""
DRAIN_SECONDS = 10.0
"""How long the rest of a finished run's log is waited for."""
ANEW = "the Pod of its SuperExec was started anew"
LOOK_SECONDS = 10.0
"""How often the federation is looked at for a run that may wait for some of it."""
GLANCE_SECONDS = 10.0
"""How long the phase of a run that nobody follows may take to arrive, for a command that only looks at it."""
LISTEN_SECONDS = 4.0
"""How long its log is listened to at most."""
QUIET_SECONDS = 1.5
"""When no more of the log comes for so long, all that there is has come."""
LOST_SECONDS = 5.0
"""How long an end of its Pod's container may take to be counted, after a ServerApp failed without a word."""
LONG_AGO_SECONDS = 60.0
"""A run that failed before that has nothing to do with a Pod that is another one now."""
NAMES_TRIES = 5
"""How often is looked for the name of an id that nobody knows."""
LOG_CHARACTERS = 4_000_000
"""Of the log kept in memory at most, for the traceback at its end."""


class Surroundings(Protocol):
    """What following a run needs to know of the federation."""

    @property
    def link(self) -> ControlLink:
        """The control client."""

    def serverapp_incarnation(self) -> str:
        """Return which incarnation of the ServerApp's SuperExec is there; empty if none is."""

    def clientapp_traceback(self, since: float, errors: Sequence[str]) -> str:
        """Return what ClientApps' logs since a time say of the first of some error replies."""

    def node_names(self) -> dict[str, str]:
        """Return the SuperNodes' names by Flower's ids of them, as far as they are known."""

    def serverapp_ending(self, since: float) -> str:
        """Return how the last ServerApp's process ended since a time, as a clause; empty if its log does not say."""

    def nodes_expected(self) -> int:
        """Return how many SuperNodes there shall be."""

    def seen(self) -> Seen:
        """Return what is seen of the federation, for a run that may wait for some of it."""

    def results_kept(self, flower_id: str) -> str | None:
        """Return where a run's results lie; None if there are none."""


class Follower:
    """One run that is being followed.

    Parameters
    ----------
    around : Surroundings
        Looks at the federation.
    kept : Kept
        The run, with its Flower id.
    keep : callable
        Writes down what is known of the run.
    report : callable
        Is told what happens: a kind of event, what it is about, and a message.
    glancing : bool
        Only look: write down nothing but the run's end, because another command may follow it and know more, and
        keep no time limit.
    again : callable or None
        Reads what is kept of the run once more: other commands may have added to it.
    """

    def __init__(
        self,
        around: Surroundings,
        kept: Kept,
        *,
        keep: Callable[[Kept], None],
        report: Callable[[str, str, str], None],
        glancing: bool = False,
        again: Callable[[], Kept] | None = None,
    ) -> None:
        self.kept = kept
        self._again = again or (lambda: self.kept)
        self._around = around
        self._write = keep
        self._report = report
        self._log = RunLog()
        self._text = ""
        self._last_at = 0.0
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._log_ended = threading.Event()
        self._ended = threading.Event()
        self._stop_asked = False
        self._absence = Absence()
        self._timed_out = False
        self._leaving = False
        self._glancing = glancing
        self._told = False  # the SuperLink, which phase the run is in
        self._heard = time.monotonic()  # the last piece of its log
        self._moved = kept.record.submitted_at or time.time()  # when the run was last seen to do something
        self._seen: tuple[float, Seen] | None = None
        self._names_tries = 0
        self._thread = threading.Thread(target=self._follow, name=f"run {kept.record.number}", daemon=True)
        self._thread.start()

    @property
    def record(self) -> RunRecord:
        """The run as it is now known."""
        return self.kept.record

    def stop(self) -> None:
        """Ask the SuperLink to stop the run."""
        self._stop_asked = True
        try:
            self._around.link.ask("stop", run=self.record.flower_id)
        except ControlError as error:
            if error.where != "not-found":
                raise
        self._wake.set()

    def glance(self) -> RunRecord:
        """Return the record as the phase and the log tell it, once all that there is of the log has come."""
        began = time.monotonic()
        while (lasted := time.monotonic() - began) < GLANCE_SECONDS and not self._ended.wait(0.1):
            quiet = time.monotonic() - self._heard > QUIET_SECONDS
            if self._told and (quiet or lasted > LISTEN_SECONDS):
                break
        if not self._ended.is_set():
            self._note_waiting()
        return self.record

    def leave(self) -> None:
        """Stop looking; the run goes on."""
        self._leaving = True
        self._around.link.unfollow(str(self.record.flower_id))
        self._wake.set()

    def wait(self, timeout: float) -> RunRecord:
        """Return the record once it has its verdict, or as it is after `timeout` seconds."""
        self._ended.wait(timeout)
        return self.record

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "log-end":
            self._log_ended.set()
            self._wake.set()
            return
        with self._lock:
            self._last_at = max(self._last_at, float(event["at"]))
            self._text = (self._text + event["text"])[-LOG_CHARACTERS:]
            self._heard = time.monotonic()
            before = replace(self._log.progress, waiting=None)
            if self._log.feed(event["text"], float(event["at"]) or time.time()):
                progress = self._log.progress
                if replace(progress, waiting=None) != before:  # a strategy that waits says so each second
                    self._moved = float(event["at"]) or time.time()
                elif self.record.waits_for == "":
                    self._wake.set()
                self._note(rounds=progress.rounds, total_rounds=progress.total_rounds)

    def _note(self, **changes: Any) -> None:
        with self._lock:
            self.kept = replace(self.kept, record=replace(self.record, **changes))

    def _follow(self) -> None:
        self._around.link.follow(str(self.record.flower_id), self._on_event, lambda: self._last_at)
        written = self.record
        while not self._leaving:
            state = self._ask_state()
            lost = "" if state is not None and state["status"] == "finished" else self._lost()
            if lost or (state is not None and state["status"] == "finished"):
                self._finish(state, lost)
                return
            if state is not None and Phase(state["status"]) is not self.record.phase:
                self._moved = time.time() if self._told else self._moved
                self._note(phase=Phase(state["status"]))
                self._report("run", str(self.record.number), self.record.phase.value)
            self._look_at_replies()
            self._told = self._told or state is not None
            self._note_waiting()
            news = replace(self.record, replies=written.replies) != written  # not for each reply
            if news and not self._glancing:
                written = self.record
                self._keep()
            self._check_time()
            running = self.record.phase is Phase.RUNNING and not (self._stop_asked or self._log_ended.is_set())
            self._wake.wait(RUNNING_POLL_SECONDS if running else POLL_SECONDS)
            self._wake.clear()

    def _note_waiting(self) -> None:
        """Note what the run waits for, and tell it, if that has changed."""
        with self._lock:
            progress = self._log.progress
        try:
            waits = waits_for(self.record.phase, progress, time.time() - self._moved, self._look)
        except FlowerbedError:
            return
        if waits != self.record.waits_for:
            self._note(waits_for=waits)
            if waits:
                self._report("waiting", str(self.record.number), f"waits for {waits}")

    def _waited_for(self) -> str:
        """Return what a run waited for that was stopped; who stops it may have begun to follow it just then."""
        with self._lock:
            progress = self._log.progress
        phase = Phase.RUNNING if progress != Progress() else self.record.phase
        with suppress(FlowerbedError):
            return waits_for(phase, progress, time.time() - self._moved, self._look)
        return self.record.waits_for

    def _look(self) -> Seen:
        """Look at the federation, not too often: it costs the SuperLink a write in its database."""
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] > LOOK_SECONDS:
            self._seen = (now, self._around.seen())
        return self._seen[1]

    def _look_at_replies(self) -> None:
        """Take note of what the SuperLink has counted, and of whose replies these are."""
        try:
            rows = self._around.link.ask("replies", run=self.record.flower_id, timeout=10)["counted"]
        except ControlError:
            return
        with self._lock:
            told = self._log.progress.errors
        ids = {*(row["node"] for row in rows or ()), *(error.node for error in told)}
        names = self.record.nodes
        if ids - names.keys() and self._names_tries < NAMES_TRIES:
            self._names_tries += 1
            with suppress(FlowerbedError):
                names = names | self._around.node_names()
        known = {node: names[node] for node in ids if node in names}
        with self._lock:
            self.kept = replace(self.kept, record=replied.noted(self.record, rows, told, known))

    def _keep(self) -> None:
        try:
            self._write(self.kept)
        except FlowerbedError as error:
            self._report("run", str(self.record.number), f"its record could not be written: {error.message}")

    def _check_time(self) -> None:
        if self._glancing or self.kept.timeout is None or self._timed_out or self.record.submitted_at is None:
            return
        if time.time() - self.record.submitted_at > self.kept.timeout:
            try:
                self.stop()
            except FlowerbedError:
                return
            self._timed_out = True

    def _ask_state(self) -> dict[str, Any] | None:
        try:
            found = self._around.link.ask("runs", run=self.record.flower_id, timeout=10)
        except ControlError as error:
            if error.where == "not-found":
                return {"status": "finished", "sub": "", "details": "the SuperLink no longer knows the run"}
            self._absence.asked(time.monotonic(), answered=False)
            return None
        self._absence.asked(time.monotonic(), answered=True)
        return dict(found[0]) if found else None

    def _lost(self) -> str:
        """Return how the ServerApp was lost, as a clause; empty if it was not."""
        if not self.kept.serverapp or self.record.phase is not Phase.RUNNING:
            return ""
        try:
            now = self._around.serverapp_incarnation()
        except FlowerbedError:
            return ""
        return ANEW if now and now != self.kept.serverapp else ""

    def _lost_with_a_word(self, finished_at: float) -> str:
        """Return how a ServerApp was lost that could still tell the SuperLink that it failed, though not why.

        A Pod that is asked to end asks its ServerApp, which reports a failure before the Pod is gone; then the
        incarnation that the run began with is on its way out, or its end is counted a moment later. Of a run that
        failed long ago nobody can tell any more: its Pod may have been replaced since.
        """
        long_ago = finished_at and time.time() - finished_at > LONG_AGO_SECONDS
        if not self.kept.serverapp or self._stop_asked or long_ago:
            return ""
        until = time.monotonic() + LOST_SECONDS
        while not self._leaving:
            try:
                if self._around.serverapp_incarnation() != self.kept.serverapp:
                    return ANEW
            except FlowerbedError:
                return ""
            if time.monotonic() > until:
                break
            time.sleep(POLL_SECONDS)
        return ""

    def _finish(self, state: dict[str, Any] | None, lost: str) -> None:
        if lost:
            with suppress(ControlError):  # so that SuperNodes stop working for it
                self._around.link.ask("stop", run=self.record.flower_id, timeout=10)
        complete = self._log_ended.wait(1.0 if lost else DRAIN_SECONDS)
        outcome = str((state or {}).get("sub", ""))
        waited_for = self._waited_for() if outcome == "stopped" else ""
        with self._lock:
            self._log.feed("", time.time(), last=True, completed=outcome == "completed")
            progress = self._log.progress
        self._around.link.unfollow(str(self.record.flower_id))
        self._names_tries = 0
        self._look_at_replies()
        traceback = last_traceback(self._text) or ""
        if outcome == "failed" and not (lost or traceback):
            lost = self._lost_with_a_word(float((state or {}).get("finished_at") or 0.0)) or self._ending()
        aside = self._aside()
        stop_asked = self._stop_asked or aside.stop_asked
        seen = Observation(
            outcome=outcome,
            details=str((state or {}).get("details", "")),
            progress=progress,
            stop_asked=stop_asked and not self._timed_out,
            timed_out=self._timed_out or (outcome == "stopped" and not stop_asked and self._overdue(state)),
            serverapp_lost=lost,
            log_complete=complete,
            timeout=self.kept.timeout,
            waited_for=waited_for,
            expected_nodes=self._around.nodes_expected(),
            serverapp_traceback=traceback,
            done_meanwhile=aside.done_meanwhile,
            superlink_away=self._absence.longest,
            replies=self.record.replies,
            nodes=self.record.nodes,
        )
        judgement = self._judge(seen)
        self._note(
            phase=Phase.FINISHED,
            outcome=outcome,
            verdict=judgement.verdict,
            reason=judgement.reason,
            detail=judgement.detail,
            rounds=progress.rounds,
            total_rounds=progress.total_rounds,
            results=self._results(),
            waits_for="",
            finished_at=float((state or {}).get("finished_at") or 0.0) or time.time(),
        )
        self._keep()
        self._ended.set()
        self._report("run", str(self.record.number), f"{judgement.verdict.value}: {judgement.reason}")

    def _overdue(self, state: dict[str, Any] | None) -> bool:
        """Tell whether a run took longer than it was given: then who followed it has stopped it."""
        finished, submitted = float((state or {}).get("finished_at") or 0.0), self.record.submitted_at
        return self.kept.timeout is not None and submitted is not None and finished - submitted >= self.kept.timeout

    def _ending(self) -> str:
        try:
            return self._around.serverapp_ending(self.record.submitted_at or 0.0)
        except FlowerbedError:
            return ""

    def _aside(self) -> Kept:
        try:
            return self._again()
        except FlowerbedError:
            return self.kept

    def _results(self) -> str | None:
        try:
            return self._around.results_kept(str(self.record.flower_id))
        except FlowerbedError:
            return None  # nobody can look there now; `flowerbed results` can later

    def _judge(self, seen: Observation) -> Judgement:
        """Judge; what ClientApps said is fetched only where something went wrong."""
        judgement = judge(seen)
        stopped = judgement.verdict is Verdict.STOPPED and not seen.clients_failed
        if judgement.verdict is Verdict.SUCCEEDED or stopped:
            return judgement
        try:
            said = self._around.clientapp_traceback(self.record.submitted_at or 0.0, replied.said_first(self.record))
        except FlowerbedError:
            return judgement
        return judge(replace(seen, clientapp_traceback=said)) if said else judgement
