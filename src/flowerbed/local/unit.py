"""A unit as processes: its components start together, and the end of one is the end of all."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable

from flowerbed import processes
from flowerbed.local.backoff import Backoff
from flowerbed.local.layout import StateFolder
from flowerbed.local.logs import size
from flowerbed.local.plan import PlannedUnit
from flowerbed.runs.runtime import ComponentStatus
from flowerbed.runs.tracebacks import last_lines
from flowerbed.topology.model import Role
from flowerbed_inside.launch.execution import LIBRARIES, Execution

GRACE_SECONDS = 5.0
"""How long a component may take to end after SIGTERM before it is killed."""
NICE = {Role.CLIENTAPP_SUPEREXEC.value: 10}
"""ClientApps give way to the SuperLink: when many of them kept it from its processor, SuperNodes waited longer than
the 5 s of its database for their turn to write, and lost their replies (16 SuperNodes on 2 cores, Flower 1.41)."""
AUTOGROUP_SECONDS = 0.1
"""How often the kernel lets somebody without privilege say how nice a session is."""
COMPONENT_MARK = "FLOWERBED_COMPONENT"
NOTHING_SAID = Execution("", "")

Report = Callable[[str, str, str], None]
"""Called with an event's kind, subject and message."""


class UnitRunner:
    """Keeps one unit running.

    Parameters
    ----------
    unit : PlannedUnit
        What to run.
    folder : StateFolder
        Where logs and homes lie.
    minor : str
        The minor Flower release.
    report : callable
        Takes events.
    on_start : callable
        Called with the unit each time that it is about to be started.
    on_end : callable
        Called with the unit's name each time that it ended without being asked to.
    crowded : bool
        Whether there are more ClientApps than cores. Only then do their whole sessions give way: to the SuperLink, but
        to everything else on the machine too, and where that is busy a run of two SuperNodes takes minutes for seconds.
    """

    def __init__(
        self,
        unit: PlannedUnit,
        folder: StateFolder,
        *,
        minor: str,
        report: Report,
        on_start: Callable[[PlannedUnit], None],
        on_end: Callable[[str], None],
        crowded: bool = False,
    ) -> None:
        self.unit = unit
        self._crowded = crowded
        self._minor = minor
        self.restarts = 0
        self.backoff = Backoff()
        self.pids: dict[str, int] = {}
        self.log_starts: dict[str, int] = {}
        """How long each component's log was when its process was started."""
        self.settled: set[str] = set()
        self.executions: dict[str, Execution] = {}
        """How the processes of a SuperExec's apps begin, as far as it has said it."""
        self.note = ""
        self._folder = folder
        self._report = report
        self._on_start = on_start
        self._on_end = on_end
        self._ended = asyncio.Event()
        self._cause = ""
        self._stopping = False
        self._started_at = 0.0

    @property
    def running(self) -> bool:
        """Whether its processes are there."""
        return bool(self.pids)

    def names_of(self, *roles: Role) -> list[str]:
        """Return the unit's components of these roles."""
        return [component.name for component in self.unit.components if component.role in roles]

    def has(self, role: Role) -> bool:
        """Tell whether the unit has a component of a role."""
        return bool(self.names_of(role))

    async def keep_running(self) -> None:
        """Start the unit, and start it again with back-off whenever it ends, until `stop`."""
        while not self._stopping:
            self._start()
            giving_way = asyncio.create_task(self._give_way())
            await self._ended.wait()
            giving_way.cancel()
            if self._stopping:
                break
            lived = time.monotonic() - self._started_at
            self.backoff = self.backoff.ended(lived)
            cause = self._cause
            await self._clear_away()
            self._on_end(self.unit.name)
            self._describe_end(cause)
            self.restarts += 1
            await asyncio.sleep(self.backoff.delay)

    def exited(self, pid: int, status: int) -> bool:
        """Take the news that a process ended; return whether it was one of this unit's components."""
        for name, mine in self.pids.items():
            if mine == pid:
                self.end(f"{name} {describe_status(status)}")
                del self.pids[name]
                return True
        return False

    def end(self, cause: str) -> None:
        """Have the unit end and start again, for a reason."""
        if not self._ended.is_set():
            self._cause = cause
            self._ended.set()

    async def stop(self, *, grace: float = GRACE_SECONDS) -> None:
        """End the unit for good."""
        self._stopping = True
        await self._clear_away(grace=grace)
        self._ended.set()

    def tree(self, table: dict[int, list[int]]) -> list[int]:
        """Return the unit's processes and all their descendants."""
        found: list[int] = []
        for pid in self.pids.values():
            found += [pid, *processes.descendants(pid, table)]
        return found

    def statuses(self) -> list[ComponentStatus]:
        """Return each component as it is now."""
        return [
            ComponentStatus(
                name=component.name,
                role=component.role,
                state=self._state(component.name),
                pid=self.pids.get(component.name),
                restarts=self.restarts,
                addresses={port: f"127.0.0.1:{number}" for port, number in component.ports.items()},
                note=self.note,
                execution=said.mode,
                execution_why=said.why,
            )
            for component in self.unit.components
            for said in [self.executions.get(component.name, NOTHING_SAID)]
        ]

    def last_words(self, lines: int = 12) -> str:
        """Return the last lines of the log of the component that ended, or of all."""
        texts = []
        for component in self.unit.components:
            text = self._folder.log(component.name)
            tail = last_lines(text.read_text(encoding="utf-8", errors="replace"), lines) if text.exists() else ""
            if tail:
                texts.append(f"--- {component.name} ({text}) ---\n{tail}")
        return "\n".join(texts)

    def _state(self, component: str) -> str:
        if self._stopping:
            return "stopped"
        if component in self.pids:
            return "running" if component in self.settled else "starting"
        return "crash loop" if self.backoff.looping else "backing off"

    def _start(self) -> None:
        self._ended.clear()
        self._cause = ""
        self.note = ""
        self.settled.clear()
        self.executions.clear()
        self._started_at = time.monotonic()
        self.log_starts = log_sizes(self._folder, [component.name for component in self.unit.components])
        if not self._folder.root.is_dir():  # deleted: whoever makes folders in it would make it again
            self.end(f"there is no folder {self._folder.root}")
            return
        self._on_start(self.unit)
        for component in self.unit.components:
            home = self._folder.home(component.name)
            env = {**component.env, COMPONENT_MARK: component.name, LIBRARIES: str(self._folder.libraries)}
            try:
                for needed in (home, self._folder.data(component.name, self._minor)):
                    needed.mkdir(parents=True, exist_ok=True)
                self.pids[component.name] = processes.spawn(
                    component.argv,
                    env=env,
                    cwd=home,
                    log=self._folder.log(component.name),
                    nice=NICE.get(component.role, 0),
                )
            except OSError as error:
                self.end(f"{component.name} cannot be started: {error}")
                return

    async def _give_way(self) -> None:
        """Have the sessions of those that are nice give way, not only their processes; nobody waits for it."""
        for component in self.unit.components if self._crowded else ():
            nice, pid = NICE.get(component.role, 0), self.pids.get(component.name, 0)
            while nice and pid in self.pids.values() and not processes.session_gives_way(pid, nice):
                await asyncio.sleep(AUTOGROUP_SECONDS)

    async def _clear_away(self, *, grace: float = GRACE_SECONDS) -> None:
        """End what is left of the unit, gently and then not, grandchildren included."""
        pids = set(self.tree(processes.children_by_parent()))
        processes.send(self.pids.values(), signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(processes.alive(pid) for pid in self.pids.values()) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        deadline = time.monotonic() + GRACE_SECONDS
        while (left := _living(pids | self._strays())) and time.monotonic() < deadline:
            processes.send(left, signal.SIGKILL)
            await asyncio.sleep(0.02)
        self.pids.clear()
        self.settled.clear()

    def _strays(self) -> set[int]:
        """Return grandchildren that lost their parent, and so came to the supervisor, by their mark."""
        names = {component.name for component in self.unit.components}
        mine = {pid for pid in processes.adopted() if processes.environment_of(pid).get(COMPONENT_MARK) in names}
        return mine - set(self.pids.values())

    def _describe_end(self, cause: str) -> None:
        again = f"starting again in {self.backoff.delay:g} s"
        self.note = f"{cause}; {again}"
        if self.backoff.looping:
            self._report("crash-loop", self.unit.name, f"{cause}, {self.backoff.ends} times in a row; {again}")
        else:
            self._report("unit", self.unit.name, f"{cause}; {again}")


def describe_status(status: int) -> str:
    """Return an exit status (negative for a signal) in words."""
    if status < 0:
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"
    return f"ended with status {status}"


def log_sizes(folder: StateFolder, names: Iterable[str]) -> dict[str, int]:
    """Return how long each component's log is now, to read later what came after."""
    return {name: size(folder.log(name)) for name in names}


def _living(pids: set[int]) -> list[int]:
    return [pid for pid in pids if processes.alive(pid)]
