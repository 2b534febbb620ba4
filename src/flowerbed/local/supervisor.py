"""The supervisor: one small process that makes a plan so, keeps it so, and writes down what it observes.

It reads the plan, starts the units, restarts what ends, watches for wedges, hands requests from the verbs to
the control client, and follows runs. Everything that it knows goes to the state database, so it can be killed
at any moment: the guard above it then clears away all processes, and the next `up` starts from the plan.

Run as ``python -m flowerbed.local.supervisor STATE_FOLDER``. SIGTERM ends it with all units, a second one at
once; SIGUSR1 is the doorbell that says there is a request.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from flowerbed import processes
from flowerbed.environments.environment import hold
from flowerbed.errors import FlowerbedError
from flowerbed.local import logs, ports
from flowerbed.local.client import ClientError, ControlClient
from flowerbed.local.follow import Followers
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan, PlannedUnit
from flowerbed.local.store import Store
from flowerbed.local.unit import UnitRunner
from flowerbed.local.wedge import WORKER, Watch
from flowerbed.topology.model import SUPERLINK, Role

FAST_SECONDS = 0.1
"""How often is looked while something is starting."""
SLOW_SECONDS = 2.0
"""How often is looked once all is ready."""
TRIM_SECONDS = 60.0
SUPEREXECS = {Role.SERVERAPP_SUPEREXEC.value, Role.CLIENTAPP_SUPEREXEC.value}


class Supervisor:
    """Everything that one federation needs to stay up.

    Parameters
    ----------
    folder : StateFolder
        Where its state lies.
    """

    def __init__(self, folder: StateFolder) -> None:
        self.folder = folder
        self.store = Store(folder.database, create=True)
        self.plan = Plan.read(folder.plan)
        self.runners: dict[str, UnitRunner] = {}
        self.client = self._new_client()
        self.followers = Followers(self)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._stopping = asyncio.Event()
        self._watches: dict[str, tuple[Watch, int]] = {}
        self._written: object = None
        self._held: BinaryIO
        self._was_ready = False
        self._nodes_online = 0

    # Life.

    async def run(self) -> None:
        """Bring everything up, keep it up until told to stop, and take it down."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGUSR1, self._bell.set)
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        self.store.set_facts(
            state="starting",
            reason="",
            federation=self.plan.federation,
            release=self.plan.release,
            supervisor_pid=os.getpid(),
            nodes_online=0,
            nodes_expected=self.expected(Role.SUPERNODE.value),
            superexecs_connected=0,
            superexecs_expected=sum(self.expected(role) for role in SUPEREXECS),
            started_at=time.time(),
            ready_at=None,
        )
        self.report("supervisor", self.plan.federation, f"starting Flower {self.plan.release}")
        self._held = hold(Path(self.plan.environment))
        try:
            await self.client.start(superlink_is_down=True)
            self.followers.recover()
            for unit in self.plan.units:
                self._start_unit(unit)
            background = [
                asyncio.create_task(work())
                for work in (self._observe, self._serve_requests, self._watch_work, self._keep_client, self._trim_logs)
            ]
            await self._stopping.wait()
            for task in background:
                task.cancel()
            await self._take_down()
        finally:
            self._held.close()

    async def _take_down(self) -> None:
        self.store.set_facts(state="stopping")
        self.report("supervisor", self.plan.federation, "stopping")
        self.followers.close("the federation was taken down")
        self.client.close()  # first: an idle connection keeps a SuperLink from ending
        superlink = [runner for runner in self.runners.values() if self._has(runner, Role.SUPERLINK)]
        others = [runner for runner in self.runners.values() if runner not in superlink]
        await asyncio.gather(*(runner.stop() for runner in others))
        await asyncio.gather(*(runner.stop() for runner in superlink))
        for task in self._tasks.values():
            task.cancel()
        self._write_components()
        self.store.set_facts(state="down", supervisor_pid=None, nodes_online=0, superexecs_connected=0)
        self.report("supervisor", self.plan.federation, "down")

    def _on_terminate(self) -> None:
        if self._stopping.is_set():
            self.followers.close("the federation was taken down at once")
            processes.kill_all(lambda: processes.descendants(os.getpid()))
            self.store.set_facts(state="down", supervisor_pid=None, nodes_online=0, superexecs_connected=0)
            os._exit(0)
        self._stopping.set()

    def report(self, kind: str, subject: str, message: str) -> None:
        """Write down that something happened."""
        self.store.add_event(kind, subject, message)

    # Units.

    def _start_unit(self, unit: PlannedUnit) -> None:
        if unit.name == SUPERLINK:
            self.folder.superlink_answered.unlink(missing_ok=True)
        runner = UnitRunner(unit, self.folder, minor=self.plan.minor, report=self.report, on_end=self._on_unit_end)
        self.runners[unit.name] = runner
        self._tasks[unit.name] = asyncio.create_task(runner.keep_running())

    async def _stop_unit(self, name: str) -> None:
        runner, task = self.runners.pop(name), self._tasks.pop(name)
        await runner.stop()
        task.cancel()

    def _on_unit_end(self, name: str) -> None:
        self._was_ready = False
        if name == SUPERLINK:
            self.folder.superlink_answered.unlink(missing_ok=True)
        runner = self.runners.get(name)
        if runner is not None and self._has(runner, Role.SERVERAPP_SUPEREXEC):
            self.followers.serverapp_lost("the ServerApp's SuperExec ended while the run was going on")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            any(runner.exited(pid, code) for runner in self.runners.values())

    async def apply(self) -> list[str]:
        """Read the plan anew; restart only the units that it changes; return their names."""
        new = Plan.read(self.folder.plan)
        wanted = {unit.name: unit for unit in new.units}
        gone = [name for name in self.runners if name not in wanted]
        changed = [
            name
            for name, unit in wanted.items()
            if name in self.runners and self.runners[name].unit.fingerprint != unit.fingerprint
        ]
        fresh = [name for name in wanted if name not in self.runners]
        if new.environment != self.plan.environment:
            before, self._held = self._held, hold(Path(new.environment))
            before.close()
        client_changed = new.client != self.plan.client
        self.plan = new
        if not (gone or changed or fresh or client_changed):
            return []
        self._was_ready = False
        self._written = None
        self.store.set_facts(
            state="starting",
            release=new.release,
            nodes_expected=self.expected(Role.SUPERNODE.value),
            superexecs_expected=sum(self.expected(role) for role in SUPEREXECS),
        )
        if client_changed:
            self.client.close()
            self.client = self._new_client()
        await asyncio.gather(*(self._stop_unit(name) for name in [*gone, *changed]))
        if client_changed:
            await self.client.start(superlink_is_down=SUPERLINK in changed)
        for unit in new.units:
            if unit.name in changed or unit.name in fresh:
                self._start_unit(unit)
        return [*gone, *changed, *fresh]

    # Observation.

    async def _observe(self) -> None:
        while True:
            await self._look_at_nodes()
            self._look_at_components()
            self._judge_readiness()
            await asyncio.sleep(SLOW_SECONDS if self._was_ready else FAST_SECONDS)

    async def _wait_for_superlink(self) -> None:
        """Let the others dial once the SuperLink has answered one request, alone.

        Up to 1.27 it makes its database at its first request, and two at once break it on 1.26 and 1.27.
        """
        try:
            await self.client.ask("runs", timeout=5)
        except ClientError:
            return
        self.folder.superlink_answered.touch()
        self.report("unit", SUPERLINK, "answers")

    async def _look_at_nodes(self) -> None:
        if not self.folder.superlink_answered.exists():
            await self._wait_for_superlink()
            self._nodes_online = 0
            return
        try:
            nodes = await self.client.ask("nodes", timeout=5)
        except ClientError:
            self._nodes_online = 0
            return
        alive = sum(1 for runner in self.runners.values() if runner.running and self._has(runner, Role.SUPERNODE))
        online = sum(1 for node in nodes if node["online"])
        self._nodes_online = min(online, alive)  # a killed one counts as online until its heartbeat is overdue

    def _look_at_components(self) -> None:
        """Find out which programs have come up: they listen, or hold the connection that they are for."""
        table: dict[int, list[int]] | None = None
        for runner in self.runners.values():
            for component in runner.unit.components:
                pid = runner.pids.get(component.name)
                if pid is None or component.name in runner.settled:
                    continue
                listens = all(ports.answers(f"{ports.LOOPBACK}:{number}") for number in component.ports.values())
                if listens and component.role in SUPEREXECS:
                    table = processes.children_by_parent() if table is None else table
                    dialled = int(component.dials[0].rpartition(":")[2])
                    listens = ports.connected_to([pid, *processes.descendants(pid, table)], dialled)
                if listens:
                    runner.settled.add(component.name)

    def _judge_readiness(self) -> None:
        connected = sum(
            1
            for runner in self.runners.values()
            for component in runner.unit.components
            if component.role in SUPEREXECS and component.name in runner.settled
        )
        expected_nodes, expected_execs = (
            self.expected(Role.SUPERNODE.value),
            sum(self.expected(role) for role in SUPEREXECS),
        )
        ready = self._nodes_online >= expected_nodes and connected >= expected_execs
        looping = [runner for runner in self.runners.values() if runner.backoff.looping and not runner.running]
        state = "ready" if ready else "failed" if looping else "degraded" if self._ever_ready() else "starting"
        reason = "" if ready else self._why_not_ready(looping, connected, expected_nodes, expected_execs)
        if ready and not self._was_ready:
            self.store.set_facts(ready_at=time.time())
            self.report(
                "ready",
                self.plan.federation,
                f"{self._nodes_online} of {expected_nodes} SuperNodes online,"
                f" {connected} of {expected_execs} SuperExecs connected",
            )
        self._was_ready = ready
        facts = {
            "state": state,
            "reason": reason,
            "nodes_online": self._nodes_online,
            "superexecs_connected": connected,
        }
        if facts != self._written:
            self._written = facts
            self.store.set_facts(**facts)
            self._write_components()

    def _ever_ready(self) -> bool:
        return self.store.facts().get("ready_at") is not None

    def _why_not_ready(
        self, looping: list[UnitRunner], connected: int, expected_nodes: int, expected_execs: int
    ) -> str:
        if looping:
            runner = looping[0]
            return f"{runner.unit.name} ends again and again: {runner.note}\n{runner.last_words()}"
        return (
            f"{self._nodes_online} of {expected_nodes} SuperNodes online,"
            f" {connected} of {expected_execs} SuperExecs connected"
        )

    def _write_components(self) -> None:
        self.store.write_components(
            [(runner.unit.name, status) for runner in self.runners.values() for status in runner.statuses()]
        )

    def expected(self, role: str) -> int:
        """Return how many components of a role the plan has."""
        return sum(1 for component in self.plan.components() if component.role == role)

    def _has(self, runner: UnitRunner, role: Role) -> bool:
        return any(component.role == role.value for component in runner.unit.components)

    # Wedges and lost ServerApps.

    async def _watch_work(self) -> None:
        taken, replied = re.compile(self.plan.taken), re.compile(self.plan.replied)
        while True:
            await asyncio.sleep(1.0)
            table = processes.children_by_parent()
            now = time.monotonic()
            for runner in list(self.runners.values()):
                supernode = next(
                    (item.name for item in runner.unit.components if item.role == Role.SUPERNODE.value), None
                )
                if supernode is not None:
                    self._watch_supernode(runner, supernode, table, taken, replied, now)
            self.followers.look_for_serverapps(table)

    def _watch_supernode(
        self,
        runner: UnitRunner,
        supernode: str,
        table: dict[int, list[int]],
        taken: re.Pattern[str],
        replied: re.Pattern[str],
        now: float,
    ) -> None:
        log = self.folder.log(supernode)
        if not runner.running:
            self._watches[supernode] = (Watch(), logs.size(log))
            return
        watch, offset = self._watches.get(supernode, (Watch(), logs.size(log)))
        end = logs.size(log)
        text = logs.read_from(log, offset)
        worker = any(WORKER in processes.command_line(pid) for pid in self._workers(runner, supernode, table))
        watch = watch.observe(text, taken=taken, replied=replied, worker=worker, now=now)
        if watch.wedged(now):
            self.report("wedge", supernode, "has waited in vain for its ClientApp's reply; the unit is restarted")
            with log.open("a", encoding="utf-8") as out:
                out.write("[flowerbed: this SuperNode waits for a ClientApp that is gone; its unit is restarted]\n")
            runner.end(f"{supernode} was wedged")
            watch = Watch()
        self._watches[supernode] = (watch, end)

    def _workers(self, runner: UnitRunner, supernode: str, table: dict[int, list[int]]) -> list[int]:
        """Return the processes among which a SuperNode's ClientApp is, in a unit of its own or the same."""
        partner = self.runners.get(f"{supernode}-superexec")
        return runner.tree(table) + (partner.tree(table) if partner else [])

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            for log in self.folder.logs.glob("*.log"):
                logs.trim(log)

    # The control client and requests.

    def _new_client(self) -> ControlClient:
        return ControlClient(
            self.plan.client,
            self.plan.client_env,
            log=self.folder.log("control-client"),
            on_event=lambda event: self.followers.on_event(event),
        )

    async def _keep_client(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            if self.client.pid is not None and not processes.alive(self.client.pid):
                self.report("unit", "control-client", "ended; it is started again")
                self.client = self._new_client()
                await self.client.start()
                self.followers.resume()

    async def _serve_requests(self) -> None:
        while True:
            for number, kind, payload in self.store.asked():
                try:
                    answer = await self._serve(kind, payload)
                except ClientError as error:
                    self.store.answer(number, {"code": error.code, "message": error.message}, refused=True)
                except FlowerbedError as error:
                    self.store.answer(number, {"code": "refused", "message": str(error)}, refused=True)
                else:
                    self.store.answer(number, answer)
            self._bell.clear()
            try:
                await asyncio.wait_for(self._bell.wait(), 0.5)
            except TimeoutError:
                continue

    async def _serve(self, kind: str, payload: dict[str, Any]) -> dict[str, object]:
        match kind:
            case "apply":
                return {"changed": await self.apply()}
            case "submit":
                return {"flower_id": await self.followers.submit(payload["run"], payload["app"])}
            case "stop":
                return {"stopped": await self.followers.stop(payload["run"])}
            case _:
                raise ClientError("unsupported", f"this supervisor does not know {kind!r}")


def main(argv: list[str]) -> int:
    """Run the supervisor of the state folder given as the only argument; return the exit status."""
    folder = StateFolder(Path(argv[0]))
    lock = folder.lock.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("another supervisor is running", file=sys.stderr)
        return 3
    processes.adopt_orphans()
    processes.kill_all(lambda: processes.marked(folder.root))  # left over where there was no guard
    try:
        asyncio.run(_supervise(folder))
    except FlowerbedError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


async def _supervise(folder: StateFolder) -> None:
    await Supervisor(folder).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
