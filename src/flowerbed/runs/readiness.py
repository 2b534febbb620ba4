"""Judging from what was seen of a federation whether it is ready: never from what its programs claim."""

from __future__ import annotations

from dataclasses import dataclass

from flowerbed.counting import part_of


@dataclass(frozen=True)
class Readiness:
    """What was seen at one moment.

    Parameters
    ----------
    nodes_online, nodes_expected : int
        SuperNodes that the SuperLink knows as online, and how many there shall be.
    superexecs_connected, superexecs_expected : int
        SuperExecs with a connection to where they claim work, and how many there shall be.
    loop : str
        What ends again and again, with its last words; empty if nothing does.
    ever_ready : bool
        Whether the federation has been ready since it was started.
    """

    nodes_online: int
    nodes_expected: int
    superexecs_connected: int
    superexecs_expected: int
    loop: str = ""
    ever_ready: bool = False

    @property
    def ready(self) -> bool:
        """Whether all that there shall be is there."""
        return self.nodes_online >= self.nodes_expected and self.superexecs_connected >= self.superexecs_expected

    @property
    def state(self) -> str:
        """The state as `flowerbed.runs.runtime.FederationStatus` names it."""
        if self.ready:
            return "ready"
        if self.loop:
            return "failed"
        return "degraded" if self.ever_ready else "starting"

    @property
    def counts(self) -> str:
        """How many of how many, in words."""
        return (
            f"{part_of(self.nodes_online, self.nodes_expected, 'SuperNode')} online,"
            f" {part_of(self.superexecs_connected, self.superexecs_expected, 'SuperExec')} connected"
        )

    @property
    def reason(self) -> str:
        """Why it is not ready; empty if it is."""
        return "" if self.ready else self.loop or self.counts
