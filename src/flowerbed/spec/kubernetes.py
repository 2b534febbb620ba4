"""Sections of a federation file that have Kubernetes' own names and shapes; the local runtime uses none of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import Field, model_validator

from flowerbed.spec.kubernetes_values import (
    HostFolder,
    MountPath,
    ObjectName,
    Quantity,
    ResourceList,
    VolumeName,
)
from flowerbed.spec.section import Section
from flowerbed.spec.values import fault

_S = TypeVar("_S", bound=Section)


class Resources(Section):
    """What a container asks for, and what it gets at most."""

    requests: ResourceList = Field(default_factory=dict)
    """What is kept free for it: cpu, memory, and other resources by name."""

    limits: ResourceList = Field(default_factory=dict)
    """What it gets at most."""


class ObjectReference(Section):
    """An object of the same namespace."""

    name: ObjectName
    """Its name."""


class EnvFromSource(Section):
    """Environment variables from all keys of a Secret, or of a ConfigMap."""

    secret_ref: ObjectReference | None = None
    """The Secret."""

    config_map_ref: ObjectReference | None = None
    """The ConfigMap."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, ("secret_ref", "config_map_ref"))


class ClaimVolume(Section):
    """A volume that a PersistentVolumeClaim stands for."""

    claim_name: ObjectName
    """The claim's name."""


class ConfigMapVolume(Section):
    """The keys of a ConfigMap as files."""

    name: ObjectName
    """The ConfigMap's name."""


class SecretVolume(Section):
    """The keys of a Secret as files."""

    secret_name: ObjectName
    """The Secret's name."""


class HostPathType(StrEnum):
    """What must be at a node's path."""

    DIRECTORY_OR_CREATE = "DirectoryOrCreate"
    DIRECTORY = "Directory"
    FILE_OR_CREATE = "FileOrCreate"
    FILE = "File"
    SOCKET = "Socket"
    CHAR_DEVICE = "CharDevice"
    BLOCK_DEVICE = "BlockDevice"


class HostPathVolume(Section):
    """A path of the node; Pod Security "restricted" and "baseline" refuse Pods that have one."""

    path: HostFolder
    """The path."""

    type: Annotated[HostPathType, Field(strict=False)] | None = None
    """What must be there before; without it nothing is checked."""


class Medium(StrEnum):
    """Where an emptyDir lies, if not on the node's disk."""

    MEMORY = "Memory"


class EmptyDirVolume(Section):
    """An empty folder that is gone with the Pod."""

    medium: Annotated[Medium, Field(strict=False)] | None = None
    """Memory: a tmpfs, which counts as the container's memory. Default: the node's disk."""

    size_limit: Quantity | None = None
    """How much it may hold."""


VOLUME_SOURCES = ("persistent_volume_claim", "config_map", "secret", "host_path", "empty_dir")


class Volume(Section):
    """A volume and where it is mounted."""

    name: VolumeName
    """The volume's name, unique in its list."""

    mount_path: MountPath
    """Where programs find it."""

    read_only: bool = False
    """Whether it can only be read."""

    persistent_volume_claim: ClaimVolume | None = None
    """A claim that is there."""

    config_map: ConfigMapVolume | None = None
    """A ConfigMap that is there."""

    secret: SecretVolume | None = None
    """A Secret that is there."""

    host_path: HostPathVolume | None = None
    """A path of the node."""

    empty_dir: EmptyDirVolume | None = None
    """An empty folder."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, VOLUME_SOURCES)


class Storage(Section):
    """A claim that is made for the federation, and kept when it goes."""

    size: Quantity = "1Gi"
    """How much it holds."""

    storage_class_name: ObjectName | None = None
    """The StorageClass; default: the cluster's default one."""


class Results(Section):
    """Where a ServerApp's results go: a claim that is made for them, or one that is there."""

    size: Quantity = "1Gi"
    """How much the claim holds that is made."""

    storage_class_name: ObjectName | None = None
    """Its StorageClass; default: the cluster's default one."""

    claim_name: ObjectName | None = None
    """A claim that is there, instead of making one."""

    @model_validator(mode="after")
    def _made_or_there(self) -> Self:
        more = self.model_fields_set & {"size", "storage_class_name"}
        if self.claim_name is not None and more:
            raise fault("claimName names a claim that is there; size and storageClassName are for one that is made")
        return self


class PullPolicy(StrEnum):
    """When an image is pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


def exactly_one(section: _S, names: tuple[str, ...]) -> _S:
    """Return a section that has one of some fields, or raise what is wrong with it."""
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) == 1:
        return section
    fields = type(section).model_fields
    known = ", ".join(str(fields[name].alias) for name in names)
    if not given:
        raise fault("names nothing", f"exactly one of {known}")
    raise fault(f"names {' and '.join(str(fields[name].alias) for name in given)}", f"exactly one of {known}")
