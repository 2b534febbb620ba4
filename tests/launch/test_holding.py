"""A server holds the answer that there is nothing until there is something, and no other answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from flowerbed_inside.levers.calls import FLEET, GRID, REPLIES, TASKS, Poll, Push
from flowerbed_inside.levers.holding import HoldingApp, HoldingInterceptor, Message, Receive, Send, Server
from flowerbed_inside.levers.news import News

LONG = 60.0
"""How long answers are held; a test that takes so long has failed."""
POLL, PUSH, OTHER = "/v1/runtime/acquire-task", "/v1/control/start-run", "/v1/runtime/get-nodes"


@dataclass
class Served:
    """An application that gives one answer to all, and what its clients were sent."""

    status: int = 200
    body: bytes = b""
    during: Callable[[], None] = lambda: None
    server: Server = field(default_factory=lambda: Server(News(), seconds=LONG, announce=True))
    sent: list[Any] = field(default_factory=list)

    async def app(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        self.during()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.body})

    async def ask(self, path: str) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(message: Message) -> None:
            self.sent.append(message.get("status", message.get("body")))

        scope: Message = {"type": "http", "path": path, "headers": [], "client": ("127.0.0.1", 1)}
        await HoldingApp(self.app, self.server)(scope, receive, send)

    async def is_held(self, path: str) -> asyncio.Task[None] | None:
        """Ask, and return the task if it is not answered until all else has been done."""
        task = asyncio.create_task(self.ask(path))
        for _ in range(20):
            await asyncio.sleep(0)
        if task.done():
            await task
            return None
        assert self.sent == []
        return task


def test_an_empty_answer_is_held_until_there_is_news() -> None:
    async def scenario() -> None:
        served = Served()
        held = await served.is_held(POLL)
        assert held is not None
        served.server.news.bring([REPLIES])
        await asyncio.sleep(0)
        assert not held.done()
        await served.is_held(PUSH)
        await held

    asyncio.run(scenario())


def test_all_that_is_held_is_answered_when_the_server_ends() -> None:
    async def scenario() -> None:
        served = Served()
        held = await served.is_held(POLL)
        assert held is not None
        threading.Thread(target=served.server.news.close).start()
        await held
        assert await served.is_held(POLL) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(("status", "body", "path"), [(200, b"a task", POLL), (401, b"", POLL), (200, b"", OTHER)])
def test_no_other_answer_is_held(status: int, body: bytes, path: str) -> None:
    async def scenario() -> None:
        served = Served(status, body)
        assert await served.is_held(path) is None
        assert served.sent == [status, body]

    asyncio.run(scenario())


def test_nobody_is_held_while_the_lever_is_off() -> None:
    async def scenario() -> None:
        assert await Served(server=Server(News(), seconds=0.0, announce=True)).is_held(POLL) is None

    asyncio.run(scenario())


def test_nobody_is_held_for_what_came_while_he_was_answered() -> None:
    async def scenario() -> None:
        news = News()
        served = Served(during=lambda: news.bring([TASKS]), server=Server(news, seconds=LONG, announce=True))
        assert await served.is_held(POLL) is None

    asyncio.run(scenario())


def test_what_was_refused_is_no_news() -> None:
    async def scenario() -> None:
        served = Served()
        held = await served.is_held(POLL)
        assert held is not None
        served.status = 401
        await served.ask(PUSH)
        assert served.sent == [401, b""]
        assert not held.done()
        served.server.news.close()
        await held

    asyncio.run(scenario())


def test_a_topic_is_what_a_client_can_be_given() -> None:
    node, message = SimpleNamespace(node_id=7), SimpleNamespace(metadata=SimpleNamespace(dst_node_id=7))
    asked = Poll(FLEET).topic(SimpleNamespace(node=node))
    brought = Push((FLEET,)).topics(SimpleNamespace(messages_list=[message]))
    assert brought == {asked}
    assert Poll(GRID).topic(SimpleNamespace(message_ids=["one"])) in Push((GRID,)).topics(None)
    assert Poll(GRID).topic(SimpleNamespace(message_ids=[])) is None


class Context:
    """A call of gRPC that nobody cancels."""

    def add_callback(self, _: Callable[[], None]) -> bool:
        return True


def test_half_of_the_threads_of_a_grpc_server_stay_free() -> None:
    news = News()
    interceptor = HoldingInterceptor(Server(news, seconds=LONG, announce=True), threads=2)
    poll = Poll(FLEET)
    request = SimpleNamespace(node=SimpleNamespace(node_id=7))
    nothing = SimpleNamespace(ByteSize=lambda: 0)
    answered = threading.Semaphore(0)

    def ask() -> None:
        interceptor._poll(poll, lambda *_: nothing, request, Context())
        answered.release()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(3):  # the others are held
        assert answered.acquire(timeout=LONG / 2)
    assert sum(thread.is_alive() for thread in threads) >= 2
    news.close()
    for thread in threads:
        thread.join(LONG / 2)
    assert not any(thread.is_alive() for thread in threads)
