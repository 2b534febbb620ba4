"""What has come for those who ask a server, and who waits for it.

It knows nothing of Flower, of threads that wait or of event loops: who waits gives a function that wakes him.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable

Wake = Callable[[], None]


class News:
    """What has come, by topic, in the order in which it came; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._last: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, list[Wake]] = {}
        self._closed = False

    def now(self) -> int:
        """Return the number of what came last, whatever its topic."""
        with self._lock:
            return self._number

    def bring(self, topics: Iterable[Hashable]) -> None:
        """Note that there is something new, and wake who waits for it."""
        with self._lock:
            self._number += 1
            wakes = []
            for topic in topics:
                self._last[topic] = self._number
                wakes += self._waiting.pop(topic, [])
        _call(wakes)

    def wait(self, topic: Hashable, since: int, wake: Wake) -> bool:
        """Have somebody woken, once, at the next news about a topic.

        Parameters
        ----------
        topic : hashable
            What he waits for.
        since : int
            What `now` was before he looked.
        wake : callable
            What wakes him.

        Returns
        -------
        bool
            False if he need not wait: something has come since he looked, or all is closed.
        """
        with self._lock:
            if self._closed or self._last.get(topic, 0) > since:
                return False
            self._waiting.setdefault(topic, []).append(wake)
            return True

    def leave(self, topic: Hashable, wake: Wake) -> None:
        """Forget somebody who waits no longer."""
        with self._lock:
            waiting = self._waiting.get(topic, [])
            if wake in waiting:
                waiting.remove(wake)
            if not waiting:
                self._waiting.pop(topic, None)

    def close(self) -> None:
        """Wake all, and let nobody wait from now on."""
        with self._lock:
            self._closed = True
            wakes = [wake for waiting in self._waiting.values() for wake in waiting]
            self._waiting.clear()
        _call(wakes)

    def wait_here(self, topic: Hashable, since: int, seconds: float) -> None:
        """Wait in this thread, for so long at most."""
        event = threading.Event()
        if self.wait(topic, since, event.set):
            event.wait(seconds)
            self.leave(topic, event.set)


def _call(wakes: Iterable[Wake]) -> None:
    for wake in wakes:
        wake()
