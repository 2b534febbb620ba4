"""The one interface that every runtime offers to the verbs: local processes, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from flowerbed.counting import part_of
from flowerbed.runs.records import RunRecord
from flowerbed_inside.launch.execution import Execution

ONLINE, OFFLINE = "online", "offline"
"""The states of a SuperNode that runs elsewhere: nothing more is known of it than what the SuperLink knows."""


@dataclass(frozen=True)
class ComponentStatus:
    """One program as it was last observed.

    Parameters
    ----------
    name, role : str
        As in the topology.
    state : str
        ``waiting``, ``starting``, ``running``, ``backing off``, ``crash loop``, ``stopped``; of a SuperNode that runs
        elsewhere ``online`` or ``offline``.
    pid : int or None
        Its process, on the local runtime.
    restarts : int
        How often its unit was started again.
    addresses : dict of str to str
        Port name to ``host:port``.
    note : str
        Why it is in this state, where that is not obvious.
    execution : str
        How the processes of its apps begin, ``Warm`` or ``Isolated``; empty where it starts none, or has not said it.
    execution_why : str
        Why they do so.
    """

    name: str
    role: str
    state: str
    pid: int | None = None
    restarts: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    note: str = ""
    execution: str = ""
    execution_why: str = ""

    @property
    def remark(self) -> str:
        """What is worth saying of it in a line: why it is in this state, else why its apps do not begin as asked."""
        return self.note or Execution(self.execution, self.execution_why).shortfall


@dataclass(frozen=True)
class FederationStatus:
    """A federation as it was last observed.

    Parameters
    ----------
    name : str
        The federation's name.
    flower : str
        The exact Flower release.
    state : str
        ``down``, ``starting``, ``ready``, ``degraded`` (running, but not all that was ready still is),
        ``failed`` (a crash loop) or ``stopping``.
    nodes_online, nodes_expected : int
        SuperNodes of ours that the SuperLink knows as online, and how many the file asks for.
    superexecs_connected, superexecs_expected : int
        SuperExecs with an open connection to where they claim work.
    components : tuple of ComponentStatus
        Every program.
    runs : tuple of RunRecord
        Runs that are not finished.
    supervisor_pid : int or None
        The process that holds it all up.
    reason : str
        Why it is not ready, in a sentence.
    observed_at : float or None
        When it was looked at last (Unix seconds); None where that is not known.
    trouble : str
        Why the supervisor cannot write down what it observes; empty if it can.
    """

    name: str
    flower: str
    state: str
    nodes_online: int = 0
    nodes_expected: int = 0
    superexecs_connected: int = 0
    superexecs_expected: int = 0
    components: tuple[ComponentStatus, ...] = ()
    runs: tuple[RunRecord, ...] = ()
    supervisor_pid: int | None = None
    reason: str = ""
    observed_at: float | None = None
    trouble: str = ""

    @property
    def external(self) -> tuple[ComponentStatus, ...]:
        """The SuperNodes that run elsewhere; nobody waits for them."""
        return tuple(component for component in self.components if component.state in (ONLINE, OFFLINE))

    @property
    def external_counts(self) -> str:
        """How many of them are online and who is not, in words that go on from others; empty without any."""
        if not self.external:
            return ""
        away = [component.name for component in self.external if component.state == OFFLINE]
        named = ", ".join(away[:_NAMED]) + (f" and {len(away) - _NAMED} more" if len(away) > _NAMED else "")
        missing = f" (offline: {named})" if away else ""
        return f"; {part_of(len(self.external) - len(away), len(self.external), 'external SuperNode')} online{missing}"


_NAMED = 5


def external_status(name: str, *, online: bool) -> ComponentStatus:
    """Return the status of a SuperNode that runs elsewhere."""
    return ComponentStatus(name, "supernode", ONLINE if online else OFFLINE, note="external")


@dataclass(frozen=True)
class Event:
    """Something that happened, for whoever watches.

    Parameters
    ----------
    at : float
        Unix time in seconds.
    kind : str
        ``supervisor``, ``unit``, ``crash-loop``, ``ready``, ``degraded``, ``run``, ``waiting``, ``wedge``, ``storage``,
        ``change``, ``execution``; on Kubernetes also ``apply``.
    subject : str
        The component, unit or run that it is about.
    message : str
        One sentence.
    """

    at: float
    kind: str
    subject: str
    message: str

    @property
    def about(self) -> str:
        """What it is about, in words; the subject of a run's event is the bare number."""
        return f"run {self.subject}" if self.kind in ("run", "waiting") else self.subject


class Runtime(Protocol):
    """What the verbs need of a runtime."""

    def status(self) -> FederationStatus:
        """Return what was last observed; never waits."""

    def events(self, *, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Return the events with a number above `after`, oldest first, with their numbers."""

    def last_event(self) -> int:
        """Return the number of the newest event."""

    def adopt(self) -> None:
        """Take runs into history that somebody else submitted, such as ``flwr run``, if the SuperLink can be asked."""

    def run(self, number: int) -> RunRecord:
        """Return a run as it is now known."""

    def runs(self) -> list[RunRecord]:
        """Return every run that history holds, oldest first."""

    def stop(self, number: int) -> None:
        """Ask the SuperLink to stop a run; return when it was asked."""
