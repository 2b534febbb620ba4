"""Talking to the control client: the one process of ours that runs inside Flower's environment.

It has imported Flower once and stays warm, so that a request costs milliseconds instead of the second or two
that each `flwr` command takes. The protocol is described in `flowerbed_inside.control.client`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowerbed import processes
from flowerbed.errors import ControlError
from flowerbed.local.logs import complain

LINE_LIMIT = 16 * 2**20
"""Longest line in bytes; a ServerApp may log a whole model's metrics in one."""


class ClientError(ControlError):
    """The control client answered with an error.

    Parameters
    ----------
    code : str
        ``unavailable``, ``not-found``, ``bad-config``, ``bad-app``, ``unsupported``, ``refused`` or ``internal``.
    message : str
        What it says.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ControlClient:
    """A running control client.

    Parameters
    ----------
    argv, env
        How it is started.
    log : Path
        Where its standard error goes.
    on_event : callable
        Called with each event that no request asked for.
    """

    def __init__(
        self, argv: list[str], env: dict[str, str], *, log: Path, on_event: Callable[[dict[str, Any]], None]
    ) -> None:
        self._argv = argv
        self._env = env
        self._log = log
        self._on_event = on_event
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._requests: Any = None
        self._reading: asyncio.Task[None] | None = None
        self.pid: int | None = None

    async def start(self, *, superlink_is_down: bool = False) -> None:
        """Start it.

        With `superlink_is_down`, return when no SuperNode of an earlier life counts as online any more.
        """
        parent = os.getpid()
        with processes.opened(self._log) as errors:
            child = subprocess.Popen(
                [*self._argv, *(["--expire-nodes"] if superlink_is_down else [])],
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                preexec_fn=processes.death_sentence(parent),
            )
        child.returncode = 0  # reaped by the supervisor
        self.pid = child.pid
        assert child.stdin is not None  # noqa: S101
        assert child.stdout is not None  # noqa: S101
        self._requests = child.stdin
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), child.stdout)
        first = await reader.readline()
        self._take(first)
        self._reading = asyncio.create_task(self._read(reader))

    async def ask(self, op: str, *, timeout: float = 60.0, **arguments: object) -> Any:
        """Send a request and return its result.

        Raises
        ------
        ClientError
            With the code that the client gave, or ``unavailable`` if it is gone or took longer than
            `timeout` seconds.
        """
        if self._requests is None:
            raise ClientError("unavailable", "the control client is not running")
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        line = json.dumps({"id": number, "op": op, **arguments}) + "\n"
        try:
            self._requests.write(line.encode())
            self._requests.flush()
            return await asyncio.wait_for(future, timeout)
        except (OSError, ValueError) as error:
            raise ClientError("unavailable", "the control client is gone") from error
        except TimeoutError as error:
            raise ClientError("unavailable", f"no answer to {op!r} within {timeout:g} s") from error
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Let it end: it does when its standard input closes."""
        requests, self._requests = self._requests, None
        if requests is not None:
            with suppress(OSError):
                requests.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._take(line)
        self.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientError("unavailable", "the control client is gone"))

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:  # something in Flower printed; the client's own lines are all JSON
            return
        if message.get("event") == "started":
            return
        if "event" in message:
            try:
                self._on_event(message)
            except Exception:  # noqa: BLE001 - whatever it is, answers go on being read
                complain(traceback.format_exc())
        else:
            future = self._waiting.get(message["id"])
            if future is None or future.done():
                return
            if message["ok"]:
                future.set_result(message["result"])
            else:
                future.set_exception(ClientError(message["error"]["code"], message["error"]["message"]))
