"""What `doctor` says of a federation, and of this user's others: what `run` and `up` check too, and what is up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flowerbed import processes
from flowerbed.counting import counted
from flowerbed.errors import FlowerbedError
from flowerbed.local.doctor_machine import Check, State
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan
from flowerbed.local.preflight import Preflight
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.source import find
from flowerbed.runs.changes import named
from flowerbed.runs.runtime import ComponentStatus
from flowerbed.spec.names import FEDERATION_FILE
from flowerbed_inside.launch.execution import Execution

_SLOWER = "nothing has to be done: it only takes longer; `execution: Isolated` asks for it"
MEND = "mend that, then: flowerbed doctor"


def check_federation(place: Path) -> list[Check]:
    """Check the federation that a place stands for.

    Parameters
    ----------
    place : Path
        Its file or folder, there or not.
    """
    if place.is_dir() and not any((place / name).exists() for name in (FEDERATION_FILE, "pyproject.toml")):
        what = f"there is no Flower App and no {FEDERATION_FILE} in {place.resolve()}"
        checks = [Check("file", State.WARNING, what, "flowerbed new my-app, or: flowerbed doctor --file path/to/app")]
    else:
        checks = _check_file(place)
    folder = StateFolder.beside(place)
    if folder.database.exists():
        checks += _check_state(folder)
    return checks


def _check_file(place: Path) -> list[Check]:
    try:
        source = find(place)
    except FlowerbedError as error:
        return [_wrong("file", error)]
    federation, default = source.federation, "" if source.loaded else f" (no {FEDERATION_FILE}: the default one)"
    count = counted(federation.spec.supernode_count, "SuperNode")
    what = f"{federation.metadata.name}: {count} for the app {source.manifest}{default}"
    checks = [Check("file", State.OK, what)]
    told = set()
    for name, check in Preflight(source).checks:
        try:
            checks.append(Check(name, State.OK, check()))
        except FlowerbedError as error:
            if str(error) not in told:  # a check uses what those before it found
                checks.append(_wrong(name, error))
            told.add(str(error))
    return checks


def _wrong(name: str, error: FlowerbedError) -> Check:
    message = f"{error.where}: {error.message}" if error.where else error.message
    return Check(name, State.WRONG, message, error.hint or MEND)


def check_others(place: Path) -> Check:
    """Say which other federations of this user have processes on this machine.

    Parameters
    ----------
    place : Path
        The file or folder of the one that is not among them.
    """
    own = str(StateFolder.beside(place).root)
    up, left = [], []
    for root, pids in sorted(processes.all_marked().items()):
        folder = StateFolder(Path(root))
        if root == own:
            continue
        if LocalRuntime(folder).is_up():
            up.append(f"{_called(folder)} in {folder.root.parent}")
        else:
            left.append((folder.root.parent, pids))
    if left:
        where = "; ".join(f"{len(pids)} of {parent}" for parent, pids in left)
        return Check(
            "federations",
            State.WARNING,
            f"processes of other federations are left without their supervisor: {where}",
            f"flowerbed down --file {left[0][0]}",
        )
    if not up:
        return Check("federations", State.OK, "no other federation of yours is up")
    are = f"{len(up)} other federations of yours are" if len(up) > 1 else "another federation of yours is"
    return Check("federations", State.OK, f"{are} up: {'; '.join(up)}")


def _called(folder: StateFolder) -> str:
    """Return what a federation is called; its database is not opened, as another Flowerbed may have written it."""
    plan = Plan.last(folder.plan)
    return "one" if plan is None else f"{plan.federation} (Flower {plan.release})"


def check_apps(components: Iterable[ComponentStatus]) -> list[Check]:
    """Say which apps begin otherwise than they are asked to, and why; nothing where none does. Pure."""
    short: dict[str, list[str]] = {}
    for component in components:
        if shortfall := Execution(component.execution, component.execution_why).shortfall:
            short.setdefault(shortfall, []).append(component.name)
    return [
        Check("apps", State.WARNING, f"processes of apps of {named(names)} are {shortfall}", _SLOWER)
        for shortfall, names in short.items()
    ]


def _check_state(folder: StateFolder) -> list[Check]:
    runtime = LocalRuntime(folder)
    try:
        status = runtime.status()
    except FlowerbedError as error:
        return [Check("state", State.WRONG, str(error))]
    checks = []
    if not runtime.is_up():
        left = processes.marked(folder.root)
        if left:
            checks.append(Check("leftovers", State.WRONG, f"processes without a supervisor: {left}", "flowerbed down"))
        message = f"the federation is down{': ' + status.reason if status.reason else ''}"
        return [*checks, Check("state", State.WARNING if status.reason else State.OK, message, "flowerbed up")]
    if status.state == "ready":
        online = counted(status.nodes_online, "SuperNode")
        ready = Check("state", State.OK, f"ready, Flower {status.flower}, {online} online")
        return [ready, *check_apps(status.components)]
    crashing = [component.name for component in status.components if component.state in ("crash loop", "backing off")]
    hint = f"flowerbed logs {crashing[0]}" if crashing else "flowerbed status"
    return [Check("state", State.WRONG, f"{status.state}: {status.reason}", hint)]
