"""Flower's Control API in its dialects, behind one small interface.

======== ============ =============================================================================
Dialect  Releases     How it is spoken
======== ============ =============================================================================
grpc122  1.22         gRPC; SuperNodes are not listed, so they are read from the SuperLink's database
grpc     1.23 to 1.36 gRPC
http     from 1.37    protobuf in HTTP POSTs; a stream is a 4-byte big-endian length before each message
======== ============ =============================================================================

HTTP is spoken with the standard library: a connection per call, closed at once, because an idle one keeps a
SuperLink from ending; and no proxy, whatever the environment says, because the SuperLink is ours.
"""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

PRIVATE = {
    "flwr.proto.control_pb2:StartRunRequest": ">=1.22",
    "flwr.proto.control_pb2:StopRunRequest": ">=1.22",
    "flwr.proto.control_pb2:StreamLogsRequest": ">=1.22",
    "flwr.proto.control_pb2:ListRunsRequest": ">=1.22",
    "flwr.proto.control_pb2:ListNodesRequest": ">=1.23",
    "flwr.proto.control_pb2_grpc:ControlStub": ">=1.22,<1.37",
    "flwr.common.serde:user_config_to_proto": ">=1.22",
    "flwr.supercore.constant:NOOP_FEDERATION": ">=1.24,<1.28",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

HTTP_PATHS = {
    "StartRun": "/v1/control/start-run",
    "StopRun": "/v1/control/stop-run",
    "StreamLogs": "/v1/control/stream-logs",
    "ListRuns": "/v1/control/list-runs",
    "ListNodes": "/v1/control/list-nodes",
}
"""Where each method is, from 1.37; ``flwr.supercore.control.control_http_client`` names them too."""

PATIENCE = 15.0
"""Seconds that a SuperLink may take to answer; it may be busy, it is never far."""

STREAM_SECONDS = 3.0
"""How long a stream over HTTP is kept: a SuperLink that is told to end waits for every open one."""

_MOST_RUNS = 1000  # releases that limit a listing default to 20
_GRPC_CODES = {
    "UNAVAILABLE": "unavailable",
    "DEADLINE_EXCEEDED": "unavailable",
    "CANCELLED": "unavailable",
    "NOT_FOUND": "not-found",
    "UNIMPLEMENTED": "unsupported",
    "FAILED_PRECONDITION": "refused",
    "INVALID_ARGUMENT": "refused",
    "ALREADY_EXISTS": "refused",
    "RESOURCE_EXHAUSTED": "refused",
    "PERMISSION_DENIED": "refused",
    "UNAUTHENTICATED": "refused",
}
_HTTP_CODES = {404: "not-found", 501: "unsupported", 502: "unavailable", 503: "unavailable", 504: "unavailable"}


class ControlError(Exception):
    """The SuperLink did not answer, or refused.

    Parameters
    ----------
    code : str
        ``unavailable``, ``not-found``, ``unsupported``, ``refused`` or ``internal``.
    message : str
        What it said.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Wire(Protocol):
    """One way to bring a request to the SuperLink and an answer back."""

    def call(self, method: str, request: Any) -> Any:
        """Return the answer to one request."""

    def stream(self, method: str, request: Any, opened: Callable[[Callable[[], None]], None]) -> Iterator[Any]:
        """Yield answers until there are no more, or for a while; `opened` is given what ends it from another thread."""


class Control:
    """The Control API, as far as it is needed.

    Parameters
    ----------
    wire : Wire
        How requests travel.
    database : Path or None
        The SuperLink's database, for a release that cannot list its SuperNodes.
    """

    def __init__(self, wire: Wire, *, database: Path | None = None) -> None:
        self._wire = wire
        self._database = database
        self._proto = import_module("flwr.proto.control_pb2")

    def nodes(self) -> list[dict[str, Any]]:
        """Return the SuperNodes that are registered, and whether each is online."""
        if not hasattr(self._proto, "ListNodesRequest"):
            if self._database is None:
                raise ControlError("unsupported", "this release cannot list SuperNodes, and no database was named")
            self._check_alive()  # the database outlives the SuperLink
            return [{"id": node, "online": online} for node, online in nodes_in_database(self._database)]
        answer = self._wire.call("ListNodes", self._proto.ListNodesRequest())
        return [
            {"id": str(node.node_id), "online": node.status == "online"}
            for node in answer.nodes_info
            if node.status != "unregistered"
        ]

    def start_run(self, content: bytes, sha256: str, config: dict[str, Any]) -> str:
        """Start a run of a FAB; return its id."""
        request = self._proto.StartRunRequest(
            override_config=import_module("flwr.common.serde").user_config_to_proto(config)
        )
        request.fab.hash_str = sha256
        request.fab.content = content
        if {"federation", "federation_options"} <= {*request.DESCRIPTOR.fields_by_name}:  # 1.24 to 1.27
            # The one federation of a SuperLink without accounts; releases before have none, later ones know.
            request.federation = import_module("flwr.supercore.constant").NOOP_FEDERATION
        answer = self._wire.call("StartRun", request)
        if not answer.HasField("run_id"):
            raise ControlError("refused", "the SuperLink started no run; its log says why")
        return str(answer.run_id)

    def runs(self, run: str | None = None) -> list[dict[str, Any]]:
        """Return what the SuperLink knows of one run, or of all (the newest thousand), oldest first."""
        request = self._proto.ListRunsRequest()
        if run is not None:
            request.run_id = int(run)
        elif "limit" in request.DESCRIPTOR.fields_by_name:
            request.limit = _MOST_RUNS
        answer = self._wire.call("ListRuns", request)
        return sorted((_run(found) for found in answer.run_dict.values()), key=lambda found: found["pending_at"] or 0.0)

    def stop(self, run: str) -> bool:
        """Stop a run; return False if the SuperLink could not."""
        return bool(self._wire.call("StopRun", self._proto.StopRunRequest(run_id=int(run))).success)

    def _check_alive(self) -> None:
        try:
            self._wire.call("ListRuns", self._proto.ListRunsRequest(run_id=0))
        except ControlError as failure:
            if failure.code != "not-found":  # which is an answer
                raise

    def logs(self, run: str, after: float, opened: Callable[[Callable[[], None]], None]) -> Iterator[tuple[str, float]]:
        """Yield pieces of a run's log that are newer than `after`, each with the time from which to go on.

        A piece may begin or end within a line. The stream ends when the run has finished, or sooner.
        """
        request = self._proto.StreamLogsRequest(run_id=int(run), after_timestamp=after)
        for answer in self._wire.stream("StreamLogs", request, opened):
            yield answer.log_output, answer.latest_timestamp


def connect(dialect: str, address: str, *, database: Path | None = None) -> Control:
    """Return the Control API at an address; nothing is sent yet."""
    wire: Wire = HttpWire(address) if dialect == "http" else GrpcWire(address)
    return Control(wire, database=database)


class GrpcWire:
    """gRPC without TLS, over one channel that comes back quickly after a SuperLink was restarted."""

    def __init__(self, address: str) -> None:
        self._grpc = import_module("grpc")
        channel = self._grpc.insecure_channel(
            address,
            options=[
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),  # stock: two minutes
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", -1),  # stock: 4 MB, which a log that is read late may exceed
            ],
        )
        self._stub = import_module("flwr.proto.control_pb2_grpc").ControlStub(channel)

    def call(self, method: str, request: Any) -> Any:
        """Return the answer to one request."""
        try:
            return getattr(self._stub, method)(request, timeout=PATIENCE)
        except self._grpc.RpcError as error:
            raise self._failed(error) from error

    def stream(self, method: str, request: Any, opened: Callable[[Callable[[], None]], None]) -> Iterator[Any]:
        """Yield the answers to one request."""
        try:
            answers = getattr(self._stub, method)(request)
            opened(answers.cancel)
            yield from answers
        except self._grpc.RpcError as error:
            raise self._failed(error) from error

    @staticmethod
    def _failed(error: Any) -> ControlError:
        return ControlError(_GRPC_CODES.get(error.code().name, "internal"), _plain(error.details() or str(error)))


class HttpWire:
    """Protobuf in HTTP POSTs, without TLS."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host = host.strip("[]")
        self._port = int(port)
        self._proto = import_module("flwr.proto.control_pb2")

    def call(self, method: str, request: Any) -> Any:
        """Return the answer to one request."""
        connection = self._connection()
        try:
            answer = self._post(connection, method, request, "application/protobuf")
            return getattr(self._proto, f"{method}Response").FromString(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise ControlError("unavailable", f"the SuperLink does not answer: {error}") from error
        finally:
            connection.close()

    def stream(self, method: str, request: Any, opened: Callable[[Callable[[], None]], None]) -> Iterator[Any]:
        """Yield the answers to one request."""
        until = time.monotonic() + STREAM_SECONDS
        connection = self._connection()
        kind = getattr(self._proto, f"{method}Response")
        try:
            connection.connect()
            wire = connection.sock  # http.client forgets it once it has read that the connection will close
            opened(lambda: wire.shutdown(socket.SHUT_RDWR))
            answer = self._post(connection, method, request, "application/flower-protobuf-stream")
            while (left := until - time.monotonic()) > 0:
                wire.settimeout(left)
                if not (header := answer.read(4)):
                    return
                size = int.from_bytes(header, "big")
                message = answer.read(size)
                if len(header) < 4 or len(message) < size:
                    raise ControlError("unavailable", "the SuperLink went away within a message")
                yield kind.FromString(message)
        except TimeoutError:  # nothing new, or a message cut in two, which comes again
            return
        except (OSError, http.client.HTTPException) as error:
            raise ControlError("unavailable", f"the SuperLink does not answer: {error}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)

    @staticmethod
    def _post(
        connection: http.client.HTTPConnection, method: str, request: Any, accept: str
    ) -> http.client.HTTPResponse:
        connection.request(
            "POST",
            HTTP_PATHS[method],
            body=request.SerializeToString(),
            headers={
                "Content-Type": "application/protobuf",
                "Accept": accept,
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
        )
        answer = connection.getresponse()
        if answer.status >= 400:
            text = answer.read(64 * 1024).decode("utf-8", "replace")
            code = _HTTP_CODES.get(answer.status, "internal" if answer.status >= 500 else "refused")
            raise ControlError(code, _plain(text) or f"HTTP {answer.status} {answer.reason}")
        return answer


def nodes_in_database(database: Path) -> list[tuple[str, bool]]:
    """Return id and online of each SuperNode that a SuperLink's database holds as registered.

    Raises
    ------
    ControlError
        If the database cannot be read.
    """
    try:
        connection = sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro", uri=True, timeout=5)
        try:
            columns = {row[1] for row in connection.execute("PRAGMA table_info(node)")}
            living = "WHERE unregistered_at IS NULL" if "unregistered_at" in columns else ""
            rows = connection.execute(f"SELECT node_id, online_until FROM node {living}").fetchall()  # noqa: S608
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ControlError("unavailable", f"the SuperLink's database cannot be read: {error}") from error
    now = time.time()
    # SQLite has no uint64: ids above 2**63 are stored as negative numbers.
    return [(str(node % 2**64), online_until is not None and online_until > now) for node, online_until in rows]


def expire_nodes(database: Path) -> int:
    """Have the SuperNodes in a SuperLink's database count as offline; return how many it holds.

    Only for a SuperLink that does not run. SuperNodes that were killed with it stay "online" in its database until
    their heartbeat is overdue (up to 60 s), and a run of that minute would ask them and wait in vain.

    Raises
    ------
    ControlError
        If the database cannot be written.
    """
    try:
        connection = sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=rw", uri=True, timeout=5)
        try:
            with connection:
                past = time.time() - 1.0
                return connection.execute("UPDATE node SET online_until = ?", (past,)).rowcount
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise ControlError("unavailable", f"the SuperLink's database cannot be written: {error}") from error


def _run(run: Any) -> dict[str, Any]:
    return {
        "run": str(run.run_id),
        "status": run.status.status,
        "sub": run.status.sub_status,
        "details": run.status.details,
        **{
            moment: _seconds(getattr(run, moment))
            for moment in ("pending_at", "starting_at", "running_at", "finished_at")
        },
    }


def _seconds(text: str) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _plain(text: str) -> str:
    """Return the sentence in an error: newer releases wrap it in JSON."""
    try:
        error = json.loads(text)
    except ValueError:
        return text.strip()
    if not isinstance(error, dict):
        return text.strip()
    parts = [error.get("public_message") or error.get("detail"), error.get("public_details") or error.get("extra")]
    return " ".join(str(part) for part in parts if part) or text.strip()
