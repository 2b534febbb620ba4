"""Who dials the SuperLink, and where: its Service and the NetworkPolicies are both made of this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests.places import numbers
from flowerbed.spec.model import Federation
from flowerbed.topology.build import pools, server_units
from flowerbed.topology.model import SUPERLINK, Component, Role


@dataclass(frozen=True)
class Edge:
    """Pods of one kind dial one port of the SuperLink.

    Parameters
    ----------
    role : Role or None
        What they are; None for the Jobs of runs.
    pool : str or None
        The pool, for SuperNodes.
    port : str
        The port's name.
    number : int
        Its number.
    """

    role: Role | None
    pool: str | None
    port: str
    number: int


def edges(federation: Federation, row: Row) -> tuple[Edge, ...]:
    """Return all edges of ``layout: Colocated``; what programs of one Pod say to each other is none."""
    return tuple(dict.fromkeys(_edges(federation, row)))


def dialled(federation: Federation, row: Row) -> dict[str, int]:
    """Return the SuperLink's ports that anybody dials, in the release's own order."""
    used = {edge.port for edge in edges(federation, row)}
    return {name: number for name, number in _ports(federation, row).items() if name in used}


def _edges(federation: Federation, row: Row) -> Iterator[Edge]:
    ports = _ports(federation, row)
    _, serverapp = server_units(federation, row.contract, row.minor)
    for port in _to_superlink(serverapp.components):
        yield Edge(Role.SERVERAPP_SUPEREXEC, None, port, ports[port])
    for pool in pools(federation, row.contract, row.minor):
        for unit in pool.units:
            for port in _to_superlink(unit.components):
                yield Edge(Role.SUPERNODE, pool.name, port, ports[port])
    control = row.contract.control_port()
    yield Edge(None, None, control, ports[control])


def _to_superlink(components: tuple[Component, ...]) -> list[str]:
    return [port for component in components for peer, port in component.dials if peer == SUPERLINK]


def _ports(federation: Federation, row: Row) -> dict[str, int]:
    superlink, _ = server_units(federation, row.contract, row.minor)
    return numbers(superlink.components[0].ports)
