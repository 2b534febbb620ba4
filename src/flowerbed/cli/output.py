"""What commands say: live on a terminal, plain lines when piped, one JSON object per line for programs."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

from flowerbed.cli import tables
from flowerbed.runs.runtime import Event
from flowerbed_inside.text import plain

PROGRESS_SECONDS = 5.0
"""Seconds between two lines of progress with ``--json``; a shorter command prints none."""


class Output:
    """Where a command writes.

    Parameters
    ----------
    as_json : bool
        Write one JSON object per line on standard output and nothing else.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._began = time.monotonic()
        self._status: Any = None
        self._step = ""
        self._unread = False
        self._told = self._began

    @property
    def live(self) -> bool:
        """Whether someone watches a terminal that can be written over."""
        return not self.as_json and sys.stdout.isatty() and not _is_dumb()

    def _write(self, text: str) -> None:
        """Write a line. That nobody reads any more is told once; what has to be done all the same then goes on."""
        try:
            print(text, flush=True)
        except BrokenPipeError:
            if not self._unread:
                self._unread = True
                raise

    def say(self, text: str = "") -> None:
        """Say a line to a person; what an app put into it cannot steer a terminal."""
        if not self.as_json:
            self._write(plain(text))

    def log_line(self, text: str) -> None:
        """Show a line of a program's log: its colours on a terminal, and no other control sequence anywhere."""
        if self.as_json:
            self.data("line", {"text": text})
        else:
            self._write(plain(text, colours=takes_colours(is_terminal=sys.stdout.isatty())))

    def step(self, text: str) -> None:
        """Tell of progress: the live line on a terminal, a line of its own elsewhere."""
        if self.as_json:
            return
        if self._status is not None:
            self._status.update(_as_it_is(text))
        elif text != self._step:  # waiting says so again and again
            self._step = text
            self._write(f"[{time.monotonic() - self._began:6.1f} s] {plain(text)}")

    def progress(self, text: str) -> None:
        """Tell how far a preparation is: a step, and for programs a line from time to time, where it takes long."""
        self.step(text)
        now = time.monotonic()
        if self.as_json and now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self.data("progress", {"message": text})

    def event(self, event: Event) -> None:
        """Tell of an event."""
        if self.as_json:
            self.data("event", event)
        elif event.kind in ("wedge", "crash-loop", "storage"):
            self.say(f"! {event.about}: {event.message}")
        else:
            self.step(f"{event.about}: {event.message}")

    def data(self, kind: str, value: object, *, exact: bool = False) -> None:
        """Write something for programs.

        Parameters
        ----------
        exact : bool
            It is the user's own, such as a manifest: leave it as it is, control characters included.
        """
        if self.as_json:
            body = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            content = body if isinstance(body, dict) else {"value": body}
            self._write(json.dumps({"type": kind, **_sayable(content, exact)}, default=str, allow_nan=False))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes its time, and what, while it does."""
        if not self.live:
            self.step(text)
            yield
            return
        from rich.console import Console

        with Console().status(_as_it_is(text)) as self._status:
            try:
                yield
            finally:
                self._status = None

    def table(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        long: str | None = None,
        least_needed: Sequence[str] = (),
    ) -> None:
        """Show a table: columns padded with spaces; in a pipe as wide as it is, on a terminal as wide as that.

        Parameters
        ----------
        long : str or None
            The column whose cells may go on in the next line.
        least_needed : sequence of str
            Columns that a narrow terminal does without, the first one first; it is said which.
        """
        if self.as_json:
            return
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        cells = [[plain(cell) for cell in row] for row in rows]
        for line in tables.lines(headings, cells, width=width, long=long, least_needed=least_needed):
            self._write(line)


def takes_colours(*, is_terminal: bool) -> bool:
    """Tell whether colours are wanted, as rich does: by the environment first, then by what is written to."""
    forced = os.environ.get("FORCE_COLOR")
    return (is_terminal if forced is None else forced != "") and not _is_dumb() and not os.environ.get("NO_COLOR")


def _is_dumb() -> bool:
    return os.environ.get("TERM", "").lower() in ("dumb", "unknown")


def _as_it_is(text: str) -> Any:
    """Return a text in which rich sees no markup: an app's words may hold brackets."""
    from rich.text import Text

    return Text(plain(text))


def _sayable(value: Any, exact: bool) -> Any:
    """Return a value as JSON can hold it, a metric that is no number as null, and texts without control sequences."""
    if isinstance(value, dict):
        return {key: _sayable(item, exact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item, exact) for item in value]
    if isinstance(value, str) and not exact:
        return plain(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
