"""Noticing a SuperNode for which a run waits in vain. Pure.

A SuperNode works on one message at a time and waits for its reply without a limit. When the process that
should reply is killed, the SuperNode hangs, and with it the run (measured on 1.22 and 1.4x). It shows: the log
says that a message was taken and none that a reply was sent, and no ClientApp process is left below the unit.

Or the reply could not be sent: then the SuperNode goes on, and only the run hangs. Its log says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

WORKER = "flwr-clientapp"
"""The program that a SuperExec starts for each message."""
WEDGED_AFTER_SECONDS = 20.0
"""A SuperExec looks for work every second, so a healthy unit is never without a worker this long."""


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
    """

    busy: bool = False
    idle_since: float | None = None
    lost: bool = False

    def observe(self, log: str, marks: Marks, *, worker: bool, now: float) -> Watch:
        """Return the watch after new log text and a look at the process tree."""
        busy, lost = self.busy, self.lost
        for line in log.splitlines():
            if marks.taken.search(line):
                busy = True
            elif marks.replied.search(line):
                busy = False
                lost = lost or bool(marks.lost.search(line))
        if not busy or worker:
            return Watch(busy, lost=lost)
        fresh = self.idle_since is None or not self.busy
        return replace(self, busy=True, idle_since=now if fresh else self.idle_since, lost=lost)

    def why(self, now: float) -> str:
        """Return why a run waits for it in vain; empty if none does."""
        if self.lost:
            return "could not send a reply, and the run would wait for it"
        if self.busy and self.idle_since is not None and now - self.idle_since >= WEDGED_AFTER_SECONDS:
            return "waits for the reply of a ClientApp that is gone"
        return ""
