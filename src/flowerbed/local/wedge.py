"""Noticing a SuperNode that waits for a ClientApp that is no longer there. Pure.

A SuperNode works on one message at a time and waits for its reply without a limit. When the process that
should reply is killed, the SuperNode hangs, and with it the run (measured on 1.22 and 1.4x). It shows: the log
says that a message was taken and none that a reply was sent, and no ClientApp process is left below the unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

WORKER = "flwr-clientapp"
"""The program that a SuperExec starts for each message."""
WEDGED_AFTER_SECONDS = 20.0
"""A SuperExec looks for work every second, so a healthy unit is never without a worker this long."""


@dataclass(frozen=True)
class Watch:
    """What is known of one SuperNode's work.

    Parameters
    ----------
    busy : bool
        Whether it has taken a message and not sent the reply.
    idle_since : float or None
        Since when (monotonic seconds) it is busy with no ClientApp process.
    """

    busy: bool = False
    idle_since: float | None = None

    def observe(self, log: str, *, taken: re.Pattern[str], replied: re.Pattern[str], worker: bool, now: float) -> Watch:
        """Return the watch after new log text and a look at the process tree."""
        busy = self.busy
        for line in log.splitlines():
            if taken.search(line):
                busy = True
            elif replied.search(line):
                busy = False
        if not busy or worker or (not self.busy and busy):
            return Watch(busy, now if busy and not worker else None)
        return replace(self, busy=busy, idle_since=now if self.idle_since is None else self.idle_since)

    def wedged(self, now: float) -> bool:
        """Tell whether it will wait forever."""
        return self.busy and self.idle_since is not None and now - self.idle_since >= WEDGED_AFTER_SECONDS
