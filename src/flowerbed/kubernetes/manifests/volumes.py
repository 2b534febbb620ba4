"""Volumes and environment sources of the file, and the claims that are made, as Kubernetes has them."""

from __future__ import annotations

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.spec.kubernetes import EnvFromSource, Results, Storage, Volume
from flowerbed.spec.section import Section


def volumes(given: tuple[Volume, ...]) -> list[Object]:
    """Return the volumes of a Pod."""
    mounted = {"name", "mount_path", "read_only"}
    return [{"name": one.name, **_said(one, leave_out=mounted)} for one in given]


def mounts(given: tuple[Volume, ...]) -> list[Object]:
    """Return where a container mounts them."""
    return [
        {"name": one.name, "mountPath": one.mount_path, **({"readOnly": True} if one.read_only else {})}
        for one in given
    ]


def env_from(given: tuple[EnvFromSource, ...]) -> list[Object]:
    """Return a container's sources of environment variables."""
    return [_said(one) for one in given]


def claim(storage: Storage | Results) -> Object:
    """Return the spec of a claim that is made: for one Pod at a time."""
    chosen = {"storageClassName": storage.storage_class_name} if storage.storage_class_name else {}
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
        **chosen,
    }


def _said(section: Section, leave_out: set[str] | None = None) -> Object:
    return section.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=leave_out or set())
