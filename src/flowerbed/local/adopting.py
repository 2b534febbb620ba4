"""Taking runs into history that somebody else submitted to our SuperLink, such as `flwr run`; then they are like ours.

The SuperLink is asked for its newest runs beside the look at its SuperNodes. Newer releases write to their database for
each finished run that they list, so as few are asked for as can hold something new: a few more than our own submissions
since the last look. At the start of a supervisor, and where all that were listed are new, it is asked for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowerbed.local.client import ClientError
from flowerbed.local.unit import log_sizes
from flowerbed.runs.foreign import BEFORE, SUBMITTER, unknown, was_running
from flowerbed.runs.records import RunRecord

if TYPE_CHECKING:
    from flowerbed.local.follow import Follower, Surroundings

LOOK_SECONDS = 10.0
"""How often is looked at most, unless a verb asks."""
NEWEST = 3
"""How many runs are asked for at least."""
NEWEST_ASKED = 20
"""And how many when a verb asks."""
PATIENCE_SECONDS = 5.0


class Adopting:
    """Looks for such runs.

    Parameters
    ----------
    around : Surroundings
        Whose client and store are used.
    follow : callable
        Follows a run, given its record and how long each component's log was when it began.
    """

    def __init__(
        self, around: Surroundings, follow: Callable[[RunRecord, dict[str, int], float | None], Follower]
    ) -> None:
        self._around = around
        self._follow = follow
        self._began = time.time()
        self._looked: float | None = None
        self._submitting = 0  # of our own, whose ids are not known yet
        self._submitted = 0  # of our own, since the last look
        self._marks: dict[str, int] = {}

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Hold off while a run of our own is submitted: the SuperLink may list it before it has said its id."""
        self._submitting += 1
        self._submitted += 1
        try:
            yield
        finally:
            self._submitting -= 1

    async def look_if_due(self) -> None:
        """Look, if that was not done just now."""
        if self._looked is None or time.monotonic() - self._looked >= LOOK_SECONDS:
            await self.look(None if self._looked is None else NEWEST + self._submitted)

    async def look(self, newest: int | None = NEWEST_ASKED) -> None:
        """Take the runs into history that it does not know, of the newest or of all."""
        if self._submitting or not self._around.folder.superlink_answered.exists():
            return
        marks = log_sizes(self._around.folder, [component.name for component in self._around.plan.components()])
        try:
            listed = await self._around.client.ask("runs", timeout=PATIENCE_SECONDS, newest=newest)
        except ClientError:
            return
        if self._submitting:
            return
        records = unknown(listed, self._around.store.flower_ids())
        if newest is not None and records and len(records) == len(listed):
            await self.look(None)
            return
        states = {found["run"]: found for found in listed}
        for record in records:
            adopted = self._around.store.adopt_run(record)
            if adopted is not None:
                # What a ClientApp printed since the last look may be of this run.
                self._adopt(adopted, self._marks or marks, lost=was_running(states[record.flower_id], self._began))
        self._looked, self._submitted, self._marks = time.monotonic(), 0, marks

    def _adopt(self, record: RunRecord, marks: dict[str, int], *, lost: bool) -> None:
        follower = self._follow(record, marks, None)
        if lost:
            follower.lose(BEFORE)
        message = f"{record.flower_id} was submitted by {SUBMITTER}; it is followed as run {record.number}"
        self._around.report("run", str(record.number), message)
