"""Noticing a SuperNode for which a run waits in vain. Pure.

A SuperNode works on one message at a time and waits for its reply without a limit. When the process that
should reply is killed, the SuperNode hangs, and with it the run (measured on 1.22 and 1.4x). It shows: the log
says that a message was taken and none that a reply was sent, and no ClientApp process is left below the unit.

Or the reply could not be sent: then the SuperNode goes on, and only the run hangs. Its log says so.

Or it is one reply late. A SuperNode stores a message before it has all of it. When the run ends in between, it says
"Ignoring message", but its SuperExec runs the ClientApp all the same. The SuperNode takes the reply to that for the
answer to its next message, the reply to that for the answer to the one after it, and so on (provoked on 1.22, 1.31
and 1.42; the loop is the same in all releases between). Two things show it: a ClientApp that works after its message
was ignored, and a reply of another run than the last message. Every release writes ``[RUN id]`` or
``[RUN id, ROUND n]`` on a line of its own before it says that it takes a message or sends a reply.

While its SuperLink is away, being started again, a SuperNode has no worker either: it has the reply, and dials until
it can send that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

WORKER = "flwr-clientapp"
"""The program that a SuperExec starts for each message."""
WEDGED_AFTER_SECONDS = 20.0
"""A SuperExec looks for work every second, so a healthy unit is never without a worker this long."""


AWAY = re.compile(r"Connection attempt failed, retrying")
BACK = re.compile(r"Connection successful after|Giving up reconnection")
"""How a SuperNode of any release says that its SuperLink does not answer, and that it does, or is dialled no more."""
RUN = re.compile(r"\[RUN (-?\d+)")
"""How a SuperNode of any release says of which run the message or the reply is that the next lines are about."""
DROPPED = re.compile(r"Ignoring message")
"""How a SuperNode of any release says that the run ended before it had all of a message."""
LATE_AFTER_SECONDS = 1.0
"""The ClientApp of the message before takes less to end, once its reply is there."""


@dataclass(frozen=True)
class Marks:
    """How a SuperNode's log shows its work; from `flowerbed.flower.contract.WorkMarks`."""

    taken: re.Pattern[str]
    replied: re.Pattern[str]
    lost: re.Pattern[str]

    @classmethod
    def compiled(cls, taken: str, replied: str, lost: str) -> Marks:
        """Compile them."""
        return cls(re.compile(taken), re.compile(replied), re.compile(lost))

    def tell(self, line: str) -> bool:
        """Tell whether a line says anything of a SuperNode's work."""
        return any(mark.search(line) for mark in (self.taken, self.replied, AWAY, BACK, RUN))


@dataclass(frozen=True)
class Watch:
    """What is known of one SuperNode's work.

    Parameters
    ----------
    busy : bool
        Whether it has taken a message and not sent the reply.
    idle_since : float or None
        Since when (monotonic seconds) it is busy with no ClientApp process.
    lost : bool
        Whether it could not send a reply.
    away : bool
        Whether its SuperLink does not answer.
    replied : float or None
        When it was done with a message last (monotonic seconds).
    said : str
        The run that its log named last.
    run : str
        The run whose message it took last.
    other : str
        The run whose reply it sent instead of one of `run`; empty if it did not.
    dropped : bool
        Whether it ignored the message that it took last.
    late_since : float or None
        Since when (monotonic seconds) a ClientApp works although the message was ignored.
    """

    busy: bool = False
    idle_since: float | None = None
    lost: bool = False
    away: bool = False
    replied: float | None = None
    said: str = ""
    run: str = ""
    other: str = ""
    dropped: bool = False
    late_since: float | None = None

    def observe(self, log: str, marks: Marks, *, worker: bool, now: float) -> Watch:
        """Return the watch after new log text and a look at the process tree."""
        watch = self
        for line in log.splitlines():
            watch = watch._read(line, marks, now)
        idle = watch.busy and not worker and not watch.away
        late = watch.dropped and worker
        return replace(
            watch,
            idle_since=(now if watch.idle_since is None else watch.idle_since) if idle else None,
            late_since=(now if self.late_since is None else self.late_since) if late else None,
        )

    def _read(self, line: str, marks: Marks, now: float) -> Watch:
        """Return the watch after one more line of the log."""
        if marks.taken.search(line):
            return replace(self, busy=True, idle_since=None, run=self.said, dropped=False)
        if marks.replied.search(line):
            if self.busy and self.run and self.said != self.run:
                return replace(self, other=self.said)
            lost, dropped = self.lost or bool(marks.lost.search(line)), self.dropped or bool(DROPPED.search(line))
            return replace(self, busy=False, replied=now, lost=lost, dropped=dropped)
        if AWAY.search(line):
            return replace(self, away=True)
        if BACK.search(line):
            return replace(self, away=False)
        named = RUN.search(line)
        return replace(self, said=named[1]) if named else self

    def why(self, now: float) -> str:
        """Return why a run waits for it in vain; empty if none does."""
        if self.lost:
            return "could not send a reply, and the run would wait for it"
        if self.other:
            return f"took a reply of run {self.other} for the answer to a message of run {self.run}"
        if self.late_since is not None and now - self.late_since >= LATE_AFTER_SECONDS:
            return "works on a message of a run that is over, and would take the reply for that to its next message"
        if self.busy and self.idle_since is not None and now - self.idle_since >= WEDGED_AFTER_SECONDS:
            return "waits for the reply of a ClientApp that is gone"
        return ""
