"""The control client in a SuperLink's Pod: the same warm process as on the local runtime, spoken to by exec.

Its code is streamed in, so that it is always the one that this Flowerbed expects, also where the Pod was made by
another version or has no scripts of ours at all (``layout: Quickstart``). Nothing has to listen for it, and only
who may exec into the Pod can use it. The protocol is described in `flowerbed_inside.control.client`.

When the connection breaks (a restarted kubelet, a SuperLink's Pod that was deleted) it is opened anew to the Pod
that is there then, and logs are followed on from where they were.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flowerbed.errors import ClusterForbidden, ControlError, FlowerbedError
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.exec_stream import ExecStream
from flowerbed_inside import bundles

RETRY_SECONDS = 1.0

UNAVAILABLE = "unavailable"
"""What a `ControlError` says in place of where it was, if a SuperLink, or the way to it, does not answer."""

BOOTSTRAP = """
import json, sys
from importlib import abc, import_module, util
got = json.loads(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))
class Given(abc.MetaPathFinder, abc.Loader):
    def find_spec(self, name, path=None, target=None):
        for is_package, file in enumerate((".py", "/__init__.py")):
            if name.replace(".", "/") + file in got["files"]:
                return util.spec_from_loader(name, self, origin=name.replace(".", "/") + file, is_package=is_package)
    def exec_module(self, module):
        file = module.__spec__.origin
        exec(compile(got["files"][file], file, "exec"), module.__dict__)
sys.meta_path.insert(0, Given())
sys.argv = [got["program"], *got["arguments"]]
sys.exit(import_module(got["package"] + "." + got["program"]).main())
"""
"""Reads a program of ours from standard input, with all that it imports of ours, and becomes it."""


@dataclass(frozen=True)
class Place:
    """Where a control client runs: found anew for each connection, as Pods come and go.

    Parameters
    ----------
    namespace, pod, container : str
        The SuperLink's container.
    arguments : tuple of str
        The client's command line.
    """

    namespace: str
    pod: str
    container: str
    arguments: tuple[str, ...]


class ControlLink:
    """A control client that is kept running.

    Parameters
    ----------
    cluster : Cluster
        Where.
    find : callable
        Gives the SuperLink's place, or None while there is no running one.
    """

    def __init__(self, cluster: Cluster, find: Callable[[], Place | None]) -> None:
        self._cluster = cluster
        self._find = find
        self._stream: ExecStream | None = None
        self._changed = threading.Condition()
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._last_id = 0
        self._listeners: dict[str, tuple[Callable[[dict[str, Any]], None], Callable[[], float]]] = {}
        self._closing = threading.Event()
        self.trouble = ""
        self._forbidden = False
        self._thread = threading.Thread(target=self._keep, name="control client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._closing.set()
        stream = self._stream
        if stream is not None:
            stream.hang_up()

    def ask(self, op: str, *, timeout: float = 30.0, **arguments: object) -> Any:
        """Send a request and return its result; waits for a connection if there is none yet.

        Raises
        ------
        ControlError
            With the client's code as `where` if it refuses, `UNAVAILABLE` after `timeout` seconds, or at once if this
            user may not exec.
        """
        deadline = time.monotonic() + timeout
        stream = self._connected(deadline)
        with self._changed:
            self._last_id += 1
            number = self._last_id
            answers = self._answers[number] = queue.Queue()
        try:
            self._send(stream, {"id": number, "op": op, **arguments})
            answer = answers.get(timeout=max(0.1, deadline - time.monotonic()))
        except queue.Empty:
            raise ControlError(f"no answer to {op!r} within {timeout:g} s", where=UNAVAILABLE) from None
        finally:
            self._answers.pop(number, None)
        if not answer["ok"]:
            raise ControlError(str(answer["error"]["message"]), where=str(answer["error"]["code"]))
        return answer["result"]

    @staticmethod
    def _send(stream: ExecStream, request: dict[str, Any]) -> None:
        try:
            stream.write(json.dumps(request).encode() + b"\n")
        except Exception as error:  # in many ways; the thread that reads finds out by itself, and connects again
            raise ControlError(f"the connection broke off: {error!r}", where=UNAVAILABLE) from error

    def follow(self, run: str, on_event: Callable[[dict[str, Any]], None], after: Callable[[], float]) -> None:
        """Have a run's log sent to `on_event`, over reconnections too, from `after` on.

        Parameters
        ----------
        run : str
            Flower's id.
        on_event : callable
            Takes ``log`` and ``log-end`` events, on another thread.
        after : callable
            Gives the time of the last piece that was taken.
        """
        self._listeners[run] = (on_event, after)
        if self._stream is not None:
            self._ask_to_follow(run)

    def unfollow(self, run: str) -> None:
        """Send no more of a run's log."""
        self._listeners.pop(run, None)

    def _connected(self, deadline: float) -> ExecStream:
        with self._changed:
            while self._stream is None:
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.is_set() or self._forbidden:
                    why = self.trouble or "the SuperLink's Pod is not there"
                    raise ControlError(f"the SuperLink does not answer: {why}", where=UNAVAILABLE)
                self._changed.wait(min(left, 1.0))
            return self._stream

    def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                place = self._find()
                if place is not None:
                    self._serve(place)
            except ClusterForbidden as error:  # who may not exec waits for nothing
                self.trouble, self._forbidden = error.message, True
            except FlowerbedError as error:
                self.trouble = error.message
            except Exception as error:  # noqa: BLE001 - whatever the connection died of, it is opened again
                self.trouble = f"{type(error).__name__}: {error}"
            finally:
                self._lose()
            self._closing.wait(RETRY_SECONDS)

    def _serve(self, place: Place) -> None:
        command = ["python", "-u", "-c", BOOTSTRAP]
        with self._cluster.stream(place.pod, place.namespace, place.container, command) as stream:
            stream.write(program(bundles.CONTROL, place.arguments))
            for line in stream.lines():
                self._take(line, stream)
                if self._closing.is_set():
                    return
            self.trouble = stream.errors.decode(errors="replace").strip()[-500:] or f"it ended with {stream.exit_code}"

    def _take(self, line: bytes, stream: ExecStream) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        if message.get("event") == "started":
            with self._changed:
                self._stream, self.trouble, self._forbidden = stream, "", False
                self._changed.notify_all()
            for run in list(self._listeners):
                self._ask_to_follow(run)
        elif "event" in message:
            listener = self._listeners.get(str(message.get("run")))
            if listener is not None:
                listener[0](message)
        elif (waiting := self._answers.get(message.get("id"))) is not None:
            waiting.put(message)

    def _ask_to_follow(self, run: str) -> None:
        listener, stream = self._listeners.get(run), self._stream
        if listener is None or stream is None:
            return
        request = {"id": 0, "op": "follow", "run": run, "after": listener[1]()}
        with suppress(ControlError):  # the next connection asks for it again
            self._send(stream, request)

    def _lose(self) -> None:
        with self._changed:
            self._stream = None
            waiting, self._answers = self._answers, {}
        for answers in waiting.values():
            message = f"the connection to the SuperLink's Pod broke off: {self.trouble}"
            answers.put({"ok": False, "error": {"code": "unavailable", "message": message}})


def program(module: str, arguments: Sequence[str]) -> bytes:
    """Return what `BOOTSTRAP` reads: its length in a line, and a program of ours, its files and arguments as JSON."""
    body = {
        "package": bundles.NAME,
        "program": module,
        "files": {name: path.read_text(encoding="utf-8") for name, path in bundles.bundle(module).items()},
        "arguments": list(arguments),
    }
    data = json.dumps(body).encode()
    return str(len(data)).encode() + b"\n" + data
