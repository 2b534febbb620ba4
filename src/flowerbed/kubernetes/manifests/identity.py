"""Who an object is: its name, namespace and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowerbed.flower.releases import Row
from flowerbed.kubernetes import labels
from flowerbed.spec.model import Federation
from flowerbed.topology.model import Role

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as the API documentation writes it."""


@dataclass(frozen=True)
class Identity:
    """What all objects of a federation have in common.

    Parameters
    ----------
    federation : str
        The federation's name.
    namespace : str or None
        Where they live; None leaves it to whoever applies them.
    release : str
        The exact Flower release.
    more : dict of str to str
        The file's own labels.
    """

    federation: str
    namespace: str | None
    release: str
    more: dict[str, str]

    @classmethod
    def of(cls, federation: Federation, row: Row, namespace: str | None) -> Identity:
        """Return what a file and a release say; `namespace` goes before the file's."""
        meta = federation.metadata
        return cls(meta.name, namespace or meta.namespace, str(row.release), dict(meta.labels))

    def labels(self, role: Role | None = None, pool: str | None = None) -> dict[str, str]:
        """Return the labels of the Pods of a role, or of what belongs to none."""
        return {
            **self.more,
            labels.NAME: "flower",
            labels.INSTANCE: self.federation,
            **({labels.COMPONENT: role.value} if role else {}),
            labels.PART_OF: self.federation,
            labels.MANAGED_BY: labels.MANAGER,
            labels.VERSION: self.release,
            **({labels.POOL: pool} if pool else {}),
        }

    def selector(self, role: Role, pool: str | None = None) -> dict[str, str]:
        """Return the labels by which Pods are found: only those that never change."""
        return {
            labels.INSTANCE: self.federation,
            labels.COMPONENT: role.value,
            **({labels.POOL: pool} if pool else {}),
        }

    def lasting(self, role: Role) -> dict[str, str]:
        """Return the labels of a claim that a StatefulSet makes: its template can never be changed."""
        return {
            labels.NAME: "flower",
            **self.selector(role),
            labels.PART_OF: self.federation,
            labels.MANAGED_BY: labels.MANAGER,
        }

    def metadata(self, name: str, role: Role | None = None, pool: str | None = None) -> Object:
        """Return an object's metadata."""
        return {
            "name": name,
            **({"namespace": self.namespace} if self.namespace else {}),
            "labels": {**self.labels(role, pool), labels.FEDERATION: self.federation},
        }
