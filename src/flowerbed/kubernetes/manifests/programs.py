"""The programs of ours that run in the Pods, as a ConfigMap, and how it is mounted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from flowerbed.flower import inside
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Identity, Object

FOLDER = "/flowerbed"
"""Where they are mounted."""

LAUNCHERS = f"{FOLDER}/bin"
"""Where the launchers are, first on PATH; they have no module beside them that could hide one of an app's."""

LAUNCHED = tuple(sorted(inside.launchers()))
"""The programs of Flower's that have one."""

UNIT = ("python", "-u", f"{FOLDER}/unit.py")
"""The init of every workload container."""

ANNOTATION = "flowerbed.dev/programs"
"""A hash of the programs on each Pod template, so that other programs roll the Pods."""

_READ_AND_EXECUTE = 0o555


@cache
def sources() -> dict[str, str]:
    """Return the text of each program by its file name.

    The launchers are there under the names of Flower's programs, before which they stand, and can be executed.
    """
    launchers = inside.launchers()
    plain = {name: path for name, path in inside.in_pods().items() if path not in launchers.values()}
    started = {name: launcher(path) for name, path in launchers.items()}
    texts = {name: path.read_text(encoding="utf-8") for name, path in plain.items()} | started
    return dict(sorted(texts.items()))


@cache
def digest() -> str:
    """Return a short hash of all programs."""
    return hashlib.sha256(json.dumps(sources(), sort_keys=True).encode()).hexdigest()[:16]


def config_map(identity: Identity) -> Object:
    """Return the ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": identity.metadata(names.programs(identity.federation)),
        "data": dict(sources()),
    }


def launcher(path: Path, python: str = "python") -> str:
    """Return the text of a launcher as a file that can be executed, by the Python of a name on PATH."""
    return f"#!/usr/bin/env {python}\n{path.read_text(encoding='utf-8')}"


def volume(federation: str, launchers: Iterable[str] = LAUNCHED) -> Object:
    """Return the volume: each program as a file, and the launchers once more in a folder of their own."""
    every = {"name": names.programs(federation)}
    items = [{"key": name, "path": f"bin/{name}"} for name in launchers]
    sources = [{"configMap": every}, {"configMap": {**every, "items": items}}]
    return {"name": "flowerbed-programs", "projected": {"defaultMode": _READ_AND_EXECUTE, "sources": sources}}


MOUNT: Object = {"name": "flowerbed-programs", "mountPath": FOLDER, "readOnly": True}
