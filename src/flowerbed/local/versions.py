"""Versions of the files of trust that a program reads only when it starts: another one restarts the program. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flowerbed.local.plan import TRUST_VERSION, Plan, PlannedComponent
from flowerbed.topology.model import Role
from flowerbed.trust import layout as trust_layout

_AUTHORITY = f"{trust_layout.CA}.crt"
SERVED = f"{trust_layout.SUPERLINK}.crt"
"""The SuperLink's certificate: a run survives that the SuperLink is started again for another one."""


def with_versions(plan: Plan, versions: Mapping[str, str]) -> Plan:
    """Return the plan so that each program is started again for which a file has changed that it reads only then.

    Parameters
    ----------
    plan : Plan
        What shall run.
    versions : dict of str to str
        Such files, and for each a text that changes with it.
    """

    def read(argv: list[str]) -> dict[str, str]:
        return {Path(argument).name: versions[argument] for argument in argv if argument in versions}

    def versioned(component: PlannedComponent) -> PlannedComponent:
        found = read(component.argv)
        if component.role == Role.SUPERLINK.value:
            found.pop(_AUTHORITY, None)  # it asks nobody for a certificate
        return _versioned(component, found)

    return replace(_mapped(plan, versioned), client_env=_said(plan.client_env, read(plan.client)))


def holding(plan: Plan, running: Plan) -> Plan:
    """Return the plan so that a run that goes on is spared: only a SuperLink with another certificate is started again.

    Another secret makes no difference meanwhile: SuperLink and SuperExecs have to change it together.
    """
    before = {component.name: versions_of(component.env) for component in running.components()}

    def held(component: PlannedComponent) -> PlannedComponent:
        now = versions_of(component.env)
        was = before.get(component.name, now)
        if component.role == Role.SUPERLINK.value:
            was = {name: version if name == SERVED else was.get(name, version) for name, version in now.items()}
        return _versioned(component, was)

    return replace(_mapped(plan, held), client_env=_said(plan.client_env, versions_of(running.client_env)))


def without_versions(plan: Plan) -> Plan:
    """Return the plan as if no program read such files."""
    return _mapped(plan, lambda component: _versioned(component, {}))


def has_trust(plan: Plan) -> bool:
    """Tell whether the programs were given files by which they know each other."""
    return any(TRUST_VERSION in component.env for component in plan.components())


def _mapped(plan: Plan, change: Callable[[PlannedComponent], PlannedComponent]) -> Plan:
    return replace(plan, units=[replace(unit, components=list(map(change, unit.components))) for unit in plan.units])


def _versioned(component: PlannedComponent, versions: Mapping[str, str]) -> PlannedComponent:
    own = {*component.own, TRUST_VERSION} if versions else {*component.own} - {TRUST_VERSION}
    return replace(component, env=_said(component.env, versions), own=sorted(own))


def _said(env: Mapping[str, str], versions: Mapping[str, str]) -> dict[str, str]:
    others = {name: value for name, value in env.items() if name != TRUST_VERSION}
    said = " ".join(f"{name}:{version}" for name, version in sorted(versions.items()))
    return {**others, TRUST_VERSION: said} if said else others


def versions_of(env: Mapping[str, str]) -> dict[str, str]:
    """Return which version of each file a program was started with."""
    return dict(one.split(":") for one in env.get(TRUST_VERSION, "").split())
