"""Noticing how the processes of apps ended, so that a run can say it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from flowerbed import processes
from flowerbed.local.layout import StateFolder
from flowerbed.local.unit import UnitRunner
from flowerbed.topology.model import Role
from flowerbed_inside.proc import zombies
from flowerbed_inside.unit.endings import Endings


class EndingsWatcher:
    """Looks at what SuperExecs started; what was killed stands in the SuperExec's log.

    Parameters
    ----------
    folder : StateFolder
        Where the logs lie.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._endings = Endings()
        self.serverapp = ""

    def look(self, runners: Mapping[str, UnitRunner], table: dict[int, list[int]]) -> None:
        """Look once; `serverapp` is then how the last ServerApp's process ended, as a clause, if that was seen."""
        ended = zombies()
        for runner in list(runners.values()):
            for name in runner.names_of(Role.CLIENTAPP_SUPEREXEC, Role.SERVERAPP_SUPEREXEC):
                pid = runner.pids.get(name)
                tree = [] if pid is None else [pid, *processes.descendants(pid, table)]
                for ending in self._endings.look(tree, ended):
                    if ending.app == "ServerApp":
                        self.serverapp = f"its process {ending.words}"
                    if ending.killed:
                        self._write(name, f"[flowerbed: the {ending.app} {ending.words}]\n")
                if self._endings.lives("ServerApp", tree):  # what ended was another's
                    self.serverapp = ""

    def _write(self, name: str, line: str) -> None:
        with suppress(OSError), self._folder.log(name).open("a", encoding="utf-8") as log:
            log.write(line)
