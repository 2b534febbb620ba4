"""Watching SuperNodes at work, so that a wedged one is noticed and its unit restarted."""

from __future__ import annotations

import time
from collections.abc import Mapping

from flowerbed import processes
from flowerbed.flower.inside.wedge import WORKER, Marks, Watch
from flowerbed.local import logs
from flowerbed.local.layout import StateFolder
from flowerbed.local.unit import Report, UnitRunner
from flowerbed.topology.model import Role


class WorkWatcher:
    """Reads SuperNodes' logs as they grow and compares them with the process tree.

    Parameters
    ----------
    folder : StateFolder
        Where the logs lie.
    report : callable
        Takes events.
    """

    def __init__(self, folder: StateFolder, report: Report) -> None:
        self._folder = folder
        self._report = report
        self._watches: dict[str, tuple[Watch, int]] = {}

    def look(self, runners: Mapping[str, UnitRunner], table: dict[int, list[int]], marks: Marks) -> None:
        """Look at every SuperNode once.

        Parameters
        ----------
        runners : mapping of str to UnitRunner
            All units.
        table : dict of int to list of int
            The process table, parent to children.
        marks : Marks
            How a SuperNode's log shows its work.
        """
        for runner in list(runners.values()):
            for supernode in runner.names_of(Role.SUPERNODE):
                partner = runners.get(f"{supernode}-superexec")  # a unit of its own where the layout says so
                tree = runner.tree(table) + (partner.tree(table) if partner else [])
                self._look_at(runner, supernode, tree, marks)

    def _look_at(self, runner: UnitRunner, supernode: str, tree: list[int], marks: Marks) -> None:
        log, now = self._folder.log(supernode), time.monotonic()
        end = logs.size(log)
        if not runner.running:
            self._watches[supernode] = (Watch(), end)
            return
        watch, offset = self._watches.get(supernode, (Watch(), end))
        worker = any(WORKER in processes.command_line(pid) for pid in tree)
        watch = watch.observe(logs.read_from(log, offset), marks, worker=worker, now=now)
        if why := watch.why(now):
            self._report("wedge", supernode, f"{why}; its unit is restarted")
            with log.open("a", encoding="utf-8") as out:
                out.write(f"[flowerbed: this SuperNode {why}; its unit is restarted]\n")
            runner.end(f"{supernode} was wedged")
            watch = Watch()
        self._watches[supernode] = (watch, end)
