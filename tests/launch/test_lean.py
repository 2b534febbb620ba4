"""The parts of the lever `lean` that need no Flower; that it changes nothing else, runs with and without it show."""

from __future__ import annotations

import asyncio
from typing import Any

from flowerbed_inside.levers import lean


def test_silent_apps_are_looked_for_again_after_half_a_second() -> None:
    now, looked = [0.0], []

    def clean(_state: Any) -> None:
        looked.append(now[0])

    cleaning = lean.seldom(clean, lambda: now[0])
    for at in (0.0, 0.1, 0.4, 0.5, 0.9, 1.2):
        now[0] = at
        cleaning(None)
    assert looked == [0.0, 0.5, 1.2]


def test_only_what_is_cheap_is_called_without_a_thread() -> None:
    in_threads = []

    async def in_a_thread(function: Any, *arguments: Any) -> Any:
        in_threads.append(function)
        return function(*arguments)

    called = lean.at_once(in_a_thread, [abs])
    assert [asyncio.run(called(function, -1)) for function in (abs, str)] == [1, "-1"]
    assert in_threads == [str]


class Layer:
    """Does something for a request, as one of Flower's layers."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def dispatch_func(self, request: Any, call_next: Any) -> Any:
        answer = await call_next(request)
        answer.raw_headers.append((b"seen", type(self).__name__.encode()))
        return answer


def _layer(name: str) -> type[Layer]:
    return type(name, (Layer,), {})


class Request:
    """Starlette's, as far as it is needed."""

    def __init__(self, _scope: Any, receive: Any) -> None:
        self.wrapped_receive = receive


class Response:
    """Likewise."""

    body = b""
    raw_headers: list[tuple[bytes, bytes]]

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def test_a_request_passes_the_layers_that_do_something_for_it() -> None:
    names = (*lean.OF_USERS, "NodeAuthMiddleware", "FleetEventLogMiddleware")
    layers = {name: _layer(name) for name in names}

    async def flowers(layer: Any, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": f"as Flower does it, from {type(layer).__name__}"})

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"message"})

    paths = {"/v1/fleet/pull-messages", "/v1/runtime/get-nodes"}
    called = lean.passing(flowers, paths, layers, Request, Response)

    def answer(path: str, method: str = "POST") -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {}

        scope = {"type": "http", "method": method, "path": path}

        async def through(rest: tuple[str, ...], send: Any) -> None:
            async def below(_scope: Any, _receive: Any, send: Any) -> None:
                await through(rest[1:], send)

            await (called(layers[rest[0]](below), scope, receive, send) if rest else app(scope, receive, send))

        asyncio.run(through(names, send))
        return sent

    start, body = answer("/v1/fleet/pull-messages")
    assert body == {"type": "http.response.body", "body": b"one message"}
    assert start["status"] == 201
    assert start["headers"] == [(b"seen", b"FleetEventLogMiddleware"), (b"seen", b"NodeAuthMiddleware")]
    assert answer("/v1/runtime/get-nodes")[0]["headers"] == []
    for path, method in (("/v1/control/start-run", "POST"), ("/v1/fleet/pull-messages", "GET"), ("/other", "POST")):
        assert answer(path, method) == [{"type": "as Flower does it, from ControlSensitiveResponseMiddleware"}]
