"""The programs of ours that run in the Pods, as ConfigMaps, and how they are mounted.

There is one ConfigMap for each room of `flowerbed_inside`: a ConfigMap holds 1 MiB at the most, and what
``kubectl apply`` writes beside its own copy of it 256 KiB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache

from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed_inside import bundles

FOLDER = "/flowerbed"
"""Where they are mounted."""

LAUNCHERS = f"{FOLDER}/bin"
"""Where the launchers are, first on PATH; they have no module beside them that could hide one of an app's."""

IN_PODS = (bundles.UNIT, bundles.SUBMIT, bundles.LAUNCH)
"""The programs in a federation's Pods."""

AT_SITES = (bundles.UNIT, bundles.LAUNCH)
"""The programs in the Pod of a kit."""

UNIT = ("python", "-u", f"{FOLDER}/{bundles.NAME}", bundles.UNIT)
"""The init of every workload container."""

SUBMIT = ("python", "-u", f"{FOLDER}/{bundles.NAME}", bundles.SUBMIT)
"""The one program of a run's Job."""

ANNOTATION = "flowerbed.dev/programs"
"""A hash of the programs on each Pod template, so that other programs roll the Pods."""

_SHARED, _LAUNCH = "shared", "launch"
_LAUNCHER = "launcher"
"""The key of the launcher, which is mounted once for each program before which it stands."""
_READ_AND_EXECUTE = 0o555


@cache
def rooms(modules: tuple[str, ...] = IN_PODS) -> Mapping[str, Mapping[str, str]]:
    """Return for each room, which is a ConfigMap, what it has: key → path of the file below the folder."""
    by_room = bundles.by_room(bundles.bundle(*modules))
    found = {
        (room or _SHARED): {file.rpartition("/")[2]: file for file in files} for room, files in sorted(by_room.items())
    }
    return {**found, _LAUNCH: {_LAUNCHER: f"{_LAUNCH}/{_LAUNCHER}", **found[_LAUNCH]}}


@cache
def sources() -> Mapping[str, Mapping[str, str]]:
    """Return the content of the ConfigMaps: room → key → text."""
    files = bundles.bundle(*IN_PODS)
    return {
        room: {
            key: launcher() if key == _LAUNCHER else files[path].read_text(encoding="utf-8")
            for key, path in sorted(keys.items())
        }
        for room, keys in rooms().items()
    }


@cache
def digest() -> str:
    """Return a short hash of all programs."""
    return hashlib.sha256(json.dumps(sources(), sort_keys=True).encode()).hexdigest()[:16]


def config_maps(identity: Identity) -> list[Object]:
    """Return the ConfigMaps."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": identity.metadata(names.programs(identity.federation, room)),
            "data": dict(texts),
        }
        for room, texts in sources().items()
    ]


def launcher(python: str = "python") -> str:
    """Return the text of a launcher as a file that can be executed, by the Python of a name on PATH."""
    return f"#!/usr/bin/env {python}\n{bundles.LAUNCHER.read_text(encoding='utf-8')}"


def volume(federation: str, modules: tuple[str, ...] = IN_PODS) -> Object:
    """Return the volume: the package as a folder, and the launchers in one of their own."""
    sources = [
        {
            "configMap": {
                "name": names.programs(federation, room),
                "items": [item for key, path in sorted(keys.items()) for item in _items(key, path)],
            }
        }
        for room, keys in rooms(modules).items()
    ]
    return {"name": "flowerbed-programs", "projected": {"defaultMode": _READ_AND_EXECUTE, "sources": sources}}


def _items(key: str, path: str) -> list[Object]:
    paths = [f"bin/{name}" for name in bundles.LAUNCHED] if key == _LAUNCHER else [path]
    return [{"key": key, "path": each} for each in paths]


MOUNT: Object = {"name": "flowerbed-programs", "mountPath": FOLDER, "readOnly": True}
