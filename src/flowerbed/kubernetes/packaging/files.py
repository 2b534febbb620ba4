"""Which objects are in which file."""

from __future__ import annotations

from collections.abc import Iterable

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.parts import Parts
from flowerbed.spec.model import Federation

Files = dict[str, str]
"""The texts of files by their paths in the folder."""


def by_file(federation: Federation, objects: Iterable[Object]) -> dict[str, list[Object]]:
    """Return the objects by file name: a file for each part, in the order of the objects.

    Few files also for many SuperNodes: the pools are in one.
    """
    parts = Parts(federation)
    found: dict[str, list[Object]] = {}
    for item in objects:
        found.setdefault(f"{parts.of(item).kind}.yaml", []).append(item)
    return found
