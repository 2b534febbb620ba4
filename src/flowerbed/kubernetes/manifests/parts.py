"""Which part of a federation each of its objects belongs to, by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from flowerbed.kubernetes.manifests import names, programs
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.spec.model import Federation, Layout

Kind = Literal["namespace", "network", "policies", "programs", "secrets", "superlink", "serverapp", "supernodes"]

_BY_KIND: dict[str, Kind] = {
    "Namespace": "namespace",
    "NetworkPolicy": "network",
    "ExternalSecret": "secrets",
    "SealedSecret": "secrets",
    "Policy": "policies",
    "ClusterImagePolicy": "policies",
}


@dataclass(frozen=True)
class Part:
    """A part of a federation.

    Parameters
    ----------
    kind : str
        Which.
    pool : str
        The pool, for SuperNodes.
    """

    kind: Kind
    pool: str = ""


class Parts:
    """The parts of one federation."""

    def __init__(self, federation: Federation) -> None:
        name = federation.metadata.name
        self._known = {
            **{names.programs(name, room): Part("programs") for room in programs.rooms()},
            names.proxy(name): Part("superlink"),
            names.superlink(name): Part("superlink"),
            names.superlink_tls(name): Part("superlink"),
            names.fleet(name): Part("superlink"),
            names.results(name): Part("serverapp"),
            names.serverapp(name): Part("serverapp"),
        }
        partition = 0
        for pool in federation.spec.own_pools:
            part = Part("supernodes", pool.name)
            if federation.spec.layout is Layout.COLOCATED:
                self._known[names.pool(name, pool.name)] = part
                continue
            for ordinal in range(pool.replicas):
                self._known[names.supernode(name, pool.name, ordinal)] = part
                self._known[names.clientapp(name, partition)] = part
                partition += 1

    def of(self, item: Object) -> Part:
        """Return the part that an object belongs to."""
        by_kind = _BY_KIND.get(item["kind"])
        return Part(by_kind) if by_kind else self._known[item["metadata"]["name"]]
