"""Which SuperNode one of Flower's node ids belongs to: by its key, else by what the SuperNode itself has said.

A SuperNode that is started again can be a new one for Flower, under another key: what was known once stays known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from flowerbed.local import logs
from flowerbed.local.client import ClientError, ControlClient
from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import Notes
from flowerbed.local.plan import Plan
from flowerbed.topology.model import Role
from flowerbed.trust.layout import public_keys

FACT = "node_names"
KEPT = 5_000
TRIES = 5
"""How often an id that nobody knows is looked for: one that stays unknown is shown as it is."""
SAID = re.compile(r"SuperNode ID: (\d+)")
"""What a SuperNode says as it begins; up to 1.23 our launcher says it for it."""


class Surroundings(Protocol):
    """What finding names needs of the supervisor."""

    folder: StateFolder
    store: Notes
    plan: Plan
    client: ControlClient


class NodeNames:
    """The SuperNodes' names by Flower's ids of them.

    Parameters
    ----------
    around : Surroundings
        Whose SuperNodes these are.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._known: dict[str, str] = dict(around.store.facts().get(FACT, {}))
        self._tried: Counter[str] = Counter()

    async def of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of those ids that are known."""
        asked = set(ids)
        wanted = {one for one in asked if one not in self._known and self._tried[one] < TRIES}
        if wanted:
            self._tried.update(wanted)
            found = await self._by_key() | self._by_log()
            if found.keys() - self._known.keys():
                self._known = dict(list((self._known | found).items())[-KEPT:])
                self._around.store.set_facts(**{FACT: self._known})
        return {one: self._known[one] for one in asked if one in self._known}

    async def _by_key(self) -> dict[str, str]:
        names = {key: name for name in self._supernodes() for key in self._keys(name)}
        try:
            nodes = await self._around.client.ask("nodes", timeout=10) if names else []
        except ClientError:
            return {}
        return {node["id"]: names[node["key"]] for node in nodes if node["key"] in names}

    def _by_log(self) -> dict[str, str]:
        return {
            found: name
            for name in self._supernodes()
            for found in SAID.findall(logs.read_from(self._around.folder.log(name), 0))
        }

    def _supernodes(self) -> list[str]:
        plan = self._around.plan
        return [one.name for one in plan.components() if one.role == Role.SUPERNODE.value] + list(plan.external)

    def _keys(self, node: str) -> list[str]:
        try:
            return public_keys(self._around.folder.trust.node_registered_key(node).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return []
