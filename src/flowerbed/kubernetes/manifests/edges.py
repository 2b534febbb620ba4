"""Who dials the SuperLink, and where: its Service and the NetworkPolicies are both made of this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import names
from flowerbed.spec.model import Federation, FederationSpec
from flowerbed.topology.model import Role

FLEET = Api.FLEET.value
"""The name of the port at which SuperNodes outside are let in: the SuperLink's own, or that of a proxy beside it."""


@dataclass(frozen=True)
class Edge:
    """Pods of one kind dial one port of the SuperLink.

    Parameters
    ----------
    role : Role or None
        What they are; None for the Jobs of runs, and for what is outside.
    pool : str or None
        The pool, for SuperNodes.
    port : str
        The port's name.
    number : int
        Its number.
    outside : bool
        Whether it is no Pod of ours that dials, but whoever the file lets in.
    """

    role: Role | None
    pool: str | None
    port: str
    number: int
    outside: bool = False


def edges(federation: Federation, row: Row) -> tuple[Edge, ...]:
    """Return all edges of ``layout: Colocated``; what programs of one Pod say to each other is none."""
    return tuple(dict.fromkeys(_edges(federation, row)))


def dialled(federation: Federation, row: Row) -> dict[str, int]:
    """Return the ports before the SuperLink that anybody dials, in the release's own order."""
    doors = (door(federation.spec, row, api) for api in Api)
    return dict(sorted(doors, key=lambda found: found[1]))


def door(spec: FederationSpec, row: Row, api: Api) -> tuple[str, int]:
    """Return the port at which others reach an API: its name and its number.

    Where the Control API is open that is the SuperLink's own port, which several APIs may share. Where it is closed
    each API has a port of its own, with Flower's own number for it; an API whose port is another's has the number that
    Flower gave it while it had one.
    """
    own = apis.port(row, api)
    if not spec.control_closed:
        return own.name, own.default
    shares = any(apis.port(row, other).name == own.name for other in _BEFORE[api])
    return api.value, _ALONE[api] if shares else own.default


def peer(federation: str, spec: FederationSpec, row: Row, api: Api) -> tuple[str, dict[str, int]]:
    """Return where a program that needs one API finds the SuperLink: the host, and the number for its port's name."""
    _, number = door(spec, row, api)
    return names.superlink(federation), {apis.port(row, api).name: number}


_BEFORE: dict[Api, tuple[Api, ...]] = {Api.FLEET: (), Api.RUNTIME: (Api.FLEET,), Api.CONTROL: (Api.RUNTIME, Api.FLEET)}
"""Who keeps the number of a shared port: SuperNodes may be told it by hand, outside of the cluster."""

_ALONE = {Api.RUNTIME: 9091, Api.FLEET: 9092, Api.CONTROL: 9093}
"""Flower's own numbers, up to 1.34."""


def _edges(federation: Federation, row: Row) -> Iterator[Edge]:
    yield Edge(Role.SERVERAPP_SUPEREXEC, None, *door(federation.spec, row, Api.RUNTIME))
    for pool in federation.spec.own_pools:
        yield Edge(Role.SUPERNODE, pool.name, *door(federation.spec, row, Api.FLEET))
    yield Edge(None, None, *door(federation.spec, row, Api.CONTROL))
    expose = federation.spec.superlink.expose
    name, number = door(federation.spec, row, Api.FLEET)
    if expose is not None and expose.is_shown and name == FLEET:  # else others would be reached there too
        yield Edge(None, None, name, number, outside=True)
