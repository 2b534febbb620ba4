"""Every error that a user can meet, in one tree.

::

    FlowerbedError              one sentence: what happened; `where`; `hint`: what to do
    ├── UsageError              the command line or a file is wrong; nothing was started      exit 2
    │   ├── SpecError           problems in federation.yaml, each with file:line:column
    │   ├── AppError            the app folder is no Flower App, or cannot be imported
    │   ├── ReleaseError        a Flower release that is unknown or not proven
    │   └── UnknownRunError     no run of that name
    ├── EnvironmentFailed       Flower's environment cannot be solved or built               exit 1
    ├── StateError              .flowerbed/ is unwritable, full, newer, or held by another   exit 1
    ├── TrustError              a key or certificate cannot be used                          exit 1
    ├── PortTaken               a port was asked for and someone else has it                 exit 1
    ├── FederationFailed        a unit crashes again and again, or never gets ready          exit 1
    ├── NotRunning              a verb needs a federation that is up                         exit 1
    ├── ControlError            the SuperLink refused or did not answer a request            exit 1
    ├── ImageFailed             an app cannot be made an image, or its base cannot be used   exit 1
    ├── RegistryError           a registry does not have an image, or does not give it       exit 1
    ├── RegistryError           a registry does not have an image, does not give or take it  exit 1
    │   └── RegistryUnreachable the registry does not answer, or not now
    └── ClusterError            Kubernetes did not do what was asked                         exit 1
        ├── ClusterUnreachable  no kubeconfig, no such context, no answer, not its certificate
        └── ClusterRefused      the API server answered no, with its `reason`
            ├── ClusterForbidden   this user may not; `role` is what would do
            ├── ClusterConflict    another field manager owns what was to be changed
            └── ClusterImmutable   what was to be changed can only be set when the object is made

Each message says what happened and where; `hint` says what to do next. The door (`flowerbed.cli`)
prints them, or gives them as JSON, and uses `exit_code`; nothing else catches them wholesale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class FlowerbedError(Exception):
    """What happened, in one sentence.

    Parameters
    ----------
    message : str
        What happened.
    where : str or None
        The place: ``file:line:column``, a folder, a component.
    hint : str or None
        What to do next.
    """

    exit_code: ClassVar[int] = 1
    told = False
    """Whether the user has read it already: before a clean-up, for example."""

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n{self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, object]:
        """Return the error as programs read it with ``--json``."""
        return {"error": type(self).__name__, "message": self.message, "where": self.where, "hint": self.hint}


class UsageError(FlowerbedError):
    """The command line or a file is wrong; nothing was started."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file.

    Parameters
    ----------
    message : str
        What is wrong.
    file : str
        The file as the user named it.
    line, column : int
        Where, counted from 1.
    hint : str or None
        What to write instead.
    """

    message: str
    file: str
    line: int
    column: int
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class SpecError(UsageError):
    """All problems of a federation file, found in one reading."""

    def __init__(self, problems: list[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = problems

    def as_dict(self) -> dict[str, object]:
        """Return the error with each problem's place as fields."""
        return super().as_dict() | {"problems": [vars(problem) for problem in self.problems]}


class AppError(UsageError):
    """The app folder is no Flower App, or its ServerApp or ClientApp cannot be imported."""


class ReleaseError(UsageError):
    """A Flower release that is unknown, not proven, or not what the app allows."""


class UnknownRunError(UsageError):
    """No run goes by that name."""


class EnvironmentFailed(FlowerbedError):
    """Flower's environment cannot be solved or built."""


class StateError(FlowerbedError):
    """The state folder cannot be used."""


class TrustError(FlowerbedError):
    """A key or a certificate cannot be used: others can read it, or it is not what it should be."""


class PortTaken(FlowerbedError):
    """A port was asked for by number, and another program listens on it."""


class FederationFailed(FlowerbedError):
    """A unit ends again and again, or the federation never gets ready."""


class NotRunning(FlowerbedError):
    """The verb needs a federation that is up."""


class ControlError(FlowerbedError):
    """The SuperLink refused a request, or did not answer it."""


class ImageFailed(FlowerbedError):
    """An app cannot be made an image: its base does not do, a package has no wheel for it, or it does not start."""


class RegistryError(FlowerbedError):
    """A registry has no such image, does not give it to this user or take it from this user, or does not answer."""


class RegistryUnreachable(RegistryError):
    """A registry does not answer, breaks off, or says that it cannot do it right now."""


class SignatureRefused(FlowerbedError):
    """An image is not signed by whom the file wants it to be signed."""


class ClusterError(FlowerbedError):
    """Kubernetes did not do what was asked."""


class ClusterUnreachable(ClusterError):
    """There is no way to the API server: no kubeconfig, no such context, no answer, or another's certificate."""


class ClusterRefused(ClusterError):
    """The API server answered, and refused.

    Parameters
    ----------
    message, where, hint
        As in `FlowerbedError`.
    reason : str
        Kubernetes' own word for it: ``AlreadyExists``, ``NotFound``, ``Invalid``, ``Forbidden``, ``Conflict``…
        (k8s.io/apimachinery, `StatusReason`); empty if the API server gave none.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None, reason: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.reason = reason

    def as_dict(self) -> dict[str, object]:
        """Return the error with Kubernetes' reason as a field."""
        return super().as_dict() | {"reason": self.reason}


class ClusterForbidden(ClusterRefused):
    """The user may not do that.

    Parameters
    ----------
    message, where, hint
        As in `FlowerbedError`.
    role : list of dict
        The objects that, once applied, let the user do it.
    """

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, role: list[dict[str, object]]
    ) -> None:
        super().__init__(message, where=where, hint=hint, reason="Forbidden")
        self.role = role

    def as_dict(self) -> dict[str, object]:
        """Return the error with the objects that would allow it as a field."""
        return super().as_dict() | {"role": self.role}


class ClusterConflict(ClusterRefused):
    """Other field managers own fields that were to be changed; nothing was overwritten.

    Parameters
    ----------
    message, where, hint
        As in `FlowerbedError`.
    conflicts : tuple of (str, str)
        Field manager and field of each.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        conflicts: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, where=where, hint=hint, reason="Conflict")
        self.conflicts = conflicts

    def as_dict(self) -> dict[str, object]:
        """Return the error with each manager and field as fields."""
        table = [{"manager": manager, "field": field} for manager, field in self.conflicts]
        return super().as_dict() | {"conflicts": table}


class ClusterImmutable(ClusterRefused):
    """What was to be changed can only be set when the object is made."""
