"""One module per thing that is measured; each has a function that takes a `Task` and gives figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.figures import Figure
from bench.workplace import Workplace


@dataclass(frozen=True)
class Task:
    """What a measure is given.

    Parameters
    ----------
    place : Workplace
        Where to work.
    pairs : int or None
        How often ours and the baseline are measured in turn; None for the measure's own number.
    """

    place: Workplace
    pairs: int | None

    def times(self, default: int) -> int:
        """Return how often to measure."""
        return default if self.pairs is None else self.pairs


Measure = Callable[[Task], Iterator[Figure]]
