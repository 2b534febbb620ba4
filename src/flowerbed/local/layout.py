"""Where everything of a local federation lies: the `.flowerbed/` folder beside its file."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from flowerbed.errors import StateError
from flowerbed.trust.layout import TrustLayout

FOLDER = ".flowerbed"
_ADMITTED = "admitted"
_LEAST_BYTES = 2**16


@dataclass(frozen=True)
class StateFolder:
    """The state folder of one federation.

    Parameters
    ----------
    root : Path
        The folder itself, ``<folder of federation.yaml>/.flowerbed``.
    """

    root: Path

    @classmethod
    def beside(cls, federation_file: Path) -> StateFolder:
        """Return the state folder that belongs to a federation file, or to an app folder without one."""
        folder = federation_file if federation_file.is_dir() else federation_file.parent
        return cls(folder.resolve() / FOLDER)

    @property
    def database(self) -> Path:
        """Our own state: what runs, and the history of runs."""
        return self.root / "state.db"

    @property
    def lock(self) -> Path:
        """Held by the living supervisor; the kernel lets go of it when that process dies, however it dies."""
        return self.root / "lock"

    @property
    def plan(self) -> Path:
        """What shall run, fully resolved; the supervisor's only input."""
        return self.root / "plan.json"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself has to say, when something is wrong with it."""
        return self.logs / "supervisor.log"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.root / "logs"

    @property
    def staging(self) -> Path:
        """Copies of app folders, from which FABs are built."""
        return self.root / "staging"

    @property
    def trust(self) -> TrustLayout:
        """Keys and certificates."""
        return TrustLayout(self.root / "trust")

    def admitted(self, node: str) -> Path:
        """Return what exists while the SuperLink knows a SuperNode's key; the SuperNode waits for it."""
        return self.root / _ADMITTED / node

    @property
    def superlink_answered(self) -> Path:
        """Exists while the running SuperLink has answered a request; others wait for it before they dial."""
        return self.root / "superlink-answered"

    @property
    def libraries(self) -> Path:
        """The modules that the app that was checked last needs; SuperExecs load them before they start apps."""
        return self.root / "libraries.json"

    def log(self, component: str) -> Path:
        """Return a component's log."""
        return self.logs / f"{component}.log"

    def data(self, component: str, minor: str) -> Path:
        """Return the folder for what of a component outlives it, with one minor Flower release."""
        return self.root / "data" / component / minor

    def home(self, component: str) -> Path:
        """Return a component's own FLWR_HOME."""
        return self.root / "homes" / component

    def run(self, number: int) -> Path:
        """Return the folder of one run: the ServerApp's log and its results."""
        return self.root / "runs" / str(number)

    @property
    def results(self) -> Path:
        """The folder below which the ServerApp's launcher makes one per Flower run id."""
        return self.root / "results"

    @property
    def scratch(self) -> Path:
        """The folder below which each SuperNode has one for the working folders of its ClientApps."""
        return self.root / "scratch"

    def create(self) -> None:
        """Make the folder, readable by its owner only, and keep it out of git and of every FAB.

        Raises
        ------
        StateError
            If it cannot be written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.staging, self.results, self.root / _ADMITTED):
                folder.mkdir(exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            probe = self.root / f".writable-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from error

    def require_writable(self) -> None:
        """Refuse a folder that `create` could not make; writes nothing.

        Raises
        ------
        StateError
            If it cannot be written.
        """
        place = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        if not place.is_dir():
            raise self._unwritable(f"{place} is a file" if place != self.root else "it is a file")
        if not os.access(place, os.W_OK | os.X_OK):
            raise self._unwritable(f"you may not write into {place}" if place != self.root else "you may not write it")
        if shutil.disk_usage(place).free < _LEAST_BYTES:
            raise self._unwritable("no space is left on the device")

    def _unwritable(self, why: str) -> StateError:
        return StateError(
            f"the state folder cannot be written: {why}",
            where=str(self.root),
            hint="Make the folder beside your federation file writable, free some space, or copy the app.",
        )
