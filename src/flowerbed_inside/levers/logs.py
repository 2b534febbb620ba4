"""At its end a ServerApp waits until its log is uploaded, instead of a second and more.

From 1.30 on it sleeps until its queue is empty, and then one more second, in which the last upload should be done. Here
it wakes the thread that uploads, and goes on when that has uploaded all there was; after as long as Flower sleeps at
the latest.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import threading

from flowerbed_inside.levers.pace import first_of, set_sleep

PRIVATE = {
    "flwr.common.logger:time": ">=1.30,<1.35",
    "flwr.common.logger:flush_logs": ">=1.30,<1.35",
    "flwr.supercore.logger:time": ">=1.35",
    "flwr.supercore.logger:flush_logs": ">=1.35",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

MODULES = ("flwr.supercore.logger", "flwr.common.logger")


class Uploads:
    """The sleeps of the thread that uploads a log, and of the main thread, which waits for it at the end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked = 0  # how often the main thread has asked for an upload
        self._begun = 0  # how much of that the upload had heard that goes on now
        self._done = 0  # and the last one that was done

    def sleep(self, seconds: float) -> None:
        """Sleep for so long at most."""
        if threading.current_thread() is threading.main_thread():
            self.hurry(seconds)
        else:
            self.rest(seconds)

    def hurry(self, seconds: float) -> None:
        """Wake the thread that uploads, and wait until it has uploaded all that there is now."""
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= mine, seconds)

    def rest(self, seconds: float) -> None:
        """Sleep between two uploads, until somebody is in a hurry."""
        with self._changed:
            self._done = self._begun
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._asked > self._begun, seconds)
            self._begun = self._asked


def take() -> None:
    """Have this ServerApp end as soon as its log is uploaded."""
    module = first_of(MODULES)
    if hasattr(module, "flush_logs"):  # before 1.30 there is no wait
        set_sleep(module, Uploads().sleep)
