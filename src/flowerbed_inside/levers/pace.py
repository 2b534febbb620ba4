"""Clients of Flower poll quickly after work, and as seldom as Flower's own when there is none.

A server of ours holds its answer to a poll until there is news. So the next poll may follow at once, and the sleep
between two polls, a second or three, is left out. A server that does not hold answers at once: after a few quick polls
the sleeps grow, until they are as long as Flower's. A server that ends is asked once more while it closes; see
`handshakes`.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from flowerbed_inside.levers import handshakes
from flowerbed_inside.levers.calls import REPLIES, TASKS
from flowerbed_inside.levers.lever import Lacking
from flowerbed_inside.levers.news import News

PRIVATE = {
    "flwr.server.grid.grpc_grid:time": ">=1.22,<1.31",
    "flwr.superlink.grid.grpc_grid:time": ">=1.31,<1.35",
    "flwr.superlink.grid.http_grid:time": ">=1.35",
    "flwr.supercore.superexec.run_superexec:time": ">=1.22",
    "flwr.supernode.start_client_internal:time": ">=1.22",
    "flwr.supernode.start_client_internal:_pull_and_store_message": ">=1.22",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

GRIDS = ("flwr.superlink.grid.http_grid", "flwr.superlink.grid.grpc_grid", "flwr.server.grid.grpc_grid")
"""Where the Grid of a ServerApp is, the newest place first."""
SUPEREXEC = "flwr.supercore.superexec.run_superexec"
SUPERNODE = "flwr.supernode.start_client_internal"

FIRST_SECONDS = 0.005
QUICK_POLLS = 10
"""So many polls in a row may follow quickly without an answer that took its time."""
HELD_SECONDS, TIMES_AS_LONG = 0.05, 4.0
"""An answer that took so long, and so much longer than the quickest of this server, was held, or there was work."""
POLL_SECONDS = 1.0
"""The shortest sleep of Flower's between two polls. So long an answer was held in any case."""

Sleep = Callable[[float], None]


class Clock:
    """Stands for the module `time` in one module of Flower's: its `sleep` is another.

    Parameters
    ----------
    sleep : callable
        That one.
    """

    def __init__(self, sleep: Sleep) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Pace:
    """The sleep between two polls: never longer than Flower's own.

    Parameters
    ----------
    held : float
        How long at least a server takes for an answer that it holds.
    clock : callable
        Tells the time.
    sleep : callable
        Sleeps.
    """

    def __init__(
        self, held: float = HELD_SECONDS, clock: Callable[[], float] = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self._held = held
        self._clock = clock
        self._sleep = sleep
        self._quick = 0
        self._quickest = math.inf
        self._woke = clock()

    def worked(self) -> None:
        """Take note that the last poll was worth it."""
        self._quick = 0

    def __call__(self, asked: float) -> None:
        """Sleep, where Flower would have slept so long."""
        took = self._clock() - self._woke
        held = took >= min(max(self._held, TIMES_AS_LONG * self._quickest), POLL_SECONDS)
        self._quick = 0 if held else self._quick + 1
        self._quickest = min(self._quickest, took)
        doublings = max(0, self._quick - QUICK_POLLS)
        self._sleep(min(FIRST_SECONDS * 2.0 ** min(doublings, 20), asked))
        self._woke = self._clock()


def first_of(names: tuple[str, ...]) -> Any:
    """Return the first of some modules that the release has."""
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise Lacking(f"there is no module {' or '.join(names)}")


def set_sleep(module: Any, sleep: Sleep) -> None:
    """Have a module of Flower's sleep in another way."""
    if not hasattr(module.time, "sleep"):
        raise Lacking(f"{module.__name__} does not sleep by its time")
    module.time = Clock(sleep)


def grid() -> None:
    """Have the Grid of this ServerApp poll quickly."""
    set_sleep(first_of(GRIDS), Pace())
    handshakes.take()


def superexec() -> None:
    """Have this SuperExec poll quickly."""
    set_sleep(import_module(SUPEREXEC), Pace())
    handshakes.take()


def supernode(news: News) -> None:
    """Have this SuperNode poll quickly, and notice at once what its ClientApp brings.

    Its server tells its SuperExec of a message, too.
    """
    module: Any = import_module(SUPERNODE)
    pull = module._pull_and_store_message
    # Many SuperNodes may make a server slow that does not hold. So only a long answer counts as held here.
    pace = Pace(held=POLL_SECONDS)
    known = 0

    def sleep(asked: float) -> None:
        nonlocal known
        if asked >= POLL_SECONDS:
            pace(asked)
            return
        # It waits for a reply of its ClientApp, or for an object of one.
        news.wait_here(REPLIES, known, asked)
        known = news.now()

    @functools.wraps(pull)
    def pulling(*args: Any, **options: Any) -> Any:
        run = pull(*args, **options)
        if run is not None:
            pace.worked()
            news.bring([TASKS])
        return run

    set_sleep(module, sleep)
    module._pull_and_store_message = pulling
    handshakes.take()
