"""What a supervisor stands on: its state folder, its database and its lock, which somebody may delete or move.

All three are held open, so that their inodes are not given to other files: a folder that was deleted and made again is
told from the one that was there.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from flowerbed.local.layout import StateFolder

LOOK_SECONDS = 1.0
"""How often a supervisor looks."""
_TRIES, _PAUSE_SECONDS = 20, 0.05
"""A verb holds the lock for a moment when it looks whether there is a supervisor."""


class Footing:
    """What one supervisor stands on.

    Parameters
    ----------
    folder : StateFolder
        Where its state lies; the database exists.
    lock : file
        Its lock, held.
    """

    def __init__(self, folder: StateFolder, lock: IO[str]) -> None:
        self._folder = folder
        self._lock = lock
        self._held = {path: os.open(path, os.O_RDONLY) for path in (folder.root, folder.database)}

    def lost(self) -> str:
        """Return what is gone, as a clause; empty while all is there. A lock that alone is gone is taken again."""
        for path, held in self._held.items():
            if not _same(path, held):
                return f"{path} was deleted, moved or replaced"
        if not _same(self._folder.lock, self._lock.fileno()):
            again = take(self._folder)
            if again is None:
                return f"another supervisor has taken {self._folder.lock}"
            self._lock.close()
            self._lock = again
        return ""

    def close(self) -> None:
        """Let go of all, once the database is closed: SQLite's locks of a process end with any handle of the file."""
        self._lock.close()
        for held in self._held.values():
            os.close(held)

    def clear(self) -> None:
        """Remove the empty folders that programs have made again where the state folder was."""
        if self._folder.database.exists() or self._folder.lock.exists():
            return  # somebody else's by now
        for path, _, _ in os.walk(self._folder.root, topdown=False):
            with suppress(OSError):
                Path(path).rmdir()


def take(folder: StateFolder) -> IO[str] | None:
    """Take the lock of a supervisor; None if another one has it."""
    lock = folder.lock.open("a")
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return lock
    lock.close()
    return None


def _same(path: Path, held: int) -> bool:
    try:
        found, ours = path.stat(), os.fstat(held)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
