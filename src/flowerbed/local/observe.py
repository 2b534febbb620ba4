"""Observing a federation: what has come up, who is connected, which SuperNodes the SuperLink knows. Then judging it.

`flowerbed.runs.readiness` judges, from what was seen to a state and a reason. Here is who looks, and writes down.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from flowerbed.local import ports
from flowerbed.local.client import ClientError, ControlClient
from flowerbed.local.executions import ExecutionWatcher
from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import Notes
from flowerbed.local.plan import Plan
from flowerbed.local.unit import Report, UnitRunner
from flowerbed.runs.readiness import Readiness
from flowerbed.runs.runtime import ComponentStatus, external_status
from flowerbed.runs.waiting import Seen
from flowerbed.topology.model import SUPERLINK, Role
from flowerbed.trust.layout import public_keys

SUPEREXECS = (Role.SERVERAPP_SUPEREXEC, Role.CLIENTAPP_SUPEREXEC)


class Observer:
    """Looks at a federation and writes down what it saw, when that has changed.

    Parameters
    ----------
    folder : StateFolder
        Where the federation's state lies.
    store : Notes
        Where to write it down.
    report : callable
        Takes events.
    """

    def __init__(self, folder: StateFolder, store: Notes, report: Report) -> None:
        self._folder = folder
        self._store = store
        self._report = report
        self._executions = ExecutionWatcher(folder, report)
        self._written: object = None
        self._rows: list[tuple[str, ComponentStatus]] = []
        self._was_ready = False
        self._ever_ready = False
        self._external: dict[str, bool] = {}
        self._begun = 0  # plans
        self._online = 0

    def begin(self, plan: Plan) -> None:
        """Write down that a plan is being made so; nothing of it has been seen yet."""
        self._begun += 1
        self._external = dict.fromkeys(plan.external, False)
        self._written, self._was_ready = None, False
        self._store.set_facts(
            state="starting",
            reason="",
            federation=plan.federation,
            release=plan.release,
            nodes_expected=plan.count(Role.SUPERNODE),
            superexecs_expected=plan.count(*SUPEREXECS),
        )

    async def look(self, plan: Plan, runners: Mapping[str, UnitRunner], client: ControlClient) -> bool:
        """Look once; return whether the federation is ready."""
        begun = self._begun
        online = await self._nodes_online(plan, runners, client)
        if begun != self._begun:
            return False  # what was seen is of the plan before
        self._online = online
        self._settle(runners)
        seen = Readiness(
            nodes_online=online,
            nodes_expected=plan.count(Role.SUPERNODE),
            superexecs_connected=sum(
                len(runner.settled.intersection(runner.names_of(*SUPEREXECS))) for runner in runners.values()
            ),
            superexecs_expected=plan.count(*SUPEREXECS),
            loop=_loop(runners),
            ever_ready=self._ever_ready,
        )
        self._write(plan, runners, seen)
        self._store.observed()
        return seen.ready

    def seen(self, plan: Plan, runners: Mapping[str, UnitRunner]) -> Seen:
        """Return what was last seen, for a run that may wait for some of it."""
        every = runners.values()
        return Seen(
            nodes_online=self._online,
            nodes_expected=plan.count(Role.SUPERNODE),
            external_online=sum(self._external.values()),
            external_away=[name for name, online in self._external.items() if not online],
            serverapp=any(one.settled.intersection(one.names_of(Role.SERVERAPP_SUPEREXEC)) for one in every),
            away=[name for one in every if not one.running for name in one.names_of(Role.SUPERNODE)],
        )

    def listen(self, runners: Mapping[str, UnitRunner]) -> None:
        """Hear what programs say of themselves, and write it down if it is new."""
        self._executions.look(runners)
        self.write_components(runners)

    def write_components(self, runners: Mapping[str, UnitRunner]) -> None:
        """Write down how each program is, if that has changed."""
        rows = [(runner.unit.name, status) for runner in runners.values() for status in runner.statuses()]
        rows += [(name, external_status(name, online=online)) for name, online in self._external.items()]
        if rows != self._rows:
            self._rows = rows
            self._store.write_components(rows)

    def _write(self, plan: Plan, runners: Mapping[str, UnitRunner], seen: Readiness) -> None:
        if seen.ready and not self._was_ready:
            self._ever_ready = True
            self._store.set_facts(ready_at=time.time())
            self._report("ready", plan.federation, seen.counts)
        elif self._was_ready and not seen.ready:
            self._report("degraded", plan.federation, f"is not ready any more: {seen.reason}")
        self._was_ready = seen.ready
        self.write_components(runners)
        if seen != self._written:
            self._written = seen
            self._store.set_facts(
                state=seen.state,
                reason=seen.reason,
                nodes_online=seen.nodes_online,
                superexecs_connected=seen.superexecs_connected,
            )

    async def _nodes_online(self, plan: Plan, runners: Mapping[str, UnitRunner], client: ControlClient) -> int:
        """Return how many SuperNodes of ours are online, and note which of those are that run elsewhere."""
        try:
            if not self._folder.superlink_answered.exists():
                await self._first_request(client)
                return 0
            nodes = await client.ask("nodes", timeout=5)
        except ClientError:
            self._external = dict.fromkeys(plan.external, False)
            return 0
        alive = sum(1 for runner in runners.values() if runner.running and runner.has(Role.SUPERNODE))
        keys = {node["key"] for node in nodes if node["online"]}
        of_external = {name: keys.intersection(self._keys(name)) for name in plan.external}
        self._external = {name: bool(found) for name, found in of_external.items()}
        online = sum(1 for node in nodes if node["online"]) - sum(map(len, of_external.values()))
        return min(online, alive)  # a killed one counts as online until its heartbeat is overdue

    def _keys(self, node: str) -> list[str]:
        try:
            return public_keys(self._folder.trust.node_registered_key(node).read_text(encoding="ascii"))
        except OSError:
            return []

    async def _first_request(self, client: ControlClient) -> None:
        """Let the others dial once the SuperLink has answered one request, alone.

        Up to 1.27 it makes its database at its first request, and several at once break it on 1.26 and 1.27.
        """
        await client.ask("runs", timeout=5)
        self._folder.superlink_answered.touch()
        self._report("unit", SUPERLINK, "answers")

    def _settle(self, runners: Mapping[str, UnitRunner]) -> None:
        """Find out which programs have come up: they listen, or hold the connection that they are for."""
        for runner in runners.values():
            for component in runner.unit.components:
                pid = runner.pids.get(component.name)
                if pid is None or component.name in runner.settled:
                    continue
                up = all(ports.answers(f"{ports.LOOPBACK}:{number}") for number in component.ports.values())
                if up and component.role in SUPEREXECS:
                    dialled = int(component.dials[0].rpartition(":")[2])
                    up = ports.connected_to([pid], dialled)
                if up:
                    runner.settled.add(component.name)


def _loop(runners: Mapping[str, UnitRunner]) -> str:
    for runner in runners.values():
        if runner.backoff.looping and not runner.running:
            return f"{runner.unit.name} ends again and again: {runner.note}\n{runner.last_words()}"
    return ""
