"""The supervisor: one small process that makes a plan so, keeps it so, and writes down what it observes.

It reads the plan, starts the units, restarts what ends, watches for wedges, hands requests from the verbs to
the control client, and follows runs. Everything that it knows goes to the state database, so it can be killed
at any moment: the guard above it then clears away all processes, and the next `up` starts from the plan.

Run as ``python -m flowerbed.local.supervisor STATE_FOLDER``. SIGTERM ends it with all units, a second one at
once; SIGUSR1 is the doorbell that says there is a request.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from flowerbed import processes
from flowerbed.environments.environment import hold
from flowerbed.errors import FlowerbedError, UsageError
from flowerbed.local import logs, machine
from flowerbed.local.admission import Admissions
from flowerbed.local.app_endings import EndingsWatcher
from flowerbed.local.backoff import Backoff
from flowerbed.local.changing import Decision, decide
from flowerbed.local.client import ClientError, ControlClient
from flowerbed.local.ending import let_end
from flowerbed.local.follow import Followers
from flowerbed.local.footing import LOOK_SECONDS, Footing, take
from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import Notes
from flowerbed.local.observe import Observer
from flowerbed.local.plan import TRUST_VERSION, Plan, PlannedUnit
from flowerbed.local.store import USAGE, Store
from flowerbed.local.unit import UnitRunner
from flowerbed.local.work import WorkWatcher
from flowerbed.runs.changes import Act, named, sentences
from flowerbed.runs.waiting import Seen
from flowerbed.topology.model import SUPERLINK, Role
from flowerbed_inside.unit.wedge import Marks

FAST_SECONDS = 0.2
"""How often is looked while something is starting."""
SLOW_SECONDS = 10.0
"""How often is looked once all is ready, and no unit has ended: each look is a write in the SuperLink's database."""
RETRY_SECONDS = 3.0
TRIM_SECONDS = 60.0
_UNWRITABLE = (FlowerbedError, OSError, sqlite3.Error)


class Supervisor:
    """Everything that one federation needs to stay up.

    Parameters
    ----------
    folder : StateFolder
        Where its state lies.
    lock : file
        Its lock, held.
    """

    def __init__(self, folder: StateFolder, lock: IO[str]) -> None:
        self.folder = folder
        self.store = Notes(Store(folder.database, create=True))
        self._footing = Footing(folder, lock)
        self._parent = os.getppid()
        self._why = self._gone = ""
        self._runs: list[str] = []
        self.plan = Plan.read(folder.plan)
        self.runners: dict[str, UnitRunner] = {}
        self.client = self._new_client()
        self.followers = Followers(self)
        self._admissions = Admissions(self)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._stopping = asyncio.Event()
        self._look_again = asyncio.Event()
        self._observer = Observer(folder, self.store, self.report)
        self._endings = EndingsWatcher(folder)
        self._work = WorkWatcher(folder, self.report)
        self._held: BinaryIO

    # Life.

    async def run(self) -> None:
        """Bring everything up, keep it up until told to stop, and take it down."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_signal_handler(signal.SIGUSR1, self._bell.set)
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        loop.add_signal_handler(signal.SIGHUP, self._on_orphaned)
        self._observer.begin(self.plan)
        self.store.set_facts(
            supervisor_pid=os.getpid(), nodes_online=0, superexecs_connected=0, started_at=time.time(), ready_at=None
        )
        self.report("supervisor", self.plan.federation, f"starting Flower {self.plan.release}")
        self._held = hold(Path(self.plan.environment))
        try:
            await self.client.start(superlink_is_down=True)
            self.followers.recover()
            for unit in self.plan.units:
                self._start_unit(unit)
            background = [
                asyncio.create_task(_keep_at(work))
                for work in (
                    *(self._observe, self._serve_requests, self._watch_work, self.followers.adopting.keep_looking),
                    *(self._keep_client, self._trim_logs, self._watch_folder, self._write_later),
                )
            ]
            self._admissions.begin_all()
            await self._stopping.wait()
            for task in background:
                task.cancel()
            await self._take_down()
        finally:
            self._held.close()

    async def _take_down(self) -> None:
        with suppress(*_UNWRITABLE):  # nowhere to write is no reason to leave something running
            self.store.set_facts(state="stopping")
            self.report("supervisor", self.plan.federation, f"stopping: {self._why}" if self._why else "stopping")
            if not self._gone:
                await self.followers.adopting.look()  # so that none is left out that `flwr run` submitted just now
            self._close_runs("the federation was taken down")
        if not (self._runs or self._gone):
            await let_end(lambda: self._serverapp_tree(processes.children_by_parent()))
        self._admissions.close()
        self.client.close()  # first: an idle connection keeps a SuperLink from ending
        superlink = [runner for runner in self.runners.values() if runner.has(Role.SUPERLINK)]
        others = [runner for runner in self.runners.values() if runner not in superlink]
        await asyncio.gather(*(runner.stop() for runner in others))
        await asyncio.gather(*(runner.stop() for runner in superlink))
        for task in self._tasks.values():
            task.cancel()
        if not self._gone:
            shutil.rmtree(self.folder.scratch, ignore_errors=True)
        with suppress(*_UNWRITABLE):
            self._observer.write_components(self.runners)
            self._note_down()
            self.report("supervisor", self.plan.federation, "down")
        if self._gone:
            self._footing.clear()
            os._exit(1)  # SQLite would otherwise delete files beside a database that is another one's by now

    def _close_runs(self, how: str) -> None:
        self._runs = [f"run {record.number}" for record in self.store.runs(unfinished=True)]
        self.followers.close(f"{how}: {self._why}" if self._why else how)

    def _note_down(self) -> None:
        with_it = f", and {named(self._runs)} ended with it" if self._runs else ""
        reason = f"{self._why}{with_it}; `flowerbed up` starts it again" if self._why else ""
        self.store.set_facts(state="down", reason=reason, supervisor_pid=None, nodes_online=0, superexecs_connected=0)

    def _on_terminate(self) -> None:
        if self._stopping.is_set():
            with suppress(*_UNWRITABLE):
                self._close_runs("the federation was taken down at once")
            processes.kill_all(lambda: processes.descendants(os.getpid()))
            with suppress(*_UNWRITABLE):
                self._note_down()
            if self._gone:
                self._footing.clear()
            os._exit(0)
        if os.getppid() != self._parent:
            self._why = "the guard above the supervisor was killed"
        self._stopping.set()

    def _on_orphaned(self) -> None:
        if not self._stopping.is_set():
            self._why = "the command that held it up (`flowerbed up` or `flowerbed run`) was killed"
            self._stopping.set()

    async def _watch_folder(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._gone and (gone := self._footing.lost()):
                self._why = self._gone = gone
                self._stopping.set()

    def report(self, kind: str, subject: str, message: str) -> None:
        """Write down that something happened."""
        if kind == "wedge":
            self.followers.note(f"restarted {subject} ({message.partition(';')[0]})")
        self.store.add_event(kind, subject, message)

    def seen(self) -> Seen:
        """Return what was last seen of the federation, for a run that may wait for some of it."""
        return self._observer.seen(self.plan, self.runners)

    # Units.

    def _start_unit(self, unit: PlannedUnit) -> None:
        if unit.name == SUPERLINK:
            self.folder.superlink_answered.unlink(missing_ok=True)
        runner = UnitRunner(
            unit,
            self.folder,
            minor=self.plan.minor,
            report=self.report,
            on_start=self._on_unit_start,
            on_end=self._on_unit_end,
            crowded=self.plan.count(Role.CLIENTAPP_SUPEREXEC) > machine.cores(),
        )
        self.runners[unit.name] = runner
        self._tasks[unit.name] = asyncio.create_task(runner.keep_running())

    async def _stop_unit(self, name: str) -> None:
        runner, task = self.runners.pop(name), self._tasks.pop(name)
        await runner.stop()
        task.cancel()

    def _on_unit_start(self, unit: PlannedUnit) -> None:
        for component in unit.components:
            if component.role == Role.SUPERNODE.value:
                self._admissions.begin(component.name)

    def _on_unit_end(self, name: str) -> None:
        self._look_again.set()
        if name == SUPERLINK:
            self.folder.superlink_answered.unlink(missing_ok=True)
        runner = self.runners.get(name)
        if runner is not None and runner.has(Role.SERVERAPP_SUPEREXEC):
            self.followers.serverapp_lost("the ServerApp's SuperExec ended while the run was going on")

    def end_serverapps(self, cause: str) -> None:
        """End every ServerApp, with the SuperExec that started it, which is started again."""
        for runner in self.runners.values():
            if runner.has(Role.SERVERAPP_SUPEREXEC):
                runner.end(cause)

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
        """Read the plan anew; restart only the units that it changes; return their names.

        Raises
        ------
        UsageError
            If a run is not finished that would lose a program that it needs; the plan that runs is written again.
        """
        await self.followers.adopting.look()
        decision = self._decided(Plan.read(self.folder.plan))
        new, before = decision.plan, self.plan
        changes = {change.unit: change for change in decision.changes}
        client_changed = new.client != before.client or _trust_of_client(new) != _trust_of_client(before)
        if new.environment != before.environment:
            held, self._held = self._held, hold(Path(new.environment))
            held.close()
        self.plan = new
        self._admissions.begin_all()
        if not (changes or client_changed):
            self._look_again.set()
            return []
        self._observer.begin(new)
        self._look_again.set()
        for sentence in sentences(decision.changes):
            self.report("change", new.federation, sentence)
        if client_changed:
            self.client.close()
            self.client = self._new_client()
        ended = [change for change in decision.changes if change.act is not Act.START]
        for change in ended:
            self.followers.note(change.past)
        await asyncio.gather(*(self._stop_unit(change.unit) for change in ended))
        if client_changed:
            await self.client.start(superlink_is_down=SUPERLINK in changes)
        for unit in new.units:
            if unit.name in changes:
                self._start_unit(unit)
        return list(changes)

    def _decided(self, wanted: Plan) -> Decision:
        """Decide what becomes of what runs: nobody can submit a run between this and what follows."""
        runs = self.store.runs(unfinished=True)
        running = replace(self.plan, units=[runner.unit for runner in self.runners.values()])
        decision = decide(running, wanted, runs[0].number if runs else None)
        if decision.refusal is not None:
            self.plan.write(self.folder.plan)
            raise decision.refusal
        if decision.plan != wanted:
            decision.plan.write(self.folder.plan)
        return decision

    # Observation.

    async def _observe(self) -> None:
        while True:
            ready = await self._observer.look(self.plan, self.runners, self.client)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_again.wait(), SLOW_SECONDS if ready else FAST_SECONDS)
            self._look_again.clear()

    async def _watch_work(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            table = processes.children_by_parent()
            marks = Marks.compiled(self.plan.taken, self.plan.replied, self.plan.lost)
            self._work.look(self.runners, table, marks)
            self._endings.look(self.runners, table)
            self._observer.listen(self.runners)
            self.followers.look_for_serverapps(self._serverapp_tree(table), self._endings.serverapp)

    def _serverapp_tree(self, table: dict[int, list[int]]) -> list[int]:
        return [
            pid
            for runner in self.runners.values()
            if runner.has(Role.SERVERAPP_SUPEREXEC)
            for pid in runner.tree(table)
        ]

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(TRIM_SECONDS)
            for log in self.folder.logs.glob("*.log"):
                logs.trim(log)

    async def _write_later(self) -> None:
        """Write down what could not be written, once that is possible again."""
        while True:
            await asyncio.sleep(1.0)
            if self.store.trouble:
                self.store.write()

    # The control client and requests.

    def _new_client(self) -> ControlClient:
        return ControlClient(
            self.plan.client,
            self.plan.client_env,
            log=self.folder.log("control-client"),
            on_event=lambda event: self.followers.on_event(event),
        )

    async def _keep_client(self) -> None:
        backoff, started = Backoff(), time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            if self.client.pid is not None and not processes.alive(self.client.pid):
                backoff = backoff.ended(time.monotonic() - started)
                self.report("unit", "control-client", f"ended; it is started again in {backoff.delay:g} s")
                await asyncio.sleep(backoff.delay)
                self.client = self._new_client()
                await self.client.start()
                started = time.monotonic()
                self.followers.resume()

    async def _serve_requests(self) -> None:
        while True:
            self._bell.clear()  # before looking, so that what is asked meanwhile rings again
            for number, kind, payload in self.store.asked():
                try:
                    answer = await self._serve(kind, payload)
                except ClientError as error:
                    self.store.answer(number, {"code": error.code, "message": error.message}, refused=True)
                except UsageError as error:
                    answer = {"code": USAGE, "message": error.message, "hint": error.hint}
                    self.store.answer(number, answer, refused=True)
                except FlowerbedError as error:
                    self.store.answer(number, {"code": "refused", "message": str(error)}, refused=True)
                except Exception as error:  # noqa: BLE001 - a full disk; unanswered it would be served again and again
                    logs.complain(traceback.format_exc())
                    self.store.answer(number, {"code": "internal", "message": str(error)}, refused=True)
                else:
                    self.store.answer(number, answer)
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
            case "nodes":
                return {"nodes": await self.client.ask("nodes")}
            case "dismiss":
                return {"dismissed": await self._admissions.dismiss(payload["node"])}
            case "look":
                await self.followers.adopting.look()
                return {}
            case "stop":
                return {"stopped": await self.followers.stop(payload["run"])}
            case _:
                raise ClientError("unsupported", f"this supervisor does not know {kind!r}")


def _trust_of_client(plan: Plan) -> str:
    return plan.client_env.get(TRUST_VERSION, "")


async def _keep_at(work: Callable[[], Awaitable[None]]) -> None:
    """Do work that never ends, again after each failure: units are kept up even when nothing can be written."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001 - whatever it is, it is told, and the federation goes on
            logs.complain(traceback.format_exc())
            await asyncio.sleep(RETRY_SECONDS)


def main(argv: list[str]) -> int:
    """Run the supervisor of the state folder given as the only argument; return the exit status."""
    folder = StateFolder(Path(argv[0]))
    lock = take(folder)
    if lock is None:
        print("another supervisor is running", file=sys.stderr)
        return 3
    processes.adopt_orphans()
    processes.kill_all(lambda: processes.marked(folder.root))  # left over where there was no guard
    try:
        asyncio.run(_supervise(folder, lock))
    except FlowerbedError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


async def _supervise(folder: StateFolder, lock: IO[str]) -> None:
    await Supervisor(folder, lock).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
