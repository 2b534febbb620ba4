"""Taking runs into history that somebody else submitted to our SuperLink, such as `flwr run`; then they are like ours.

The SuperLink is asked for its newest runs every now and then. Newer releases write to their database for each finished
run that they list, so the question is only for as many as show that there is nothing new: our own since the last look,
and one that was known then. Where that one does not come, and at the start of a supervisor, it is asked for more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowerbed.local.client import ClientError
from flowerbed.local.unit import log_sizes
from flowerbed.runs.foreign import BEFORE, SUBMITTER, unknown, was_running
from flowerbed.runs.records import RunRecord

if TYPE_CHECKING:
    from flowerbed.local.follow import Follower, Surroundings

LOOK_SECONDS = 10.0
"""How often is looked, unless a verb asks."""
RETRY_SECONDS = 1.0
"""And while the SuperLink does not answer."""
MORE = 20
"""How many runs are asked for before all are."""
PATIENCE_SECONDS, PATIENCE_FOR_ALL_SECONDS = 5.0, 60.0


@dataclass(frozen=True)
class _Before:
    """What was so before the SuperLink was asked: ids of history, our submissions, and how long the logs were."""

    known: set[str]
    submitted: int
    marks: dict[str, int]


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
        self._submitting = 0  # of our own, whose ids are not known yet
        self._submitted = 0  # of our own, ever
        self._counted = 0  # of these, when was last looked
        self._known: set[str] | None = None  # at the last look
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

    async def keep_looking(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS if await self.look() else RETRY_SECONDS)

    async def look(self) -> bool:
        """Take the runs into history that it does not know; return whether the SuperLink could be asked."""
        newest = None if self._known is None else 1 + self._submitted - self._counted
        while not self._submitting and self._around.folder.superlink_answered.exists():
            before = _Before(self._around.store.flower_ids(), self._submitted, self._log_sizes())
            patience = PATIENCE_FOR_ALL_SECONDS if newest is None else PATIENCE_SECONDS
            try:
                listed = await self._around.client.ask("runs", timeout=patience, newest=newest)
            except ClientError:
                return False
            if newest is None or len(listed) < newest or any(run["run"] in (self._known or ()) for run in listed):
                return self._take(listed, before)
            newest = MORE if newest < MORE else None
        return False

    def _take(self, listed: Sequence[Mapping[str, Any]], before: _Before) -> bool:
        """Take what is new of the listed runs, unless one of them may be of our own; return whether that was done."""
        if self._submitting:
            return False
        states = {found["run"]: found for found in listed}
        for record in unknown(listed, self._around.store.flower_ids()):
            adopted = self._around.store.adopt_run(record)
            if adopted is not None:
                # What a ClientApp printed since the last look may be of this run.
                lost = was_running(states[record.flower_id], self._began)
                self._adopt(adopted, self._marks or before.marks, lost=lost)
        self._known = before.known.union(states)
        self._counted, self._marks = before.submitted, before.marks
        return True

    def _log_sizes(self) -> dict[str, int]:
        return log_sizes(self._around.folder, [component.name for component in self._around.plan.components()])

    def _adopt(self, record: RunRecord, marks: dict[str, int], *, lost: bool) -> None:
        follower = self._follow(record, marks, None)
        if lost:
            follower.lose(BEFORE)
        message = f"{record.flower_id} was submitted by {SUBMITTER}; it is followed as run {record.number}"
        self._around.report("run", str(record.number), message)
