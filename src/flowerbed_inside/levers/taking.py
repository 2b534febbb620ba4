"""Which levers each of Flower's programs takes.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import functools

from flowerbed_inside.levers import backoff, logs, pace
from flowerbed_inside.levers.lever import is_on, take
from flowerbed_inside.levers.news import News


def take_levers(program: str) -> None:
    """Take a program's levers, in its process and before it begins.

    Parameters
    ----------
    program : str
        Its name.
    """
    match program:
        case "flower-superlink":
            from flowerbed_inside.levers import following, holding, lean  # apps have no need of what they import

            take("hold", functools.partial(holding.take, News()))
            take("logs", following.take)
            if lean.is_proven():
                take("lean", lean.take)
        case "flower-supernode":
            from flowerbed_inside.levers import holding

            news = News()
            take("hold" if is_on("hold") else "pace", functools.partial(holding.take, news))  # both need its server
            take("pace", functools.partial(pace.supernode, news))
            take("backoff", backoff.take)
        case "flower-superexec":
            from flowerbed_inside.launch import warm

            warm.take()  # first: a process of an app takes levers of its own
            take("pace", pace.superexec)
        case "flwr-serverapp":
            take("pace", pace.grid)
            take("backoff", backoff.take)
            take("logs", logs.take)
        case "flwr-clientapp":
            take("backoff", backoff.take)
