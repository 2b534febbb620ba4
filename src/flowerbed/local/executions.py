"""Hearing from SuperExecs' logs how the processes of their apps begin, so that `status` can say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flowerbed.local import logs
from flowerbed.local.layout import StateFolder
from flowerbed.local.unit import Report, UnitRunner
from flowerbed.topology.model import Role
from flowerbed_inside.launch.execution import Execution, last_said


class ExecutionWatcher:
    """Reads SuperExecs' logs as they grow.

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
        self._heard: dict[str, _Heard] = {}
        self._told: set[str] = set()

    def look(self, runners: Mapping[str, UnitRunner]) -> None:
        """Look at every SuperExec once, and have its unit know how its apps begin."""
        for runner in runners.values():
            for name in runner.names_of(Role.SERVERAPP_SUPEREXEC, Role.CLIENTAPP_SUPEREXEC):
                pid = runner.pids.get(name)
                if pid is None:
                    self._heard.pop(name, None)
                    continue
                heard = self._heard.get(name)
                if heard is None or heard.pid != pid:  # what another process said does not hold
                    heard = _Heard(pid, runner.log_starts[name])
                self._heard[name] = heard = self._listen(name, heard)
                if heard.said is not None and heard.said != runner.executions.get(name):
                    runner.executions[name] = heard.said
                    self._tell(name, heard.said.shortfall)

    def _listen(self, name: str, heard: _Heard) -> _Heard:
        log = self._folder.log(name)
        end = logs.size(log)
        if end == heard.offset:
            return heard
        whole, _, begun = logs.read_from(log, heard.offset).rpartition("\n")
        return _Heard(heard.pid, max(0, end - len(begun.encode())), last_said(whole) or heard.said)

    def _tell(self, name: str, shortfall: str) -> None:
        """Report each reason once: it is often the same for all."""
        if shortfall and shortfall not in self._told:
            self._told.add(shortfall)
            self._report("execution", name, f"processes of its apps are {shortfall}")


@dataclass(frozen=True)
class _Heard:
    """What is known of a SuperExec's process, and how much of its log has been read."""

    pid: int
    offset: int
    said: Execution | None = None
