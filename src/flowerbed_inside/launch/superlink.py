"""What the launcher does for the release's own `flower-superlink`: it counts what SuperNodes reply.

The rest is what it does for every program; see `launcher`.

It runs in Flower's environment: standard library and flwr only.
"""

import functools
import json
import sqlite3
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from flowerbed_inside.control.replies import REPLIES
from flowerbed_inside.levers.following import link_state

PRIVATE = {
    "flwr.server.superlink.linkstate.sqlite_linkstate:SqliteLinkState.create_run": ">=1.22,<1.26",
    "flwr.server.superlink.linkstate.sqlite_linkstate:SqliteLinkState.store_message_ins": ">=1.22,<1.26",
    "flwr.server.superlink.linkstate.sqlite_linkstate:SqliteLinkState.store_message_res": ">=1.22,<1.26",
    "flwr.server.superlink.linkstate.sqlite_linkstate:SqliteLinkState.get_message_res": ">=1.22,<1.26",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.create_run": ">=1.26",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.store_message_ins": ">=1.26",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.store_message_res": ">=1.26",
    "flwr.server.superlink.linkstate.sql_linkstate:SqlLinkState.get_message_res": ">=1.26",
    "flwr.supercore.sql_mixin:SQLITE_PRAGMAS": ">=1.26",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases.

Without the methods nothing is counted, and a run is judged by its log alone. Without the last, writers wait 5 s."""

SQLITE_SECONDS = 25.0
"""Less than the 30 s that Flower's HTTP clients wait for an answer."""
RUNS_KEPT = 500
ERROR_CHARACTERS = 300


def wait_longer_for_sqlite() -> None:
    """Have every later connection to an SQLite database wait longer for its turn to write.

    The default is 5 s. When sixteen SuperNodes push their replies at once on two cores, some writers of the SuperLink
    wait longer than that; it then answers 500, and the SuperNode drops the reply (seen on 1.41). Up to 1.25 Flower
    leaves it at SQLite's default; later releases set it on each connection, so what they set is changed.
    """
    try:
        module: Any = import_module("flwr.supercore.sql_mixin")
    except ImportError:  # before 1.26
        _connect_patiently()
        return
    busy = ("busy_timeout", str(round(1000 * SQLITE_SECONDS)))
    try:
        others = tuple(pragma for pragma in module.SQLITE_PRAGMAS if pragma[0] != busy[0])
        module.SQLITE_PRAGMAS = (busy, *others)  # first, as Flower has it: the others may have to wait too
    except (AttributeError, TypeError, IndexError) as error:
        print(f"flowerbed: SQLite's time to wait stays Flower's: {error!r}", file=sys.stderr, flush=True)


def _connect_patiently() -> None:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def patient(*args: Any, **options: Any) -> sqlite3.Connection:
        if len(args) < 2:  # the second positional argument is the timeout
            options.setdefault("timeout", SQLITE_SECONDS)
        return connect(*args, **options)

    sqlite3.connect = patient  # type: ignore[assignment]


class Counting:
    """What a SuperLink knows of the messages of its runs, written down as it happens, in a file for each run.

    A line is a JSON object: ``{"run": ID}`` first, so that a file without it is known to lack its beginning;
    ``{"ask": MESSAGE, "node": ID, "kind": TYPE}`` for a message to a SuperNode; ``{"reply": MESSAGE}`` for the reply to
    it, with ``"error"`` if it is one; ``{"lost": true}`` where something could not be written. A reply that is pushed
    again, or that comes after the ServerApp was told that there will be none, is written again and counted once.

    Errors that the SuperLink makes itself, for a SuperNode that is lost or a message that has expired, are seen when
    the ServerApp asks for replies. Up to 1.37 the latter name no run: one for a message from before a restart of the
    SuperLink is missed, and the message counts as one without a reply.

    Parameters
    ----------
    folder : Path
        Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: dict[str, int] = {}
        self._lost: set[int] = set()

    def begun(self, result: Any, *_: Any, **__: Any) -> None:
        """Take note of a new run."""
        if result:
            self._write(int(result), {"run": str(result)})

    def asked(self, result: Any, message: Any) -> None:
        """Take note of a message to a SuperNode."""
        if result is not None:
            data = message.metadata
            self._runs[_short(result)] = data.run_id
            line = {"ask": _short(result), "node": str(data.dst_node_id), "kind": str(data.message_type)}
            self._write(data.run_id, line)

    def replied(self, result: Any, message: Any) -> None:
        """Take note of a reply that a SuperNode pushed."""
        if result is not None:
            self._reply(message.metadata.run_id, message)

    def fetched(self, result: Any, *_: Any, **__: Any) -> None:
        """Take note of the errors that the SuperLink made itself, among what a ServerApp gets."""
        for message in result or ():
            if message.has_error():
                run = message.metadata.run_id or self._runs.get(_short(message.metadata.reply_to_message_id))
                if run:
                    self._reply(run, message)
        for run in list(self._lost):
            self._write(run, {"lost": True})

    def _reply(self, run: int, message: Any) -> None:
        about = _short(message.metadata.reply_to_message_id)
        self._runs.pop(about, None)
        error = {}
        if message.has_error():
            said = str(message.error.reason or "").strip().partition("\n")[0]
            error = {"error": said[:ERROR_CHARACTERS] or f"error {message.error.code}"}
        self._write(run, {"reply": about, **error})

    def _write(self, run: int, line: dict[str, Any]) -> None:
        """Append a line at once, as one piece; what came before it and was lost is said."""
        lacks = run in self._lost
        lines = [{"lost": True}, line] if lacks else [line]
        try:
            with (self._folder / str(run)).open("ab", buffering=0) as file:
                file.write("".join(json.dumps(item) + "\n" for item in lines).encode())
        except OSError:
            self._lost.add(run)
            raise
        if lacks:
            self._lost.discard(run)

    def begin(self) -> None:
        """Count from now on, and forget the runs of long ago."""
        self._folder.mkdir(exist_ok=True)
        files = sorted(self._folder.iterdir(), key=lambda file: file.stat().st_mtime)
        for file in files[:-RUNS_KEPT]:
            file.unlink(missing_ok=True)
        state = link_state()
        for name, note in {
            "store_message_ins": self.asked,
            "store_message_res": self.replied,
            "get_message_res": self.fetched,
            "create_run": self.begun,  # last: without it nothing is believed to be counted
        }.items():
            setattr(state, name, noting(getattr(state, name), note))


def noting(function: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    """Wrap a method of the SuperLink's state, so that its result and arguments are noted, and never harm it."""

    @functools.wraps(function)
    def with_note(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = function(self, *args, **kwargs)
        try:
            note(result, *args, **kwargs)
        except Exception as error:  # a full disk, for example; a run is worth more than its count
            print(f"flowerbed: a reply could not be counted: {error!r}", file=sys.stderr, flush=True)
        return result

    return with_note


def _short(message_id: Any) -> str:
    return str(message_id)[:16]


def count_replies(arguments: list[str]) -> None:
    """Have a SuperLink with a database count replies, if its release can be made to."""
    if "--database" in arguments[:-1]:
        database = Path(arguments[arguments.index("--database") + 1])
        try:
            Counting(database.parent / REPLIES).begin()
        except (ImportError, AttributeError, OSError) as error:
            print(f"flowerbed: replies are not counted: {error!r}", file=sys.stderr, flush=True)


def prepare() -> None:
    """Prepare this process to become `flower-superlink`."""
    wait_longer_for_sqlite()
    count_replies(sys.argv)
