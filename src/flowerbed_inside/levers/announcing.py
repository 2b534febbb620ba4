"""Messages are announced to those who wait for them once their objects are there.

Flower stores a message first and takes its objects one by one after that. Who fetches it in between asks for objects
that are not there yet, and has to come again.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

SECONDS = 0.25
"""After so long a message is announced in any case: its objects may be many, and are fetched one by one too."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds."""


@dataclass
class _Announced:
    topics: Iterable[Hashable]
    objects: int


class Announcements:
    """Messages whose objects are still to come, one for each who brings them; any thread may call it.

    Parameters
    ----------
    bring : callable
        What is called with the topics of a message that is whole.
    """

    def __init__(self, bring: Callable[[Iterable[Hashable]], None]) -> None:
        self._bring = bring
        self._lock = threading.Lock()
        self._coming: dict[Hashable, _Announced] = {}

    def stored(self, sender: Hashable, topics: Iterable[Hashable], objects: int, later: Later) -> None:
        """Take note of messages that were stored without so many of their objects."""
        if not objects:
            self._bring(topics)
            return
        announced = _Announced(topics, objects)
        with self._lock:
            before = self._coming.get(sender)
            self._coming[sender] = announced
        if before is not None:  # who brings the next message has given up on this one
            self._bring(before.topics)
        later(SECONDS, lambda: self._announce(sender, announced))

    def came(self, sender: Hashable) -> None:
        """Take note of an object that somebody brought."""
        with self._lock:
            announced = self._coming.get(sender)
            if announced is None:
                return
            announced.objects -= 1
        if announced.objects <= 0:
            self._announce(sender, announced)

    def _announce(self, sender: Hashable, announced: _Announced) -> None:
        with self._lock:
            if self._coming.get(sender) is not announced:
                return
            del self._coming[sender]
        self._bring(announced.topics)
