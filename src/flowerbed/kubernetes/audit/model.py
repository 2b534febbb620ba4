"""What is audited, what a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.spec.finding import Finding, Path
from flowerbed.spec.model import Federation, FederationSpec


class Severity(StrEnum):
    """How bad it is, worst first; the words are those of SARIF."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    def reaches(self, other: Severity) -> bool:
        """Tell whether this is as bad as another one, or worse."""
        order = list(Severity)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True)
class Audited:
    """What the checks look at.

    Parameters
    ----------
    federation : Federation
        What the file says.
    row : Row
        The Flower release.
    objects : tuple of dict
        What it comes to on Kubernetes.
    namespace : str
        Where they are.
    """

    federation: Federation
    row: Row
    objects: tuple[Object, ...]
    namespace: str = "audited"

    @classmethod
    def of(cls, federation: Federation, row: Row) -> Audited:
        """Render a federation; a file that names no image yet can be audited too."""
        app = federation.spec.app
        named = app if app.image else app.model_copy(update={"image": "no-image-yet"})
        spec = federation.spec.model_copy(update={"app": named})
        made = objects(federation.model_copy(update={"spec": spec}), row, namespace=cls.namespace)
        return cls(federation, row, tuple(made))

    @property
    def spec(self) -> FederationSpec:
        """The file's spec."""
        return self.federation.spec

    @property
    def programs(self) -> tuple[tuple[Path, str], ...]:
        """Where the file has the ServerApp's side and each pool, and how their workloads are called."""
        name = self.federation.metadata.name
        pools = enumerate(self.spec.supernodes)
        return (
            (("spec", "serverapp"), f"{name}-superexec-serverapp"),
            *((("spec", "supernodes", at), f"{name}-{pool.name}") for at, pool in pools if not pool.external),
        )


A = TypeVar("A", bound=Audited, contravariant=True)


@dataclass(frozen=True)
class Check(Generic[A]):
    """One thing to look for.

    Parameters
    ----------
    id : str
        Its name, which never changes.
    severity : Severity
        How bad what it finds is.
    title : str
        What it looks for, in one sentence.
    look : callable
        Yields what it finds, each at its place in the file, with what to do as its hint.
    """

    id: str
    severity: Severity
    title: str
    look: Callable[[A], Iterable[Finding]]


@dataclass(frozen=True)
class Result:
    """One thing that was found.

    Parameters
    ----------
    check : Check
        By which check.
    finding : Finding
        What, where, and what to do.
    """

    check: Check[Any]
    finding: Finding


def audit(checks: Iterable[Check[A]], audited: A, *, skip: Iterable[str] = ()) -> list[Result]:
    """Return what the checks find, worst first and then in their order."""
    skipped = set(skip)
    found = [Result(check, finding) for check in checks if check.id not in skipped for finding in check.look(audited)]
    return sorted(found, key=lambda result: list(Severity).index(result.check.severity))
