"""What a federation is made of: components, and the units in which they live and die."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from flowerbed.flower.contract import Port
from flowerbed.flower.values import Value

SUPERLINK = "superlink"
"""The name of a federation's one SuperLink component, and of its unit."""


class Role(StrEnum):
    """What a component is."""

    SUPERLINK = "superlink"
    SUPERNODE = "supernode"
    SERVERAPP_SUPEREXEC = "superexec-serverapp"
    CLIENTAPP_SUPEREXEC = "superexec-clientapp"


@dataclass(frozen=True)
class Component:
    """One long-lived program of Flower's.

    Parameters
    ----------
    name : str
        Unique in the federation, a DNS label: ``superlink``, ``hospital-0``, ``hospital-0-superexec``.
    role : Role
        What it is.
    executable : str
        The program's name in Flower's environment.
    arguments : tuple of Value
        Its arguments, places by reference.
    ports : tuple of Port
        Where it listens.
    environment : dict of str to Value
        What it needs beside the runtime's common environment.
    dials : tuple of (str, str)
        The (component, port name) pairs that it connects to.
    """

    name: str
    role: Role
    executable: str
    arguments: tuple[Value, ...]
    ports: tuple[Port, ...] = ()
    environment: dict[str, Value] = field(default_factory=dict)
    dials: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unit:
    """Components that start, stop and are restarted together.

    Parameters
    ----------
    name : str
        Unique in the federation.
    components : tuple of Component
        In the order in which they start.
    after : tuple of str
        Names of units whose ports must accept connections before this unit starts.
    """

    name: str
    components: tuple[Component, ...]
    after: tuple[str, ...] = ()


PARTITION_ID = "{partition-id}"
"""Stands in a pool's arguments for the partition id of whichever of its SuperNodes it is."""


@dataclass(frozen=True)
class Pool:
    """All SuperNodes of one pool, described once.

    Parameters
    ----------
    name : str
        The pool's name.
    replicas : int
        How many SuperNodes it has.
    first_partition : int
        The partition id of its first one; each further one has the next.
    units : tuple of Unit
        Those of one SuperNode, named as if it were the only one: ``hospital``, ``hospital-superexec``.
        `PARTITION_ID` stands for the partition id.
    """

    name: str
    replicas: int
    first_partition: int
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class Topology:
    """All units of a federation.

    Parameters
    ----------
    federation : str
        The federation's name.
    units : tuple of Unit
        In the order in which they start.
    external : tuple of str
        The names of the SuperNodes that run elsewhere; they have no unit here.
    """

    federation: str
    units: tuple[Unit, ...]
    external: tuple[str, ...] = ()

    @property
    def components(self) -> tuple[Component, ...]:
        """Every component, in the order of the units."""
        return tuple(component for unit in self.units for component in unit.components)

    @property
    def supernodes(self) -> tuple[Component, ...]:
        """The SuperNodes, in the order of their partition ids."""
        return tuple(component for component in self.components if component.role is Role.SUPERNODE)
