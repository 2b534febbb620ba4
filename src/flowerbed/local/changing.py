"""From the plan that runs to the plan that is wanted: which units restart, why, and whether a run forbids it. Pure.

The verb decides before it writes the plan, so that it can refuse and say what happens. The supervisor decides again
when it applies the plan, because only it knows for sure what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from flowerbed.errors import UsageError
from flowerbed.local.plan import TRUST_VERSION, Plan, PlannedComponent, PlannedUnit
from flowerbed.local.versions import SERVED, holding, versions_of, without_versions
from flowerbed.runs.changes import Act, Change, named, options, reasons, refusal, some, variables
from flowerbed.topology.model import Role
from flowerbed_inside.variables import WAIT_FOR

_RUNS_NEED = (Role.SUPERLINK.value, Role.SERVERAPP_SUPEREXEC.value)


@dataclass(frozen=True)
class Decision:
    """What is to be done.

    Parameters
    ----------
    plan : Plan
        What runs next: the wanted plan, but for what waits until a run has finished.
    changes : list of Change
        What happens to units.
    refusal : UsageError or None
        Why it must not be done now.
    """

    plan: Plan
    changes: list[Change]
    refusal: UsageError | None


def decide(running: Plan, wanted: Plan, run: int | None) -> Decision:
    """Decide what becomes of a federation that is up.

    Parameters
    ----------
    running : Plan
        What runs.
    wanted : Plan
        What shall run.
    run : int or None
        The number of a run that is not finished. New certificates and secrets wait for its end, but the SuperLink's.
    """
    plan = wanted if run is None else holding(wanted, running)
    changes = list(_changes(running, plan))
    return Decision(plan, changes, refusal(changes, run))


def unapplied(running: Plan, wanted: Plan, file: str) -> str:
    """Return in a sentence what of a federation file does not run, and what to do; empty if all of it runs.

    Other certificates and secrets are not the file's.
    """
    found = reasons(list(_changes(without_versions(running), without_versions(wanted))))
    if different := sorted(set(running.external) ^ set(wanted.external)):
        found.append(f"other SuperNodes that run elsewhere: {named(different)}")
    return f"{file} is not what runs ({'; '.join(found)}); `flowerbed up` applies it" if found else ""


def _changes(running: Plan, wanted: Plan) -> Iterator[Change]:
    before = {unit.name: unit for unit in running.units}
    after = {unit.name: unit for unit in wanted.units}
    for name, unit in before.items():
        if name not in after:
            yield Change(name, Act.STOP, "the federation no longer has it", _runs_need(unit))
    for name, unit in after.items():
        if name not in before:
            yield Change(name, Act.START, "the federation now has it")
        elif unit.fingerprint != before[name].fingerprint:
            reason = _reason(before[name], unit, running, wanted)
            yield Change(name, Act.RESTART, reason, _runs_need(unit) and not _only_served(before[name], unit))


def _runs_need(unit: PlannedUnit) -> bool:
    return any(component.role in _RUNS_NEED for component in unit.components)


def _reason(before: PlannedUnit, after: PlannedUnit, running: Plan, wanted: Plan) -> str:
    if wanted.release != running.release:
        return f"Flower {wanted.release} instead of {running.release}"
    if wanted.environment != running.environment:
        return "another environment (the app's dependencies, its Python, or Flowerbed itself)"
    if [one.name for one in before.components] != [one.name for one in after.components]:
        return "other programs in its unit"
    pairs = list(zip(before.components, after.components, strict=True))
    if any(one.ports != other.ports or one.dials != other.dials for one, other in pairs):
        return "another port"
    words = _different(pairs, lambda component: options(component.argv[1:]))
    others = [name for name in _different(pairs, _variables) if name not in (TRUST_VERSION, WAIT_FOR)]
    files = _different(pairs, lambda component: versions_of(component.env))
    parts = [
        some("option", "options", words),
        *variables(others),
        f"another {' and '.join(files)}" if files else "",
    ]
    return ", ".join(filter(None, parts)) or "another command line"


def _only_served(before: PlannedUnit, after: PlannedUnit) -> bool:
    """Tell whether nothing but the SuperLink's certificate is another one: a run goes on from the database then."""
    pairs = list(zip(before.components, after.components, strict=False))
    files = _different(pairs, lambda component: versions_of(component.env))
    others = _different(pairs, _variables)
    alike = len(before.components) == len(after.components) and all(one.argv == other.argv for one, other in pairs)
    return alike and set(files) == {SERVED} and others == [TRUST_VERSION]


def _different(
    pairs: list[tuple[PlannedComponent, PlannedComponent]], read: Callable[[PlannedComponent], Mapping[str, str]]
) -> list[str]:
    found: dict[str, None] = {}
    for one, other in pairs:
        before, after = read(one), read(other)
        found.update(dict.fromkeys(name for name in {**before, **after} if before.get(name) != after.get(name)))
    return list(found)


def _variables(component: PlannedComponent) -> dict[str, str]:
    return {name: component.env[name] for name in component.own}
