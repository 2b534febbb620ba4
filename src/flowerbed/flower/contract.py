"""What one family of Flower releases expects from whoever deploys it.

A *family* is a run of minor releases whose programs take the same flags and speak the same protocols.
`ReleaseContract` is the one interface to all of them; `flowerbed.flower.families` has a module per family,
`flowerbed.flower.releases` the table that says which release belongs to which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from flowerbed.flower.release import Minor
from flowerbed.flower.values import DataFile, Value

DATABASE = DataFile("state.db")
"""The SuperLink's database, with every release; without one a killed SuperLink loses its runs."""

Dialect = Literal["grpc122", "grpc", "http"]
"""How the Control API is spoken to by `flowerbed_inside.control.client`."""


@dataclass(frozen=True)
class Protection:
    """What a federation's programs protect themselves with, as far as the release can.

    Parameters
    ----------
    tls : bool
        TLS, and the secret of SuperExecs.
    node_auth : bool
        Only SuperNodes with a known key may join; only with TLS, which newer releases insist on.
    """

    tls: bool = False
    node_auth: bool = False


UNPROTECTED = Protection()


@dataclass(frozen=True)
class Port:
    """A port on which a component listens.

    Parameters
    ----------
    name : str
        ``runtime`` (SuperExecs dial in), ``fleet`` (SuperNodes), ``control`` (users), or ``api`` where a
        release serves all three on one port.
    default : int
        Flower's own default number.
    protocol : {"grpc", "http"}
        What is spoken there.
    """

    name: str
    default: int
    protocol: Literal["grpc", "http"]


@dataclass(frozen=True)
class Program:
    """One program as a release wants it started, with places still by reference.

    Parameters
    ----------
    executable : str
        Its name in the environment's ``bin``.
    arguments : tuple of Value
        Everything after the name.
    environment : dict of str to Value
        What it needs beside the common environment.
    ports : tuple of Port
        Where it listens.
    """

    executable: str
    arguments: tuple[Value, ...]
    ports: tuple[Port, ...] = ()
    environment: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkMarks:
    """How a SuperNode's log shows that it took a message and that it sent the reply.

    A SuperNode works on one message at a time and waits for its reply without a limit, so a "taken" that
    no "replied" follows, with no ClientApp process left, is the wedge (measured on 1.22 and 1.4x).

    Parameters
    ----------
    taken, replied : str
        Regular expressions, searched in one line.
    lost : str
        One for the lines among those of `replied` after which the SuperLink still waits, in vain.
    """

    taken: str
    replied: str
    lost: str


class ReleaseContract(Protocol):
    """What to start, with which arguments, for one family of releases."""

    @property
    def family(self) -> str:
        """The family's name: its first minor release and what marks it."""

    @property
    def dialect(self) -> Dialect:
        """How the Control API is spoken to."""

    @property
    def lists_nodes(self) -> bool:
        """Whether the Control API can list SuperNodes; the SuperLink's database is read where not."""

    @property
    def registers_nodes(self) -> bool:
        """Whether the Control API registers SuperNodes' keys; the SuperLink reads a list when it starts where not."""

    @property
    def work_marks(self) -> WorkMarks:
        """How a SuperNode's log shows its work."""

    def superlink(self, minor: Minor, protection: Protection = UNPROTECTED) -> Program:
        """Return the SuperLink: state in a database, process isolation."""

    def supernode(
        self, minor: Minor, protection: Protection = UNPROTECTED, *, superlink: str, node_config: str
    ) -> Program:
        """Return a SuperNode that dials the named SuperLink component."""

    def serverapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, superlink: str) -> Program:
        """Return the SuperExec that runs ServerApps for the named SuperLink component."""

    def clientapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, supernode: str) -> Program:
        """Return the SuperExec that runs ClientApps for the named SuperNode component."""

    def control_port(self) -> str:
        """Return the name of the SuperLink's port that carries the Control API."""

    def fleet_port(self) -> str:
        """Return the name of the SuperLink's port that SuperNodes dial."""

    def runtime_port(self) -> str:
        """Return the name of the SuperLink's port that the ServerApp's SuperExec dials."""
