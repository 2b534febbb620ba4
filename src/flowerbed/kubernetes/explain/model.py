"""What was seen of a federation, and what a reason is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from flowerbed.kubernetes.explain.reading import Object


class Kind(StrEnum):
    """What is wrong, causes before consequences: in this order reasons are told."""

    NAMESPACE_TERMINATING = "NamespaceTerminating"
    POD_SECURITY = "PodSecurity"
    QUOTA = "Quota"
    LIMIT_RANGE = "LimitRange"
    DENIED = "Denied"
    NOT_CREATED = "NotCreated"
    NO_STORAGE_CLASS = "NoStorageClass"
    CLAIM_MISSING = "ClaimMissing"
    CLAIM_PENDING = "ClaimPending"
    CONFIGURATION_MISSING = "ConfigurationMissing"
    IMAGE_NAME = "ImageName"
    IMAGE_MISSING = "ImageMissing"
    IMAGE_UNAUTHORIZED = "ImageUnauthorized"
    IMAGE_ARCHITECTURE = "ImageArchitecture"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    IMAGE_PULL = "ImagePull"
    UNSCHEDULABLE = "Unschedulable"
    MOUNT = "Mount"
    SANDBOX = "Sandbox"
    CONTAINER_CONFIG = "ContainerConfig"
    START = "Start"
    OUT_OF_MEMORY = "OutOfMemory"
    CRASH_LOOP = "CrashLoop"
    ENDED = "Ended"
    NODE_LOST = "NodeLost"
    EVICTED = "Evicted"
    POD_FAILED = "PodFailed"
    JOB_FAILED = "JobFailed"
    TERMINATING = "Terminating"
    NOT_READY = "NotReady"
    NO_PROGRESS = "NoProgress"


SEVERITY = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Reason:
    """Why something is not ready.

    Parameters
    ----------
    subject : str
        The name of the object that it is about; mostly a Pod's.
    kind : Kind
        What is wrong.
    message : str
        One sentence, without the subject, and the same as long as the reason is the same.
    hint : str or None
        What to do.
    fatal : bool
        Waiting will not help by itself.
    container : str
        The container that it is about; empty if it is about none.
    log : str
        The last lines of that container, as far as they are known.
    others : tuple of str
        Further objects of which the very same is true.
    """

    subject: str
    kind: Kind
    message: str
    hint: str | None = None
    fatal: bool = False
    container: str = ""
    log: str = ""
    others: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[bool, int, str]:
        """Sort key: what waiting does not cure first, causes before consequences."""
        return (not self.fatal, SEVERITY[self.kind], self.subject)

    def __str__(self) -> str:
        count = len(self.others)
        more = f" (and {count} more)" if count else ""
        return f"{self.subject}{more}: {self.message}"


@dataclass(frozen=True)
class Seen:
    """What the API server said, as plain objects. Whatever could not be listed is left empty.

    Parameters
    ----------
    pods, statefulsets, deployments, replicasets, jobs : sequence of dict
        The federation's own.
    claims, events, quotas : sequence of dict
        Those of its namespace; which of them matter is found out.
    namespace : dict or None
        Its Namespace.
    nodes : sequence of dict
        The cluster's nodes, where they may be seen.
    logs : mapping of str to str
        ``POD/CONTAINER`` → its last lines, where the caller has fetched them.
    now : datetime or None
        The time; without it nothing is said of what takes too long.
    """

    pods: Sequence[Object] = ()
    statefulsets: Sequence[Object] = ()
    deployments: Sequence[Object] = ()
    replicasets: Sequence[Object] = ()
    jobs: Sequence[Object] = ()
    claims: Sequence[Object] = ()
    events: Sequence[Object] = ()
    quotas: Sequence[Object] = ()
    namespace: Object | None = None
    nodes: Sequence[Object] = ()
    logs: Mapping[str, str] = field(default_factory=dict)
    now: datetime | None = None
