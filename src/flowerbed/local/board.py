"""A piece of memory in which the supervisor shows what it knows to commands of the same user, without a disk.

When the disk is full, nothing reaches the state database. The supervisor goes on, and what it could not write is here.
It is a file without a name, in memory (``memfd_create``); a command finds it among the open files of the supervisor's
process, which only the same user and root may read. Where the system has none (it is Linux's), nothing is shown.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

_NAME = "flowerbed-board"
_LINK = f"/memfd:{_NAME}"
_TRIES = 20
"""A reader that comes while the supervisor writes reads again; writing takes microseconds."""


class Board:
    """The supervisor's side."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with suppress(OSError, AttributeError):
            self._descriptor = os.memfd_create(_NAME)

    def close(self) -> None:
        """Show nothing more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def show(self, content: dict[str, Any]) -> None:
        """Replace what is shown; its ``database`` says of which federation it is."""
        if self._descriptor is None:
            return
        text = json.dumps(content).encode()
        with suppress(OSError):  # no memory left either
            os.pwrite(self._descriptor, b"%08x %s\n" % (zlib.crc32(text), text), 0)


def read_board(pid: int, database: Path) -> dict[str, Any]:
    """Return what a supervisor shows of the federation of that database; nothing if it shows nothing, or is gone."""
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            if _links_to_board(path) and (found := _read(path)).get("database") == str(database):
                return found
    return {}


def _links_to_board(path: Path) -> bool:
    try:
        return str(path.readlink()).startswith(_LINK)
    except OSError:  # closed meanwhile
        return False


def _read(path: Path) -> dict[str, Any]:
    for _ in range(_TRIES):
        checksum, _, text = path.read_bytes().partition(b"\n")[0].partition(b" ")
        with suppress(ValueError):
            if int(checksum, 16) == zlib.crc32(text):
                found: dict[str, Any] = json.loads(text)
                return found
    return {}
