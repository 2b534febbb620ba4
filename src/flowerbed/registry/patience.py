"""How often something is tried again after the network failed it, and how long is waited in between."""

from __future__ import annotations

import time

from flowerbed.errors import RegistryError

PAUSES = (0.5, 2.0, 5.0)
"""Seconds before the second, third and fourth try."""


class Tries:
    """Counts how often something failed since it last went forward."""

    def __init__(self) -> None:
        self._failed = 0

    def went_on(self) -> None:
        """Begin to count anew: a large layer on a bad line may take many tries, as long as each brings it forward."""
        self._failed = 0

    def again(self, error: RegistryError) -> None:
        """Wait a little before the next try.

        Raises
        ------
        RegistryError
            The one that was given, when there were enough.
        """
        if self._failed == len(PAUSES):
            raise error
        time.sleep(PAUSES[self._failed])
        self._failed += 1
