"""A SuperLink passes a run's log on to who follows it when there is more of it, instead of looking each half second.

Who follows also learns at once that the run has ended.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from flowerbed_inside.levers.lever import Lacking
from flowerbed_inside.levers.news import News
from flowerbed_inside.levers.pace import first_of, set_sleep

PRIVATE = {
    "flwr.superlink.servicer.control.control_servicer:time": ">=1.22,<1.33",
    "flwr.superlink.servicer.control.control_handlers:time": ">=1.33",
    "flwr.server.superlink.linkstate.sqlite_linkstate:SqliteLinkState.add_serverapp_log": ">=1.22,<1.26",
    "flwr.server.superlink.linkstate.sqlite_linkstate:SqliteLinkState.update_run_status": ">=1.22,<1.26",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.add_serverapp_log": ">=1.26,<1.30",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.update_run_status": ">=1.26,<1.30",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.add_task_log": ">=1.30",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.finish_task": ">=1.30",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

HANDLERS = ("flwr.superlink.servicer.control.control_handlers", "flwr.superlink.servicer.control.control_servicer")
"""Where logs are streamed, the newest place first."""
BRINGERS = (("add_task_log", "finish_task"), ("add_serverapp_log", "update_run_status"))
"""The methods of a SuperLink's state after which there is more to tell, the newest first."""
TOLD = "told"


class Stream:
    """The sleep between two looks at what there is to tell: it ends when there is more, in every thread that looks."""

    def __init__(self) -> None:
        self._news = News()
        self._seen = threading.local()

    def sleep(self, seconds: float) -> None:
        """Sleep until there is more than at the end of this thread's last sleep, for so long at most."""
        self._news.wait_here(TOLD, getattr(self._seen, "number", 0), seconds)
        self._seen.number = self._news.now()

    def bringing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method of the state after which there is more."""

        @functools.wraps(method)
        def with_news(*args: Any, **options: Any) -> Any:
            try:
                return method(*args, **options)
            finally:
                self._news.bring([TOLD])

        return with_news


def link_state() -> Any:
    """Return the class that keeps a SuperLink's state in a database."""
    try:
        return import_module("flwr.server.superlink.linkstate.sql_linkstate").SqlLinkState
    except ImportError:  # before 1.26
        return import_module("flwr.server.superlink.linkstate.sqlite_linkstate").SqliteLinkState


def take() -> None:
    """Have this SuperLink pass logs on as they come."""
    state = link_state()
    names = next((names for names in BRINGERS if all(hasattr(state, name) for name in names)), None)
    if names is None:
        raise Lacking("it does not say where logs and ends of runs are noted")
    stream = Stream()
    set_sleep(first_of(HANDLERS), stream.sleep)
    for name in names:
        setattr(state, name, stream.bringing(getattr(state, name)))
