"""A connection that breaks off in its TLS handshake is made again, as one that breaks off at any other time.

A server that ends answers all polls that it holds. Their clients ask again at once, and some find it, or the proxy
before it, about to close. Where that happens within a handshake, Python's error has ``SSL`` in its text, and Flower
takes it for a certificate that is not trusted: it gives up, a SuperNode with its work, a ServerApp with its run. With
gRPC it does not.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

PRIVATE = {"flwr.supercore.retry.http_retry:RetryInvoker": ">=1.35"}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

OPTION = "should_giveup"
BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError, TimeoutError)
"""What a connection ends with that the other side, or the way there, has broken off."""


def take() -> None:
    """Have this program go on with what has broken off; a release without HTTP has no need of it."""
    try:
        module: Any = import_module("flwr.supercore.retry.http_retry")
    except ImportError:
        return
    stock = module.RetryInvoker

    @functools.wraps(stock, updated=())
    def going_on(*args: Any, **options: Any) -> Any:
        if options.get(OPTION) is not None:
            options[OPTION] = unless_broken_off(options[OPTION])
        return stock(*args, **options)

    module.RetryInvoker = going_on


def unless_broken_off(gives_up: Callable[[Exception], bool]) -> Callable[[Exception], bool]:
    """Return what tells whether Flower gives up: as it does, but never because a connection has broken off."""

    def gives_up_now(error: Exception) -> bool:
        return not any(isinstance(cause, BROKEN_OFF) for cause in causes(error)) and gives_up(error)

    return gives_up_now


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what it came of."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
