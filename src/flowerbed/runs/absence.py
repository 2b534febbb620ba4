"""For how long a SuperLink was away while a run went on, as seen by whoever asks it from time to time. Pure."""

from __future__ import annotations

SHORTEST_SECONDS = 10.0
"""A SuperLink that is back sooner was not missed: it was busy, or was started again."""
HEARTBEAT_SECONDS = 30.0
"""How often a ServerApp tells that it lives (``HEARTBEAT_DEFAULT_INTERVAL``, Flower 1.22 to 1.42)."""
GIVEN_UP_SECONDS = 60.0
"""After so long without a word the SuperLink calls the run failed (``HEARTBEAT_PATIENCE`` times that interval)."""


class Absence:
    """Takes each answer, and that there was none."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._since: float | None = None
        self._last: float | None = None

    def asked(self, now: float, *, answered: bool) -> None:
        """Note whether it answered at a moment (monotonic seconds); its absence counts from its last answer."""
        if answered:
            self._last, self._since = now, None
            return
        if self._since is None:
            self._since = now if self._last is None else self._last
        self.longest = max(self.longest, now - self._since)


def said(seconds: float) -> str:
    """Return what a reason says of it, as a sentence of its own; empty if it was not missed."""
    if seconds < SHORTEST_SECONDS:
        return ""
    text = f" The SuperLink was away for about {seconds:.0f} s meanwhile"
    if seconds < HEARTBEAT_SECONDS:
        return f"{text}."
    return f"{text}; it gives up a run whose ServerApp it has not heard for {GIVEN_UP_SECONDS:.0f} s."
