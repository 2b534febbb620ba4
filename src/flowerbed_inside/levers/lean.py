"""A SuperLink spends less on each request of SuperNodes and apps.

Such a request asks for one message and gets one. Flower has it pass nine layers, each with tasks and streams of its
own, uses a thread for each attribute that is looked up, and looks for silent apps each time. Here it passes the layers
that do something for it, one call within the other, and silent apps are looked for twice a second.

Nothing is left out that checks who asks. Users' requests, and those that are answered in parts, go Flower's way.

This touches more of Flower than the other levers do. So it is taken only on releases on which it was run, and only if
the SuperLink has the layers that it has there.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from flowerbed_inside.levers.lever import Lacking

RELEASES = ("1.42",)
"""Those on which it was run."""

PRIVATE = {
    "flwr.supercore.protobuf.translation:PROTOBUF_REQUEST_TYPES": ">=1.42",
    "flwr.supercore.protobuf.translation:get_protobuf_request": ">=1.42",
    "flwr.superlink.dependencies.linkstate:get_linkstate": ">=1.42",
    "flwr.supercore.dependencies.runtime:get_runtime_state": ">=1.42",
    "flwr.supercore.dependencies.runtime:get_runtime_handlers": ">=1.42",
    "flwr.superlink.routers.fleet.router:get_enable_supernode_auth": ">=1.42",
    "flwr.superlink.routers.control.middlewares:ControlSensitiveResponseMiddleware": ">=1.42",
    "flwr.superlink.routers.control.middlewares:ControlAuthenticationMiddleware": ">=1.42",
    "flwr.superlink.routers.control.middlewares:ControlLicenseMiddleware": ">=1.42",
    "flwr.superlink.routers.control.middlewares:ControlEventLogMiddleware": ">=1.42",
    "flwr.superlink.routers.fleet.middlewares:FleetEventLogMiddleware": ">=1.42",
    "flwr.superlink.routers.fleet.node_auth:NodeAuthMiddleware": ">=1.42",
    "flwr.supercore.corestate.sql_corestate:SqlCoreState._cleanup_expired_task_tokens": ">=1.42",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

ROOMS = ("/v1/fleet/", "/v1/runtime/")
"""Where the paths of SuperNodes and apps are."""
OF_USERS = (
    "ControlSensitiveResponseMiddleware",
    "ControlAuthenticationMiddleware",
    "ControlLicenseMiddleware",
    "ControlEventLogMiddleware",
)
"""Layers that look at a path of `ROOMS` and go on."""
CHEAP = (
    "flwr.supercore.protobuf.translation:get_protobuf_request",
    "flwr.superlink.dependencies.linkstate:get_linkstate",
    "flwr.supercore.dependencies.runtime:get_runtime_state",
    "flwr.supercore.dependencies.runtime:get_runtime_handlers",
    "flwr.superlink.routers.fleet.router:get_enable_supernode_auth",
)
"""What a request depends on, and what is looked up in no time."""
CLEANING_SECONDS = 0.5
"""An app counts as silent after many seconds, so that half of one makes no difference."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def is_proven() -> bool:
    """Tell whether it was run on this release of Flower."""
    return version("flwr").rpartition(".")[0] in RELEASES


def found(name: str) -> Any:
    """Return what ``module:attribute`` is."""
    module, _, path = name.partition(":")
    thing = import_module(module)
    for part in path.split("."):
        thing = getattr(thing, part)
    return thing


def take() -> None:
    """Have the SuperLink of this process answer with less work."""
    base: Any = import_module("starlette.middleware.base")
    utilities: Any = import_module("fastapi.dependencies.utils")
    needed = {name: found(name) for name in PRIVATE}
    for name in ("run_in_threadpool", "solve_dependencies"):
        if not hasattr(utilities, name):
            raise Lacking(f"fastapi has no {name}")
    request, response = base._CachedRequest, import_module("starlette.responses").Response
    paths = {
        path
        for method, path in needed["flwr.supercore.protobuf.translation:PROTOBUF_REQUEST_TYPES"]
        if method == "POST" and path.startswith(ROOMS)
    }
    layers = {name.partition(":")[2]: thing for name, thing in needed.items() if name.endswith("Middleware")}
    state = needed["flwr.supercore.corestate.sql_corestate:SqlCoreState._cleanup_expired_task_tokens"]

    base.BaseHTTPMiddleware.__call__ = passing(base.BaseHTTPMiddleware.__call__, paths, layers, request, response)
    utilities.run_in_threadpool = at_once(utilities.run_in_threadpool, [needed[name] for name in CHEAP])
    found("flwr.supercore.corestate.sql_corestate:SqlCoreState")._cleanup_expired_task_tokens = seldom(state)


def passing(flowers: Any, paths: set[str], layers: dict[str, type], request: Any, response: Any) -> Any:
    """Return the call of a layer, which a request of some paths passes without tasks and streams.

    Parameters
    ----------
    flowers : callable
        The call as it is.
    paths : set of str
        Those paths; each is asked one message and answers with one.
    layers : dict of str to type
        Layers that look at a path alone, by name.
    request, response : type
        Starlette's, of a layer's request and answer.
    """
    of_users = tuple(layers[name] for name in OF_USERS)
    of_supernodes = (layers["NodeAuthMiddleware"], layers["FleetEventLogMiddleware"])

    async def called(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in paths:
            await flowers(self, scope, receive, send)
            return
        kind = type(self)
        if kind in of_users or (kind in of_supernodes and not scope["path"].startswith(ROOMS[0])):
            await self.app(scope, receive, send)
            return
        asked = request(scope, receive)

        async def go_on(_request: Any) -> Any:
            begun: dict[str, Any] = {}
            parts: list[bytes] = []

            async def collect(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    begun.update(message)
                elif message["type"] == "http.response.body":
                    parts.append(message.get("body", b""))

            await self.app(scope, asked.wrapped_receive, collect)
            if not begun:
                raise RuntimeError("No response returned.")
            answer = response(status_code=begun["status"])
            answer.body = b"".join(parts)
            answer.raw_headers = list(begun["headers"])
            return answer

        answer = await self.dispatch_func(asked, go_on)
        await answer(scope, asked.wrapped_receive, send)

    return called


def at_once(in_a_thread: Any, cheap: list[Any]) -> Any:
    """Return what calls a function in a thread, unless it is a cheap one."""

    async def called(function: Any, *args: Any, **options: Any) -> Any:
        if any(function is one for one in cheap):
            return function(*args, **options)
        return await in_a_thread(function, *args, **options)

    return called


def seldom(clean: Callable[[Any], None], clock: Callable[[], float] = time.monotonic) -> Callable[[Any], None]:
    """Return what looks for silent apps, but not again within half a second."""
    lock = threading.Lock()
    last = -CLEANING_SECONDS

    def cleaning(state: Any) -> None:
        nonlocal last
        with lock:
            if clock() - last < CLEANING_SECONDS:
                return
            last = clock()
        clean(state)

    return cleaning
