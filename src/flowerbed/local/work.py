"""Watching SuperNodes at work, so that a wedged one is noticed and its unit restarted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from flowerbed import processes
from flowerbed.local import logs
from flowerbed.local.layout import StateFolder
from flowerbed.local.unit import Report, UnitRunner
from flowerbed.topology.model import Role
from flowerbed_inside.unit.wedge import WORKER, Marks, Watch


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
        self._watches: dict[str, _Watched] = {}

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
        pid = runner.pids.get(supernode)
        if pid is None:
            self._watches.pop(supernode, None)
            return
        watched = self._watches.get(supernode)
        if watched is None or watched.pid != pid:  # another process: what its predecessor took is not its work
            watched = _Watched(pid, Watch(), runner.log_starts[supernode])
        end = logs.size(log)
        worker = any(WORKER in processes.command_line(pid) for pid in tree)
        watch = watched.watch.observe(logs.read_from(log, watched.offset), marks, worker=worker, now=now)
        if why := watch.why(now):
            watch = Watch()
            runner.end(f"{supernode} was wedged")  # first: the rest needs a disk
            self._report("wedge", supernode, f"{why}; its unit is restarted")
            with suppress(OSError), log.open("a", encoding="utf-8") as out:
                out.write(f"[flowerbed: this SuperNode {why}; its unit is restarted]\n")
        self._watches[supernode] = _Watched(pid, watch, end)


@dataclass(frozen=True)
class _Watched:
    """What is known of a SuperNode's process, and how much of its log has been read."""

    pid: int
    watch: Watch
    offset: int
