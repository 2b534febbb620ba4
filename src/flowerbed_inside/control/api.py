"""Flower's Control API in its dialects, behind one small interface.

======== ============ =============================================================================
Dialect  Releases     How it is spoken
======== ============ =============================================================================
grpc122  1.22         gRPC; SuperNodes are not listed, so they are read from the SuperLink's database
grpc     1.23 to 1.36 gRPC
http     from 1.37    protobuf in HTTP POSTs; a stream is a 4-byte big-endian length before each message
======== ============ =============================================================================

With a certificate authority to trust, either is spoken over TLS, and the SuperLink's certificate has to be for the name
in its address. A certificate of one's own is for a proxy before the SuperLink that asks for it.

HTTP is spoken with the standard library: a connection per call, closed at once, because an idle one keeps a
SuperLink from ending; and no proxy, whatever the environment says, because the SuperLink is ours.
"""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    "flwr.proto.control_pb2:RegisterNodeRequest": ">=1.23",
    "flwr.proto.control_pb2:UnregisterNodeRequest": ">=1.23",
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
    "RegisterNode": "/v1/control/register-node",
    "UnregisterNode": "/v1/control/unregister-node",
}
"""Where each method is, from 1.37; ``flwr.supercore.control.control_http_client`` names them too."""

PATIENCE = 15.0
"""Seconds that a SuperLink may take to answer; it may be busy, it is never far."""

STREAM_SECONDS = 3.0
"""How long a stream over HTTP is kept: a SuperLink that is told to end waits for every open one."""

FREE_AFTER_SECONDS = 60.0
"""How long a SuperNode of 1.22 may count as offline until its key is free for the next; its heartbeat is every 30 s."""

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
        """Return the SuperNodes that are registered: ``id``, ``online``, and the public ``key`` in PEM."""
        if not self._registers:
            self._check_alive()  # the database outlives the SuperLink
            return nodes_in_database(self._own_database)
        answer = self._wire.call("ListNodes", self._proto.ListNodesRequest())
        return [
            {
                "id": str(node.node_id),
                "online": node.status == "online",
                "key": node.public_key.decode("ascii", "replace"),
            }
            for node in answer.nodes_info
            if node.status != "unregistered"
        ]

    def admit(self, key: str, replaces: str | None) -> None:
        """Let a SuperNode with a public key join from now on, and none with the key that it replaces.

        A key that a SuperNode was killed with is free for the next one on 1.22. Later releases take it back once its
        heartbeat is overdue, as the same node, and then wait for the replies that the killed one owed: hence a fresh
        key each time.
        """
        if not self._registers:
            self._check_alive()
            admit_in_database(self._own_database, key)
            return
        known = {node["key"]: node["id"] for node in self.nodes()}
        if replaces is not None and replaces != key and replaces in known:
            self._unregister(known[replaces])
        if key not in known:
            self._wire.call("RegisterNode", self._proto.RegisterNodeRequest(public_key=key.encode()))

    def admit_all(self, keys: list[str]) -> list[str]:
        """Let SuperNodes with these public keys join from now on; return those that were taken back once."""
        if not self._registers:
            self._check_alive()
            for key in keys:
                list_in_database(self._own_database, key)
            return []
        known = {node["key"] for node in self.nodes()}
        gone = []
        for key in keys:
            if key in known:
                continue
            try:
                self._wire.call("RegisterNode", self._proto.RegisterNodeRequest(public_key=key.encode()))
            except ControlError as failure:
                if failure.code != "refused":
                    raise
                gone.append(key)
        return gone

    def dismiss(self, keys: list[str]) -> list[str]:
        """Let no SuperNode with one of these public keys in from now on; return those that could get in."""
        if not self._registers:
            self._check_alive()
            return [key for key in keys if dismiss_in_database(self._own_database, key)]
        known = {node["key"]: node["id"] for node in self.nodes()}
        found = [key for key in keys if key in known]
        for key in found:
            try:
                self._unregister(known[key])
            except ControlError:
                if any(node["key"] == key for node in self.nodes()):  # else somebody else was faster
                    raise
        return found

    def free(self) -> int:
        """Free the keys of SuperNodes that went away long ago without a word; return how many.

        Later releases than 1.22 do so themselves, for the same node.
        """
        return 0 if self._registers else free_keys_in_database(self._own_database)

    def _unregister(self, node: str) -> None:
        self._wire.call("UnregisterNode", self._proto.UnregisterNodeRequest(node_id=int(node)))

    @property
    def _registers(self) -> bool:
        """Whether SuperNodes can be listed, registered and unregistered."""
        return hasattr(self._proto, "ListNodesRequest")

    @property
    def _own_database(self) -> Path:
        if self._database is None:
            raise ControlError("unsupported", "this release cannot list SuperNodes, and no database was named")
        return self._database

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

    def runs(self, run: str | None = None, newest: int = _MOST_RUNS) -> list[dict[str, Any]]:
        """Return what the SuperLink knows of one run, or of the newest, oldest first.

        Releases before 1.27 know no limit and give all. From 1.33 on each finished run that is listed is tidied up
        after, each time, which is a write in the SuperLink's database: ask for few.
        """
        request = self._proto.ListRunsRequest()
        if run is not None:
            request.run_id = int(run)
        elif "limit" in request.DESCRIPTOR.fields_by_name:
            request.limit = min(newest, _MOST_RUNS)
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


@dataclass(frozen=True)
class Own:
    """What a client shows of itself to whoever stands before a SuperLink; Flower's own asks for nothing.

    Parameters
    ----------
    certificate, key : Path
        Its certificate and private key, in PEM.
    """

    certificate: Path
    key: Path


def connect(
    dialect: str,
    address: str,
    *,
    database: Path | None = None,
    authority: Path | None = None,
    own: Own | None = None,
) -> Control:
    """Return the Control API at an address, over TLS if there is an authority to trust; nothing is sent yet."""
    wire: Wire = HttpWire(address, authority, own) if dialect == "http" else GrpcWire(address, authority, own)
    return Control(wire, database=database)


class GrpcWire:
    """gRPC, over one channel that comes back quickly after a SuperLink was restarted."""

    def __init__(self, address: str, authority: Path | None, own: Own | None = None) -> None:
        self._grpc = import_module("grpc")
        options = [
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),  # stock: two minutes
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", -1),  # stock: 4 MB, which a log that is read late may exceed
        ]
        if authority is None:
            channel = self._grpc.insecure_channel(address, options=options)
        else:
            mine = (own.key.read_bytes(), own.certificate.read_bytes()) if own is not None else ()
            trusted = self._grpc.ssl_channel_credentials(authority.read_bytes(), *mine)
            channel = self._grpc.secure_channel(address, trusted, options=options)
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
    """Protobuf in HTTP POSTs."""

    def __init__(self, address: str, authority: Path | None, own: Own | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._host = host.strip("[]")
        self._port = int(port)
        self._trusted = ssl.create_default_context(cafile=authority) if authority is not None else None
        if self._trusted is not None and own is not None:
            self._trusted.load_cert_chain(own.certificate, own.key)
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
        if self._trusted is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
        return http.client.HTTPSConnection(self._host, self._port, timeout=PATIENCE, context=self._trusted)

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


def nodes_in_database(database: Path) -> list[dict[str, Any]]:
    """Return each SuperNode that a SuperLink's database holds as registered, as `Control.nodes` does.

    Raises
    ------
    ControlError
        If the database cannot be read.
    """
    with _opened(database, "ro") as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(node)")}
        living = "WHERE unregistered_at IS NULL" if "unregistered_at" in columns else ""
        rows = connection.execute(f"SELECT node_id, online_until, public_key FROM node {living}").fetchall()  # noqa: S608
    now = time.time()
    return [
        {
            "id": str(node % 2**64),  # SQLite has no uint64: ids above 2**63 are stored as negative numbers
            "online": online_until is not None and online_until > now,
            "key": _key(key or b""),
        }
        for node, online_until, key in rows
    ]


def admit_in_database(database: Path, key: str) -> None:
    """Have a SuperLink of 1.22 let in a SuperNode with a public key, also if one was killed with it.

    It reads its list of keys from its database each time, and fills that from a file only when it starts. A SuperNode
    that was killed keeps its key in use for good there; this is what it would have had the SuperLink do at its end.

    Raises
    ------
    ControlError
        If the database cannot be written.
    """
    with _opened(database, "rw") as connection:
        connection.execute("DELETE FROM node WHERE public_key = ?", (key.encode(),))
        connection.execute("INSERT OR IGNORE INTO public_key (public_key) VALUES (?)", (key.encode(),))


def list_in_database(database: Path, key: str) -> None:
    """Have a SuperLink of 1.22 let in a SuperNode with a public key; one that is in stays in.

    Raises
    ------
    ControlError
        If the database cannot be written.
    """
    with _opened(database, "rw") as connection:
        connection.execute("INSERT OR IGNORE INTO public_key (public_key) VALUES (?)", (key.encode(),))


def free_keys_in_database(database: Path) -> int:
    """Have a SuperLink of 1.22 forget SuperNodes that went away long ago without a word; return how many.

    Their keys would be in use for good otherwise.

    Raises
    ------
    ControlError
        If the database cannot be written.
    """
    with _opened(database, "rw") as connection:
        gone = (time.time() - FREE_AFTER_SECONDS,)
        return connection.execute("DELETE FROM node WHERE online_until < ?", gone).rowcount


def dismiss_in_database(database: Path, key: str) -> bool:
    """Have a SuperLink of 1.22 let in no SuperNode with a public key; return whether it would have.

    Raises
    ------
    ControlError
        If the database cannot be written.
    """
    with _opened(database, "rw") as connection:
        connection.execute("DELETE FROM node WHERE public_key = ?", (key.encode(),))
        return connection.execute("DELETE FROM public_key WHERE public_key = ?", (key.encode(),)).rowcount > 0


def expire_nodes(database: Path) -> int:
    """Have the SuperNodes in a SuperLink's database count as offline; return how many it holds.

    Only for a SuperLink that does not run. SuperNodes that were killed with it stay "online" in its database until
    their heartbeat is overdue (up to 60 s), and a run of that minute would ask them and wait in vain.

    Raises
    ------
    ControlError
        If the database cannot be written.
    """
    with _opened(database, "rw") as connection:
        return connection.execute("UPDATE node SET online_until = ?", (time.time() - 1.0,)).rowcount


@contextmanager
def _opened(database: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a database for one transaction."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode={mode}", uri=True, timeout=5)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        doing = "read" if mode == "ro" else "written"
        raise ControlError("unavailable", f"the SuperLink's database cannot be {doing}: {error}") from error


def _key(content: bytes) -> str:
    return content.decode("ascii", "replace")


def _run(run: Any) -> dict[str, Any]:
    return {
        "run": str(run.run_id),
        "status": run.status.status,
        "sub": run.status.sub_status,
        "details": run.status.details,
        "app": f"{run.fab_id}=={run.fab_version}" if run.fab_id else "",
        "config": {key: getattr(value, value.WhichOneof("scalar")) for key, value in run.override_config.items()},
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
