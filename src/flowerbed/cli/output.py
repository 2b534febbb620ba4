"""What commands say: live on a terminal, plain lines when piped, one JSON object per line for programs."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

from flowerbed.cli import tables
from flowerbed.runs.runtime import Event


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

    @property
    def live(self) -> bool:
        """Whether someone watches a terminal."""
        return not self.as_json and sys.stdout.isatty()

    def say(self, text: str = "") -> None:
        """Say a line to a person."""
        if not self.as_json:
            print(text, flush=True)

    def step(self, text: str) -> None:
        """Tell of progress: the live line on a terminal, a line of its own elsewhere."""
        if self.as_json:
            return
        if self._status is not None:
            self._status.update(text)
        else:
            print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)

    def event(self, event: Event) -> None:
        """Tell of an event."""
        if self.as_json:
            self.data("event", event)
        elif event.kind in ("wedge", "crash-loop"):
            self.say(f"! {event.subject}: {event.message}")
        else:
            self.step(f"{event.subject}: {event.message}")

    def data(self, kind: str, value: object) -> None:
        """Write something for programs."""
        if self.as_json:
            body = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            content = body if isinstance(body, dict) else {"value": body}
            print(json.dumps({"type": kind, **_finite(content)}, default=str, allow_nan=False), flush=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes its time, and what, while it does."""
        if not self.live:
            self.step(text)
            yield
            return
        from rich.console import Console

        with Console().status(text) as self._status:
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
        for line in tables.lines(headings, rows, width=width, long=long, least_needed=least_needed):
            print(line, flush=True)


def _finite(value: Any) -> Any:
    """Return a value as JSON can hold it: a metric that is no number is null there."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
