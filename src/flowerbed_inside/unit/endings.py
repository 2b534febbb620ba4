"""How the processes of apps ended: whether a signal killed them, and whether memory ran out.

Standard library only. A SuperExec starts a process for each task and never
asks how it ended (flwr 1.22 to 1.42: ``subprocess.Popen`` and nothing more). So the process stays behind, as what Linux
calls a zombie, until the SuperExec starts the next one, and its exit status can be read.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flowerbed_inside import proc

APPS = {"flwr-clientapp": "ClientApp", "flwr-serverapp": "ServerApp"}
"""The programs that run apps."""
_OUT_OF_MEMORY = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
"""Where the kernel counts the processes that it ended for want of memory: in this container, or on this machine."""


@dataclass(frozen=True)
class Ending:
    """How a process of an app ended.

    Parameters
    ----------
    app : str
        ``ClientApp`` or ``ServerApp``.
    words : str
        How, as a clause without a subject: ``was killed by SIGKILL``.
    killed : bool
        Whether a signal killed it.
    """

    app: str
    words: str
    killed: bool


class Endings:
    """Looks at the processes that SuperExecs started, from time to time."""

    def __init__(self) -> None:
        self._apps: dict[int, str] = {}
        self._told: set[int] = set()
        self._ended_for_memory = _count()

    def look(self, tree: Iterable[int], ended: Sequence[proc.Zombie] | None = None) -> list[Ending]:
        """Return the processes of apps that have ended since, whose parents are among these living processes.

        Parameters
        ----------
        tree : iterable of int
            A SuperExec and what it started.
        ended : sequence of proc.Zombie or None
            All processes that have ended and were not asked how, where somebody has looked already.
        """
        living = set(tree)
        for pid in living - self._apps.keys():
            called = (name.removesuffix(".py") for name in proc.names(pid))  # a launcher of ours is a script
            if app := next((APPS[name] for name in called if name in APPS), ""):
                self._apps[pid] = app
        found, dead = [], set()
        for pid, parent, name, status in proc.zombies() if ended is None else ended:
            dead.add(pid)
            app = self._apps.get(pid) or APPS.get(name, "")
            if app and parent in living and pid not in self._told:
                self._told.add(pid)
                found.append(self._ending(app, status))
        self._told &= dead
        self._apps = {pid: app for pid, app in self._apps.items() if pid in dead or Path(f"/proc/{pid}").exists()}
        return found

    def lives(self, app: str, tree: Iterable[int]) -> bool:
        """Tell whether one of these processes runs such an app, and has not ended since they were looked up."""
        return any(self._apps.get(pid) == app and pid not in self._told for pid in tree)

    def _ending(self, app: str, status: int) -> Ending:
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return Ending(app, f"ended with status {code}", killed=False)
        try:
            words = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            words = f"was killed by signal {-code}"
        before, self._ended_for_memory = self._ended_for_memory, _count()
        if -code == signal.SIGKILL and self._ended_for_memory > before:
            words += ", when the kernel had no memory left"
        return Ending(app, words, killed=True)


def _count() -> int:
    for path in _OUT_OF_MEMORY:
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
