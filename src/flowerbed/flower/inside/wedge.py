"""Noticing a SuperNode for which a run waits in vain. Pure.

A SuperNode works on one message at a time and waits for its reply without a limit. When the process that
should reply is killed, the SuperNode hangs, and with it the run (measured on 1.22 and 1.4x). It shows: the log
says that a message was taken and none that a reply was sent, and no ClientApp process is left below the unit.

Or the reply could not be sent: then the SuperNode goes on, and only the run hangs. Its log says so.

While its SuperLink is away, being started again, a SuperNode has no worker either: it has the reply, and dials until
it can send that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WORKER = "flwr-clientapp"
"""The program that a SuperExec starts for each message."""
WEDGED_AFTER_SECONDS = 20.0
"""A SuperExec looks for work every second, so a healthy unit is never without a worker this long."""


AWAY = re.compile(r"Connection attempt failed, retrying")
BACK = re.compile(r"Connection successful after|Giving up reconnection")
"""How a SuperNode of any release says that its SuperLink does not answer, and that it does, or is dialled no more."""


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
        return any(mark.search(line) for mark in (self.taken, self.replied, AWAY, BACK))


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
    """

    busy: bool = False
    idle_since: float | None = None
    lost: bool = False
    away: bool = False
    replied: float | None = None

    def observe(self, log: str, marks: Marks, *, worker: bool, now: float) -> Watch:
        """Return the watch after new log text and a look at the process tree."""
        busy, lost, away, replied = self.busy, self.lost, self.away, self.replied
        for line in log.splitlines():
            if marks.taken.search(line):
                busy = True
            elif marks.replied.search(line):
                busy, replied = False, now
                lost = lost or bool(marks.lost.search(line))
            elif AWAY.search(line):
                away = True
            elif BACK.search(line):
                away = False
        if not busy or worker or away:
            return Watch(busy, lost=lost, away=away, replied=replied)
        fresh = self.idle_since is None or not self.busy
        since = now if fresh else self.idle_since
        return Watch(busy=True, idle_since=since, lost=lost, replied=replied)

    def why(self, now: float) -> str:
        """Return why a run waits for it in vain; empty if none does."""
        if self.lost:
            return "could not send a reply, and the run would wait for it"
        if self.busy and self.idle_since is not None and now - self.idle_since >= WEDGED_AFTER_SECONDS:
            return "waits for the reply of a ClientApp that is gone"
        return ""
