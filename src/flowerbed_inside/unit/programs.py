"""A unit's programs as processes, and what they say, line by line.

Standard library only.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

_PACKAGE = Path(__file__).parents[1]
_SAYING_SECONDS = 1.0
_LONGEST_LINE = 2**20  # bytes; a longer one is cut into several


def of_ours(module: str) -> list[str]:
    """Return the command line of a program of ours, by the name of its module below the package."""
    return [sys.executable, str(_PACKAGE), module]


class Output:
    """Standard output, of whole lines, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Write a line; when nobody reads any more it is dropped, and the programs go on."""
        rest = memoryview(line if line.endswith(b"\n") else line + b"\n")
        with self._lock:
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # somebody made our end non-blocking
                    select.select([], [self._descriptor], [], 1.0)
                except OSError:
                    return

    def say(self, text: str, prefix: str = "") -> None:
        """Say something of our own; whoever says it is not kept for long by a reader that is stuck."""
        line = f"{prefix}[flowerbed: {text}]\n".encode()
        saying = threading.Thread(target=self.write, args=(line,), daemon=True)
        saying.start()
        saying.join(_SAYING_SECONDS)


class Program:
    """One of the unit's programs.

    Parameters
    ----------
    name : str
        What its lines begin with.
    argv : list of str
        What to start.
    env : dict of str to str
        Its environment.
    """

    def __init__(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        self.name = name
        self.argv = argv
        self.env = env
        self.pid = 0
        self.status: int | None = None
        self.reader: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.pid != 0 and self.status is None

    def start(self, take: Callable[[bytes], None]) -> None:
        """Start it, in a session of its own.

        Parameters
        ----------
        take : callable
            Takes each line of what it says.
        """
        child = subprocess.Popen(
            self.argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        child.returncode = 0  # reaped with everything else; Popen must not try it a second time
        self.pid = child.pid
        if child.stdout:
            self.reader = threading.Thread(target=_read, args=(child.stdout, take), name=self.name, daemon=True)
            self.reader.start()

    def describe_end(self) -> str:
        """Return how it ended, in words."""
        status = self.status or 0
        if status >= 0:
            return f"{self.name} ended with status {status}"
        try:
            return f"{self.name} was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"{self.name} was killed by signal {-status}"


def _read(pipe: IO[bytes], take: Callable[[bytes], None]) -> None:
    with pipe:
        while line := pipe.readline(_LONGEST_LINE):
            take(line)
