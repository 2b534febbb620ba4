"""A SuperNode that is asked to end and still works on a message: how long it is left to reply.

A round waits for everybody whom it has asked, and Flower never asks another instead. So whoever takes a SuperNode
away by asking it, as a node drain does, takes a reply from the run, unless the SuperNode gives that first.

And it has to stay for the reply to be fetched. A ServerApp asks for replies every three seconds (``send_and_receive``
of every release); of a SuperNode that is offline by then the SuperLink says that it is unavailable, whatever reply its
database holds (``check_node_availability_for_in_message``, 1.22 to 1.42). And a SuperNode that was asked to end is
offline at once.

Who has replied may be asked for the next thing meanwhile, and works on that then. It ends in a pause: while others of
its round take longer, or when the run has ended. Where there is none its time is over at last, and the run lacks what
it worked on.

Standard library only.
"""

from __future__ import annotations

import socket
import threading
import time

FETCHED_SECONDS = 10.0
"""A SuperNode that has replied and was given nothing new for so long is in a pause: three seconds until the reply is
fetched, three until the SuperNode asks for what comes next, and some for a ServerApp that makes that of it."""

GONE_SECONDS = 20.0
"""A SuperLink that has not answered for so long is not being started again: it went with the SuperNode."""

GONE_WITH_REPLY_SECONDS = 3.0
"""The same of one to which nothing is owed any more."""

_POLL = 1.0  # seconds between two looks for the SuperLink
_PATIENCE = 5.0  # seconds for its answer


def is_fetched(replied: float | None) -> bool:
    """Tell whether a last reply, sent then (monotonic seconds), was fetched by now, if there was one."""
    return replied is None or time.monotonic() - replied >= FETCHED_SECONDS


class Finishing:
    """The time between being asked to end and ending.

    Parameters
    ----------
    seconds : float
        How long it may be.
    superlink : str or None
        ``host:port`` of who waits for the reply; without it, it is not looked whether that is still there.
    """

    def __init__(self, seconds: float, superlink: str | None) -> None:
        self._until = time.monotonic() + seconds
        self._superlink = superlink
        self._answered = time.monotonic()
        if superlink is not None:
            threading.Thread(target=self._look, args=(superlink,), daemon=True).start()

    def over(self, *, busy: bool) -> str:
        """Return why there is no more time; empty while there is."""
        now = time.monotonic()
        if now >= self._until:
            return "its time to reply is over"
        patience = GONE_SECONDS if busy else GONE_WITH_REPLY_SECONDS
        if self._superlink is not None and now - self._answered >= patience:
            return f"nobody answers at {self._superlink} any more"
        return ""

    def _look(self, superlink: str) -> None:
        host, _, port = superlink.rpartition(":")
        while True:
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
            except OSError:
                pass
            else:
                self._answered = time.monotonic()
            time.sleep(_POLL)
