"""A SuperLink's unit tells it which SuperNodes may join, and which no more: once it answers, and with each change.

Until it knows them the unit is not ready, so that no SuperNode dials a SuperLink that would refuse it. A key that was
taken back while the SuperLink was away is still in its database.

Standard library only.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flowerbed_inside.control import api
from flowerbed_inside.unit import register_nodes
from flowerbed_inside.unit.programs import of_ours

LISTED = "grpc122"
"""The dialect of releases whose SuperLink reads the keys from its database; others are told by a request."""

_POLL = 0.05
_AGAIN = 2.0  # seconds until a SuperLink that could not be told is told again
_LOOK = 5.0  # seconds between two looks at the list: a kubelet takes up to a minute to bring a new one


@dataclass(frozen=True)
class ToTell:
    """Whom to tell, and what.

    Parameters
    ----------
    dialect, address : str
        The SuperLink's Control API.
    authority : Path or None
        Whom to trust, if it is spoken to over TLS.
    database : Path or None
        The SuperLink's database, for a release that is told there.
    nodes : Path
        The list of SuperNodes; see `register_nodes`.
    dismissed : Path or None
        The list of those that may join no more; it need not be there.
    """

    dialect: str
    address: str
    authority: Path | None
    database: Path | None
    nodes: Path
    dismissed: Path | None

    def read(self) -> tuple[str, str]:
        """Return both lists as they are now, as text.

        Raises
        ------
        OSError
            If one cannot be read.
        """
        gone = self.dismissed if self.dismissed is not None and self.dismissed.exists() else None
        return self.nodes.read_text(encoding="utf-8"), gone.read_text(encoding="utf-8") if gone is not None else "{}"


class Told:
    """The SuperLink knows every SuperNode of the list, and none of the other; a condition for a unit to be ready.

    Parameters
    ----------
    to_tell : ToTell
        Whom to tell, and what.
    answers : callable
        Tells whether the SuperLink has answered a request.
    """

    def __init__(self, to_tell: ToTell, answers: Callable[[], bool]) -> None:
        self._to_tell = to_tell
        self._answers = answers
        self._told: tuple[str, str] | None = None
        self.waiting = "the SuperLink has not been told yet which SuperNodes may join"
        threading.Thread(target=self._keep_telling, name="admission", daemon=True).start()

    def holds(self) -> bool:
        """Look."""
        return self._told is not None

    def _keep_telling(self) -> None:
        while not self._answers():
            time.sleep(_POLL)
        freed_from = time.monotonic() + api.FREE_AFTER_SECONDS  # those that live have come back by then
        while True:
            wait = _LOOK
            try:
                lists = self._to_tell.read()
                if lists != self._told:
                    self._tell(*lists)
                    self._told = lists
                elif self._to_tell.dialect == LISTED and time.monotonic() > freed_from:
                    api.free_keys_in_database(self._database)
            except (OSError, ValueError, api.ControlError) as error:
                print(f"[flowerbed: the SuperLink could not be told which SuperNodes may join: {error}]", flush=True)
                wait = _AGAIN
            time.sleep(wait)

    def _tell(self, nodes: str, dismissed: str) -> None:
        gone = register_nodes.keys_of(dismissed)
        if self._to_tell.dialect == LISTED:
            out = [name for key, name in gone.items() if api.dismiss_in_database(self._database, key)]
            for line in register_nodes.said_of_dismissed(out):
                print(line, flush=True)
            for key in register_nodes.keys_of(nodes):
                api.list_in_database(self._database, key)
            return
        trusted = ["--root-certificates", str(self._to_tell.authority)] if self._to_tell.authority is not None else []
        telling = subprocess.Popen(
            [
                *(*of_ours("unit.register_nodes"), "--dialect", self._to_tell.dialect),
                *("--address", self._to_tell.address, *trusted),
                *(("--dismissed", str(self._to_tell.dismissed)) if gone else ()),
                str(self._to_tell.nodes),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        telling.returncode = 0  # the unit reaps all its children; Popen must not try it too
        assert telling.stdout is not None  # noqa: S101
        with telling.stdout as answer:
            said = answer.read().decode(errors="replace")
        lines = said.splitlines()
        for line in lines:
            if line != register_nodes.REGISTERED:
                print(line, flush=True)
        if register_nodes.REGISTERED not in lines:
            raise OSError("it does not take them yet")

    @property
    def _database(self) -> Path:
        if self._to_tell.database is None:
            raise OSError("this release is told in its database, and none was named")
        return self._to_tell.database
