"""A SuperLink's unit tells it which SuperNodes may join: once it answers, and again whenever the list changes.

Until it knows them the unit is not ready, so that no SuperNode dials a SuperLink that would refuse it.

A sibling of the scripts that run in Pods: standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowerbed.flower.inside import inside_control, register_nodes
else:
    import inside_control
    import register_nodes

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
    """

    dialect: str
    address: str
    authority: Path | None
    database: Path | None
    nodes: Path


class Told:
    """The SuperLink knows every SuperNode of the list; a condition for a unit to be ready.

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
        self._told = ""
        self.waiting = "the SuperLink has not been told yet which SuperNodes may join"
        threading.Thread(target=self._keep_telling, name="admission", daemon=True).start()

    def holds(self) -> bool:
        """Look."""
        return bool(self._told)

    def _keep_telling(self) -> None:
        while not self._answers():
            time.sleep(_POLL)
        freed_from = time.monotonic() + inside_control.FREE_AFTER_SECONDS  # those that live have come back by then
        while True:
            wait = _LOOK
            try:
                text = self._to_tell.nodes.read_text(encoding="utf-8")
                if text != self._told:
                    self._tell(text)
                    self._told = text
                elif self._to_tell.dialect == LISTED and time.monotonic() > freed_from:
                    inside_control.free_keys_in_database(self._database)
            except (OSError, ValueError, inside_control.ControlError) as error:
                print(f"[flowerbed: the SuperLink could not be told which SuperNodes may join: {error}]", flush=True)
                wait = _AGAIN
            time.sleep(wait)

    def _tell(self, text: str) -> None:
        if self._to_tell.dialect == LISTED:
            for key in register_nodes.keys_of(text):
                inside_control.list_in_database(self._database, key)
            return
        trusted = ["--root-certificates", str(self._to_tell.authority)] if self._to_tell.authority is not None else []
        telling = subprocess.Popen(
            [
                *(sys.executable, register_nodes.__file__, "--dialect", self._to_tell.dialect),
                *("--address", self._to_tell.address, *trusted, str(self._to_tell.nodes)),
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
