"""Component logs: read from a mark on, follow, and keep from growing without end."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path

KEEP_BYTES = 4 * 2**20
TRIM_ABOVE_BYTES = 16 * 2**20


def size(path: Path) -> int:
    """Return a log's size in bytes, 0 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_from(path: Path, offset: int, *, limit: int = KEEP_BYTES) -> str:
    """Return a log's text from a byte offset on, at most the last `limit` bytes of it.

    A log that was trimmed since is read from its start.
    """
    try:
        with path.open("rb") as log:
            end = log.seek(0, 2)
            start = offset if offset <= end else 0
            log.seek(max(start, end - limit))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


class Growing:
    """A log that grows, read piece by piece; letters are never cut in two.

    Parameters
    ----------
    path : Path
        The log, there or not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> str:
        """Return what came since; of much of it, the last part."""
        try:
            with self._path.open("rb") as log:
                end = log.seek(0, 2)
                start = self._offset if self._offset <= end else 0  # trimmed meanwhile
                log.seek(max(start, end - KEEP_BYTES))
                piece = log.read()
                self._offset = log.tell()
        except OSError:
            return ""
        return self._decoder.decode(piece)


def trim(path: Path) -> bool:
    """Cut an overgrown log to its last part, in place; return whether it was.

    Its program writes in append mode, so it goes on at the new end. What it writes between our reading and
    our cutting is lost; the log says that something was cut.
    """
    if size(path) <= TRIM_ABOVE_BYTES:
        return False
    kept = read_from(path, 0, limit=KEEP_BYTES).partition("\n")[2]
    with path.open("r+b") as log:
        log.truncate(0)
        log.write(b"[flowerbed: older lines were cut]\n" + kept.encode())
    return True


class LogFile:
    """A log that is appended to; what the disk does not take is kept in memory, the last of it.

    Parameters
    ----------
    path : Path
        The log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.missed = ""
        """What could not be written, the last `KEEP_BYTES` of it."""

    def write(self, text: str) -> None:
        """Append a text; never fails."""
        try:
            if self._descriptor is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            rest = text.encode(errors="replace")
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self.missed = (self.missed + text)[-KEEP_BYTES:]

    def text(self) -> str:
        """Return all of it, as far as it is known."""
        return read_from(self._path, 0) + self.missed

    def close(self) -> None:
        """Write no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def complain(text: str) -> None:
    """Say something in the supervisor's own log, if that can be written."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return
