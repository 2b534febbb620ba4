"""From objects that live to objects that are wanted: whose Pods are replaced, why, and whether a run forbids it. Pure.

What the API server answered to a dry run is compared with what it had before, so that both have its defaults. A
workload replaces its Pods when its Pod template changes (kubernetes.io, "StatefulSets", "Deployments").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flowerbed.kubernetes.labels import COMPONENT, TRUST, VERSION
from flowerbed.kubernetes.living import label, metadata, name
from flowerbed.runs.changes import Act, Change, options, some, variables
from flowerbed.topology.model import Role

Object = Mapping[str, Any]

WORKLOADS = ("StatefulSet", "Deployment")
_RUNS_NEED = (Role.SUPERLINK, Role.SERVERAPP_SUPEREXEC)


def changes(
    federation: str, foreseen: Iterable[tuple[Object | None, Object]], surplus: Iterable[Object]
) -> list[Change]:
    """Return what happens to workloads.

    Parameters
    ----------
    federation : str
        Whose they are.
    foreseen : iterable of (dict or None, dict)
        Objects as they are, None for one that is not there, and as they will be.
    surplus : iterable of dict
        Objects that will be deleted.
    """
    found = []
    for before, after in foreseen:
        if after["kind"] not in WORKLOADS:
            continue
        unit = name(after).removeprefix(f"{federation}-")
        if before is None:
            found.append(Change(unit, Act.START, "the federation now has it"))
        elif before["spec"]["template"] != after["spec"]["template"]:
            found.append(Change(unit, Act.RESTART, _reason(before, after), _runs_need(after)))
    for item in surplus:
        if item["kind"] in WORKLOADS:
            unit = name(item).removeprefix(f"{federation}-")
            found.append(Change(unit, Act.STOP, "the federation no longer has it", _runs_need(item)))
    return found


def _runs_need(workload: Object) -> bool:
    return label(workload, COMPONENT) in _RUNS_NEED


def _reason(before: Object, after: Object) -> str:
    one, other = before["spec"]["template"], after["spec"]["template"]
    releases = label(one, VERSION), label(other, VERSION)
    if releases[0] != releases[1]:
        return f"Flower {releases[1]} instead of {releases[0]}"
    different = set(_facts(one)) ^ set(_facts(other))

    def of(kind: str) -> list[str]:
        return sorted({word for (found, word), _ in different if found == kind})

    parts = [
        *of("whole"),
        some("option", "options", of("option")),
        *variables(of("variable")),
        some("setting", "settings", of("field")),
    ]
    return ", ".join(filter(None, parts)) or "another Pod template"


def _facts(template: Object) -> Iterator[tuple[tuple[str, str], str]]:
    """Return what a Pod template says, each fact by what it is called in a reason."""
    for key, value in (metadata(template).get("annotations") or {}).items():
        yield ("whole", "other certificates or secrets") if key == TRUST else ("field", key), str(value)
    spec = template.get("spec") or {}
    for key, value in spec.items():
        if key not in ("containers", "initContainers"):
            yield ("field", key), _text(value)
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        called = str(container.get("name"))
        yield ("whole", "another image"), f"{called} {container.get('image')}"
        for variable in container.get("env") or []:
            yield ("variable", str(variable.get("name"))), f"{called} {_text(variable)}"
        own, words = _own_variables([*(container.get("command") or []), *(container.get("args") or [])])
        for program, word in own:
            variable, _, value = word.partition("=")
            yield ("variable", variable), f"{called} {program} {value}"
        for option, said in options(words).items():
            yield ("option", option), f"{called} {said}"
        for key, value in container.items():
            if key not in ("name", "image", "env", "command", "args"):
                yield ("field", key), f"{called} {_text(value)}"


def _own_variables(line: list[object]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the variables of single programs of a container, each with its program, and the words of the rest.

    Our init is told of a program by ``-- NAME env VARIABLE=VALUE … PROGRAM …`` (`flowerbed.kubernetes.manifests.pod`).
    """
    own: list[tuple[str, str]] = []
    words: list[str] = []
    program = ""
    for word in map(str, line):
        if word == "env" and words[-2:-1] == ["--"]:
            program = words[-1]
        elif program and "=" in word:
            own.append((program, word))
        else:
            program = ""
            words.append(word)
    return own, words


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
