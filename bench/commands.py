"""Running a command to its end and timing it from just before its start to just after its exit."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 900.0
"""A command that takes longer hangs; no figure depends on it."""


class CommandFailed(Exception):
    """A command did not do what the benchmark needs."""


@dataclass(frozen=True)
class Done:
    """A command that ended.

    Parameters
    ----------
    seconds : float
        From start to exit.
    began, ended : float
        The same moments as Unix time.
    output : str
        What it wrote.
    """

    seconds: float
    began: float
    ended: float
    output: str


def timed(
    argv: list[str],
    *,
    cwd: Path,
    env: dict[str, str] | None = None,
    sample: Callable[[], None] | None = None,
    every: float = 0.5,
) -> Done:
    """Run a command, which must succeed.

    Parameters
    ----------
    argv, cwd, env
        The command.
    sample : callable or None
        Called every `every` seconds meanwhile.

    Raises
    ------
    CommandFailed
        If its exit status is not 0; with the end of what it wrote.
    """
    with tempfile.TemporaryFile() as output:
        began, start = time.time(), time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        hung = threading.Timer(PATIENCE_SECONDS, process.kill)
        hung.daemon = True
        hung.start()
        try:
            while sample is not None and _lives_on(process, every):
                sample()
            process.wait()
            seconds, ended = time.perf_counter() - start, time.time()
        finally:
            hung.cancel()
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode != 0:
        tail = "\n".join(text.splitlines()[-20:])
        raise CommandFailed(f"{' '.join(argv)}: exit status {process.returncode}\n{tail}")
    return Done(seconds, began, ended, text)


def _lives_on(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False
