"""The supervisor as verbs see it: whether one lives, starting one, and ending what is left of one."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time

from flowerbed import processes
from flowerbed.errors import FederationFailed
from flowerbed.local.layout import StateFolder

START_SECONDS = 15.0
"""How long a fresh supervisor may take to take its lock."""
SETTLED_SECONDS = 3.0
"""How long a supervisor without its lock is waited for: it looks once a second."""
DOWN_SECONDS = 30.0
"""How long one may take to end."""
_POLL_SECONDS = 0.05
_GUARD, _SUPERVISOR = "flowerbed.local.guard", "flowerbed.local.supervisor"


def is_up(folder: StateFolder) -> bool:
    """Tell whether a supervisor lives that can be talked to.

    It holds a lock that the kernel frees with its last breath. One that lives without its lock, or its database, is
    about to take it, or to end, because somebody has deleted that or the whole folder: that is waited for.
    """
    deadline = time.monotonic() + SETTLED_SECONDS
    while not (is_locked(folder) and folder.database.exists()):
        if stray(folder) is None or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def is_locked(folder: StateFolder) -> bool:
    """Tell whether a supervisor holds its lock."""
    try:
        with folder.lock.open("r") as lock:  # a disk may have become read-only
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def is_there(folder: StateFolder) -> bool:
    """Tell whether there is anything of a federation, up or not: its folder, or processes with its mark."""
    return folder.root.exists() or bool(processes.marked(folder.root))


def stray(folder: StateFolder) -> int | None:
    """Return the supervisor that has a folder's mark, with or without its lock (Linux only)."""
    marked = ((pid, processes.command_line(pid)) for pid in processes.marked(folder.root))
    return next((pid for pid, line in marked if _SUPERVISOR in line), None)


def start(folder: StateFolder, *, tied: bool) -> None:
    """Start a supervisor below a guard, and return once it has its lock.

    Raises
    ------
    FederationFailed
        If it ends before, or does not take it in time.
    """
    python = [sys.executable, "-P"]
    command = [
        *[*python, "-m", _GUARD, "--tied" if tied else "--free"],
        *[*python, "-m", _SUPERVISOR, str(folder.root)],
    ]
    with folder.supervisor_log.open("ab") as log:
        guard = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder.root, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while not is_locked(folder):
        if guard.poll() is not None or time.monotonic() > deadline:
            tail = folder.supervisor_log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise FederationFailed(
                "the supervisor did not start", where=str(folder.supervisor_log), hint="\n".join(tail)
            )
        time.sleep(0.01)
    guard.returncode = 0  # it is meant to outlive this object


def end(folder: StateFolder, pid: int) -> None:
    """End a supervisor, and all that is left of its federation."""
    processes.send([pid], signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while processes.alive(pid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    clear_leftovers(folder)


def clear_leftovers(folder: StateFolder) -> None:
    """Kill whatever has a federation's mark.

    Raises
    ------
    FederationFailed
        If something withstands.
    """
    left = processes.kill_all(lambda: processes.marked(folder.root))
    if left:
        raise FederationFailed(f"these processes cannot be killed: {left}", where=folder.root.parent.name)
