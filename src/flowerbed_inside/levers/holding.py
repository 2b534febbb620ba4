"""Servers of Flower hold their answer to a poll until there is news, as long as its client would have slept.

What is held is the answer that there is nothing, once Flower has given it. So nobody is held whom Flower has not let
in, no signature grows old meanwhile, and nothing is lost with a client that goes away. The client asks again at once
when it is answered; see `pace`.

Of a gRPC server's threads, of which each held answer takes one, half stay free.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from flowerbed_inside.levers import announcing, calls, lever
from flowerbed_inside.levers.calls import Poll, Push, Topic
from flowerbed_inside.levers.news import News

SECONDS = 3.0
"""As long as a SuperNode and a Grid sleep between two polls; proxies wait longer than that for an answer."""

PART_OF_THE_THREADS = 0.5

SENDERS = ("flwr-public-key-bin", "flwr-public-key", "flwr-task-token", "flwr-app-token", "authorization")
"""Headers that tell those apart who bring messages. Nobody is trusted by them."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Server:
    """What all servers of this process know of each other's calls.

    Parameters
    ----------
    news : News
        What has come.
    seconds : float
        How long an answer is held; 0 for not at all.
    announce : bool
        Whether messages are news only once their objects are there.
    """

    def __init__(self, news: News, *, seconds: float, announce: bool) -> None:
        self.news = news
        self.seconds = seconds
        self._announcements = announcing.Announcements(news.bring) if announce else None

    @property
    def announces(self) -> bool:
        """Whether it matters how many objects a message has."""
        return self._announcements is not None

    def pushed(self, push: Push, topics: frozenset[Topic], sender: Any, objects: int, later: announcing.Later) -> None:
        """Take note of a call that has brought something."""
        now = topics
        if self._announcements is not None:
            now = frozenset(topic for topic in topics if topic == calls.REPLIES or topic == calls.TASKS)
            if push.is_object:
                self._announcements.came(sender)
            elif topics - now:
                self._announcements.stored(sender, topics - now, objects, later)
        if now:
            self.news.bring(now)


class HoldingApp:
    """An ASGI application around Flower's.

    Parameters
    ----------
    app : callable
        Flower's.
    server : Server
        What it shares with other servers.
    """

    def __init__(self, app: App, server: Server) -> None:
        self._app = app
        self._server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        call = calls.HTTP.get(scope["path"]) if scope["type"] == "http" else None
        if isinstance(call, Poll):
            await self._poll(call, scope, receive, send)
        elif isinstance(call, Push):
            await self._push(call, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _poll(self, poll: Poll, scope: Message, receive: Receive, send: Send) -> None:
        since = self._server.news.now()
        request = _Body()
        kept: list[Message] = []
        nothing = True

        async def keeping(message: Message) -> None:
            nonlocal nothing
            if message["type"] == "http.response.start" and message["status"] != 200:
                nothing = False
            nothing = nothing and not message.get("body") and not message.get("more_body")
            kept.append(message)
            if not nothing:
                await _send_all(kept, send)

        await self._app(scope, request.taken_from(receive) if poll.request else receive, keeping)
        if kept and self._server.seconds and (topic := poll.topic(request.read(poll.request))) is not None:
            await self._hold(topic, since)
        await _send_all(kept, send)

    async def _hold(self, topic: Topic, since: int) -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        if self._server.news.wait(topic, since, wake):
            try:
                await asyncio.wait_for(event.wait(), self._server.seconds)
            except TimeoutError:
                pass
            finally:
                self._server.news.leave(topic, wake)

    async def _push(self, push: Push, scope: Message, receive: Receive, send: Send) -> None:
        request, answer = _Body(), _Body()
        good = False

        async def noting(message: Message) -> None:
            nonlocal good
            if message["type"] == "http.response.start":
                good = message["status"] == 200
            elif push.answer:
                answer.take(message)
            await send(message)

        await self._app(scope, request.taken_from(receive) if push.request else receive, noting)
        if good:
            said = answer.read(push.answer) if self._server.announces else None
            objects = len(said.objects_to_push) if said is not None else 0
            later = asyncio.get_running_loop().call_later
            self._server.pushed(push, push.topics(request.read(push.request)), _sender_http(scope), objects, later)


class _Body:
    """The body of a request or an answer, taken while it passes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def take(self, message: Message) -> None:
        self._parts.append(message.get("body", b""))

    def taken_from(self, receive: Receive) -> Receive:
        async def receiving() -> Message:
            message = await receive()
            self.take(message)
            return message

        return receiving

    def read(self, name: str) -> Any:
        """Return the message that it is; None if nobody wants to know."""
        known = calls.message_class(name)
        return known.FromString(b"".join(self._parts)) if known is not None else None


async def _send_all(kept: list[Message], send: Send) -> None:
    while kept:
        await send(kept.pop(0))


def _sender_http(scope: Message) -> Any:
    headers = dict(scope["headers"])
    return next((headers[key.encode()] for key in SENDERS if key.encode() in headers), scope.get("client"))


class HoldingInterceptor:
    """Stands before the methods of a gRPC server, behind Flower's own interceptors.

    Parameters
    ----------
    server : Server
        What it shares with other servers.
    threads : int
        How many of the server's threads may be held.
    """

    def __init__(self, server: Server, threads: int) -> None:
        self._server = server
        self._free = threading.BoundedSemaphore(threads) if threads else None

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Return the handler of a call."""
        handler = continuation(details)
        call = calls.GRPC.get(details.method)
        if call is None or handler is None or handler.unary_unary is None:
            return handler
        flowers = handler.unary_unary
        behaviour = (
            functools.partial(self._poll, call, flowers)
            if isinstance(call, Poll)
            else functools.partial(self._push, call, flowers)
        )
        return import_module("grpc").unary_unary_rpc_method_handler(
            behaviour, handler.request_deserializer, handler.response_serializer
        )

    def _poll(self, poll: Poll, flowers: Callable[[Any, Any], Any], request: Any, context: Any) -> Any:
        since = self._server.news.now()
        answer = flowers(request, context)
        if self._server.seconds and not answer.ByteSize() and (topic := poll.topic(request)) is not None:
            self._hold(topic, since, context)
        return answer

    def _push(self, push: Push, flowers: Callable[[Any, Any], Any], request: Any, context: Any) -> Any:
        answer = flowers(request, context)
        objects = len(getattr(answer, "objects_to_push", ()))
        self._server.pushed(push, push.topics(request), _sender_grpc(context), objects, _later)
        return answer

    def _hold(self, topic: Topic, since: int, context: Any) -> None:
        if self._free is None or not self._free.acquire(blocking=False):
            return
        try:
            event = threading.Event()
            if context.add_callback(event.set) and self._server.news.wait(topic, since, event.set):
                event.wait(self._server.seconds)
                self._server.news.leave(topic, event.set)
        finally:
            self._free.release()


def _sender_grpc(context: Any) -> Any:
    metadata = dict(context.invocation_metadata() or ())
    return next((metadata[key] for key in SENDERS if key in metadata), context.peer())


def _later(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()


def serve(server: Server) -> None:
    """Have all servers that this process will start hold their answers."""
    _serve_grpc(server)
    try:
        for call in calls.HTTP.values():
            calls.message_class(call.request)
        uvicorn = import_module("uvicorn")
    except (ImportError, AttributeError):  # a release that speaks gRPC only
        return
    _serve_http(uvicorn, server)


def _serve_http(uvicorn: Any, server: Server) -> None:
    init, shutdown = uvicorn.Config.__init__, uvicorn.Server.shutdown

    def holding(config: Any, app: Any, *args: Any, **options: Any) -> None:
        init(config, HoldingApp(app, server) if callable(app) else app, *args, **options)

    async def closing(self: Any, *args: Any, **options: Any) -> None:
        server.news.close()
        await shutdown(self, *args, **options)

    uvicorn.Config.__init__ = holding
    uvicorn.Server.shutdown = closing


def _serve_grpc(server: Server) -> None:
    grpc: Any = import_module("grpc")
    start = grpc.server

    class Interceptor(HoldingInterceptor, grpc.ServerInterceptor):  # type: ignore[misc]
        """Ours, as grpc wants it."""

    def holding(thread_pool: Any, *args: Any, **options: Any) -> Any:
        threads = int(getattr(thread_pool, "_max_workers", 0) * PART_OF_THE_THREADS)
        options["interceptors"] = (*(options.get("interceptors") or ()), Interceptor(server, threads))
        started = start(thread_pool, *args, **options)
        stop = started.stop

        def stopping(*args: Any, **options: Any) -> Any:
            server.news.close()
            return stop(*args, **options)

        started.stop = stopping
        return started

    grpc.server = holding


def take(news: News) -> None:
    """Have the servers of this process hold their answers, and announce messages, if these levers are on."""
    serve(Server(news, seconds=SECONDS if lever.is_on("hold") else 0.0, announce=lever.is_on("announce")))
