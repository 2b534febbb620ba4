"""The control client: one warm process inside Flower's environment that speaks the release's Control API for us.

::

    ENV/bin/python -u client.py --dialect {grpc122|grpc|http} --address HOST:PORT [--root-certificates FILE]
                                [--client-certificate FILE --client-key FILE] [--database FILE] [--expire-nodes]

It reads a JSON object per line from standard input and writes one per line to standard output; it ends when
standard input does. It never dies of an error. A request is ``{"id": N, "op": …, …}``; its answer, in whatever
order answers are ready, ``{"id": N, "ok": true, "result": …}`` or
``{"id": N, "ok": false, "error": {"code": …, "message": …}}``. Run ids are text, times Unix seconds.

========= ======================== ==================================================================================
Op        Arguments                Result
========= ======================== ==================================================================================
hello                              ``flwr`` and ``python``, once Flower is imported
nodes                              ``id``, ``online`` and ``key`` (public, in PEM) of each registered SuperNode
admit     ``key``, ``replaces``    nothing; a SuperNode with that key may join, and none with the one that it replaces
admit-all ``keys``                ``gone``: those that were taken back once; SuperNodes with the others may join
dismiss   ``keys``                 ``dismissed``: those that could join; no SuperNode with any may join now, or stay
free                               ``freed``: how many keys of SuperNodes that are long gone can be used again (1.22)
submit    ``app``, ``config``      ``run``, ``fab_hash``, ``fab_id``, ``fab_version``, ``fab_files``, ``fab_size``
runs      ``run`` or ``newest``    ``run``, ``status``, ``sub``, ``details``, ``pending_at``, ``starting_at``, …, and
                                   ``app`` (``publisher/name==version``) and ``config``; of at least so many, or all
stop      ``run``                  ``stopped``
replies   ``run``                  ``counted``: for each SuperNode and kind of message ``node``, ``kind``, ``asked``,
                                   ``results``, ``failures`` and ``error`` (the first); None where nobody counted
follow    ``run``, ``after`` (0.0) nothing; log events from then on
unfollow  ``run``                  nothing; no more of them
========= ======================== ==================================================================================

Events come unasked. The first line of all is ``{"event": "started"}``: with ``--expire-nodes``, no SuperNode of the
SuperLink's database counts as online any more. ``{"event": "log", "run", "text", "at"}`` is a piece of a run's
log, which may begin or end within a line; a later `follow` with ``after`` set to its ``at`` goes on behind it.
``{"event": "log-end", "run", "state"}`` says that the run is finished, as in the answer to `runs`, and that all of its
log was sent (with ``error`` instead, as above, if the SuperLink does not know the run). A SuperLink that goes away and
comes back with its database is waited for, without a limit.

Error codes: ``unavailable`` (the SuperLink does not answer), ``not-found``, ``bad-config``, ``bad-app``,
``unsupported``, ``refused``, ``internal``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from flowerbed_inside.control import api, fab, replies

PRIVATE: dict[str, str] = {}
"""What is used of Flower that it does not promise to keep; here it is all in the two siblings."""

_RETRY = 0.25  # seconds between attempts to reach a SuperLink that went away, while a log is followed
_LAST_LOOK = (
    0.3  # seconds after the end of a run that did not complete until its log is read a last time: its ServerApp
)
# may live, and uploads every 0.2 s; one that completes has uploaded all before it says so


class RequestError(Exception):
    """A request cannot be served.

    Parameters
    ----------
    code, message : str
        As in the answer.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def as_dict(self) -> dict[str, str]:
        """Return the failure as the answer has it."""
        return {"code": self.code, "message": self.message}


def submit(control: api.Control, app: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Build the FAB of a folder and start a run of it; return what the answer to `submit` holds.

    Raises
    ------
    RequestError
        If the folder is no app, or the config is not one for it.
    api.ControlError
        If the SuperLink does not take it.
    """
    try:
        bundle = fab.build(app)
    except fab.AppError as problem:
        raise RequestError("bad-app", problem.message) from problem
    if (problem_in_config := fab.config_problem(config, bundle.config)) is not None:
        raise RequestError("bad-config", problem_in_config)
    return {
        "run": control.start_run(bundle.content, bundle.hash, config),
        "fab_hash": bundle.hash,
        "fab_id": bundle.id,
        "fab_version": bundle.version,
        "fab_files": bundle.files,
        "fab_size": len(bundle.content),
    }


class Outbox:
    """Standard output, one message per line, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Write a message; if nobody reads any more, end the process."""
        rest = memoryview(json.dumps(message, default=str).encode() + b"\n")
        try:
            with self._lock:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os._exit(0)


def take_standard_output() -> Outbox:
    """Keep standard output for messages: whatever Flower prints goes to standard error, and it is told to be quiet."""
    outbox = Outbox(os.dup(1))
    os.dup2(2, 1)
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    return outbox


class Follower(threading.Thread):
    """Sends a run's log, piece by piece, until the run is finished and its log is drained."""

    def __init__(self, control: api.Control, outbox: Outbox, run: str, after: float) -> None:
        super().__init__(name=f"follow {run}", daemon=True)
        self._control = control
        self._outbox = outbox
        self._run_id = run
        self._after = after
        self._stopping = threading.Event()
        self._cancel: Callable[[], None] | None = None

    def end(self) -> None:
        """Send nothing more; return when that is certain."""
        self._stopping.set()
        if self._cancel is not None:
            with contextlib.suppress(OSError):  # the stream had just ended by itself
                self._cancel()
        self.join(timeout=5)

    def run(self) -> None:
        """Follow, whatever happens to the SuperLink."""
        while not self._stopping.is_set():
            try:
                self._stream()
                if (state := self._ended()) is not None:
                    # A line may have arrived between the SuperLink's last look at the log and at the run's status.
                    if state["sub"] != "completed":
                        self._stopping.wait(_LAST_LOOK)
                    while self._stream() and not self._stopping.is_set():
                        pass
                    self._send({"event": "log-end", "state": state})
                    return
            except api.ControlError as failure:
                if failure.code == "not-found":
                    self._send({"event": "log-end", "error": {"code": failure.code, "message": failure.message}})
                    return
            except Exception:
                traceback.print_exc()
            self._stopping.wait(_RETRY)

    def _stream(self) -> bool:
        """Send what is new; return whether anything was."""
        found = False
        for text, at in self._control.logs(self._run_id, self._after, self._opened):
            if text:
                self._send({"event": "log", "text": text, "at": at})
                found = True
            self._after = max(self._after, at)
        return found

    def _ended(self) -> dict[str, Any] | None:
        """Return the run if it has ended."""
        return next((run for run in self._control.runs(self._run_id) if run["status"] == "finished"), None)

    def _opened(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        if self._stopping.is_set():
            cancel()

    def _send(self, message: dict[str, Any]) -> None:
        if not self._stopping.is_set():
            self._outbox.send({**message, "run": self._run_id})


class Client:
    """Serves requests, each on a thread of its own, once Flower is imported.

    Parameters
    ----------
    outbox : Outbox
        Where answers go.
    connect : callable
        Gives the Control API; imports Flower.
    counted : replies.Counted or None
        What the SuperLink counts of its runs; None if it has no database.
    """

    def __init__(
        self,
        outbox: Outbox,
        connect: Callable[[], api.Control],
        counted: replies.Counted | None = None,
    ) -> None:
        self._outbox = outbox
        self._counted = counted
        self._followers: dict[str, Follower] = {}
        self._following = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=8)
        self._control: Future[api.Control] = self._workers.submit(connect)
        self._control.add_done_callback(lambda _: self._workers.submit(fab.preload))
        self._ops: dict[str, Callable[[dict[str, Any]], Any]] = {
            "hello": self._hello,
            "nodes": lambda _: self._control.result().nodes(),
            "admit": self._admit,
            "admit-all": lambda request: {"gone": self._control.result().admit_all(list(request["keys"]))},
            "dismiss": lambda request: {"dismissed": self._control.result().dismiss(list(request["keys"]))},
            "free": lambda _: {"freed": self._control.result().free()},
            "submit": self._submit,
            "runs": self._runs,
            "stop": self._stop,
            "replies": lambda request: {"counted": self._counted.of(_run_id(request)) if self._counted else None},
            "follow": self._follow,
            "unfollow": self._unfollow,
        }

    def take(self, line: bytes) -> None:
        """Take a request; the answer comes when it is ready."""
        try:
            request = json.loads(line)
            number, op = request["id"], request["op"]
        except (ValueError, KeyError, TypeError) as error:
            self._outbox.send(
                {"id": None, "ok": False, "error": {"code": "internal", "message": f"no request: {error}"}}
            )
            return
        self._workers.submit(self._answer, number, op, request)

    def _answer(self, number: object, op: object, request: dict[str, Any]) -> None:
        try:
            serve = self._ops.get(str(op), self._unknown)
            self._outbox.send({"id": number, "ok": True, "result": serve(request)})
        except RequestError as failure:
            self._outbox.send({"id": number, "ok": False, "error": failure.as_dict()})
        except api.ControlError as failure:
            error = {"code": failure.code, "message": failure.message}
            self._outbox.send({"id": number, "ok": False, "error": error})
        except BaseException as error:
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
            self._outbox.send({"id": number, "ok": False, "error": {"code": "internal", "message": message}})

    def _unknown(self, request: dict[str, Any]) -> Any:
        raise RequestError("unsupported", f"there is no request {request['op']!r}")

    def _hello(self, _: dict[str, Any]) -> dict[str, str]:
        self._control.result()
        return {"flwr": metadata.version("flwr"), "python": platform.python_version()}

    def _admit(self, request: dict[str, Any]) -> dict[str, Any]:
        self._control.result().admit(str(request["key"]), request.get("replaces"))
        return {}

    def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        return submit(self._control.result(), Path(str(request["app"])), dict(request.get("config") or {}))

    def _runs(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        control = self._control.result()
        if request.get("run"):
            return control.runs(_run_id(request))
        return control.runs(newest=int(request["newest"])) if request.get("newest") else control.runs()

    def _stop(self, request: dict[str, Any]) -> dict[str, bool]:
        control, run = self._control.result(), _run_id(request)
        try:
            return {"stopped": control.stop(run)}
        except api.ControlError as failure:
            if failure.code == "refused" and any(found["status"] == "finished" for found in control.runs(run)):
                return {"stopped": False}
            raise

    def _follow(self, request: dict[str, Any]) -> dict[str, Any]:
        run = _run_id(request)
        follower = Follower(self._control.result(), self._outbox, run, float(request.get("after") or 0.0))
        with self._following:
            if run in self._followers:
                self._followers[run].end()
            self._followers[run] = follower
            follower.start()
        return {}

    def _unfollow(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._following:
            follower = self._followers.pop(_run_id(request), None)
        if follower is not None:
            follower.end()
        return {}


def own(certificate: Path | None, key: Path | None) -> api.Own | None:
    """Return what a client shows of itself, if it was given both."""
    return api.Own(certificate, key) if certificate is not None and key is not None else None


def _run_id(request: dict[str, Any]) -> str:
    run = str(request.get("run", ""))
    if not (run.isascii() and run.isdigit() and int(run) < 2**64):
        raise RequestError("not-found", f"{run!r} is not a run id")
    return run


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="Speaks Flower's Control API for Flowerbed.")
    parser.add_argument("--dialect", choices=["grpc122", "grpc", "http"], required=True)
    parser.add_argument("--address", required=True, metavar="HOST:PORT")
    parser.add_argument("--root-certificates", type=Path, metavar="FILE", help="speak TLS, and trust these authorities")
    parser.add_argument("--client-certificate", type=Path, metavar="FILE", help="show it, if one is asked for")
    parser.add_argument("--client-key", type=Path, metavar="FILE", help="its key")
    parser.add_argument("--database", type=Path)
    parser.add_argument("--expire-nodes", action="store_true", help="before the SuperLink starts: all are offline")
    arguments = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    outbox = take_standard_output()
    if arguments.expire_nodes and arguments.database is not None and arguments.database.exists():
        try:
            api.expire_nodes(arguments.database)
        except api.ControlError as failure:  # not yet, or no longer, a database
            print(failure.message, file=sys.stderr)
    outbox.send({"event": "started"})

    def connect() -> api.Control:
        import_module("flwr.common.serde")
        return api.connect(
            arguments.dialect,
            arguments.address,
            database=arguments.database,
            authority=arguments.root_certificates,
            own=own(arguments.client_certificate, arguments.client_key),
        )

    counted = None if arguments.database is None else replies.Counted(arguments.database)
    client = Client(outbox, connect, counted)
    for line in sys.stdin.buffer:
        if line.strip():
            client.take(line)
    os._exit(0)  # not waiting for streams that hang
