"""When a unit that ended is started again, and when that is called a crash loop. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
SETTLED_SECONDS = 30.0
"""A unit that ran this long is healthy again: the next end counts as the first."""
LOOP_AFTER = 3
"""So many ends in a row, each before it had settled, are a crash loop."""


@dataclass(frozen=True)
class Backoff:
    """How often in a row a unit has ended without settling.

    Parameters
    ----------
    ends : int
        The count.
    """

    ends: int = 0

    def ended(self, lived: float) -> Backoff:
        """Return the state after an end that came `lived` seconds after the start."""
        return Backoff(1 if lived >= SETTLED_SECONDS else self.ends + 1)

    @property
    def delay(self) -> float:
        """Seconds to wait before the next start."""
        return min(FIRST_SECONDS * 2.0 ** (self.ends - 1), LONGEST_SECONDS) if self.ends else 0.0

    @property
    def looping(self) -> bool:
        """Whether this is a crash loop."""
        return self.ends >= LOOP_AFTER
