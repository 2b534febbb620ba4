"""Real federations, driven as a user drives them: by the command line, as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowerbed import processes
from json_output import Heard, heard
from judged import lines_of

APPS = Path(__file__).parents[1] / "apps"
FLOWERBED = [sys.executable, "-c", "from flowerbed.cli import main; main()"]
PATIENCE_SECONDS = 240.0
"""How long a condition may take on a busy machine before a test calls it failed."""


@dataclass
class Said:
    """What a command said with ``--json``."""

    status: int
    lines: list[dict[str, Any]]
    errors: str

    def last(self, kind: str) -> dict[str, Any]:
        """Return the last line of a kind."""
        return [line for line in self.lines if line.get("type") == kind][-1]

    @property
    def error(self) -> str:
        """The message of the error that ended the command."""
        return str(self.lines[-1]["message"])


@dataclass
class Bed:
    """A folder with an app, and the command line in it.

    Parameters
    ----------
    folder : Path
        The app's folder.
    environment : dict of str to str or None
        The environment of commands, where it is not this process's.
    on : tuple of str
        The options that say where the federation runs.
    before : tuple of str
        The command that runs commands, where it is not this machine as it is.
    """

    folder: Path
    environment: dict[str, str] | None = None
    on: tuple[str, ...] = ()
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    before: tuple[str, ...] = ()
    heard: list[Heard] = field(default_factory=list)

    def __call__(self, *arguments: str, timeout: float = PATIENCE_SECONDS) -> Said:
        """Run a command to its end."""
        done = subprocess.run(
            [*self.before, *FLOWERBED, *arguments, *self.on, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = Said(done.returncode, lines_of(done.stdout), done.stderr)
        self.heard.append(heard(" ".join(arguments), said.status, done.stdout))
        return said

    def say(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that touches no federation, as it is."""
        return subprocess.run(
            [*FLOWERBED, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        process = subprocess.Popen(
            [*self.before, *FLOWERBED, *arguments, *self.on, "--json"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str]) -> Said:
        """Wait for a started command."""
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return Said(process.returncode, lines_of(output), "")

    def clear(self) -> None:
        """End what a test left behind: its commands, and the federation."""
        self.end_commands()
        self("down")

    def end_commands(self) -> None:
        """Kill the commands that still run, and let go of the others."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def status(self) -> dict[str, Any]:
        """Return what `flowerbed status` says."""
        return self("status").last("status")

    def pid(self, component: str) -> int:
        """Return a component's process."""
        found = [item["pid"] for item in self.status()["components"] if item["name"] == component]
        assert found, self.status()
        assert isinstance(found[0], int)
        return found[0]

    def restarts(self, component: str) -> int:
        """Return how often a component was started again."""
        return next(int(item["restarts"]) for item in self.status()["components"] if item["name"] == component)

    def run(self, number: int) -> dict[str, Any]:
        """Return a run of history; empty while there is none of that number."""
        found = [line for line in self("runs", str(number)).lines if line.get("type") == "run"]
        return found[0] if found else {}

    def log(self, component: str) -> str:
        """Return a component's log."""
        path = self.folder / ".flowerbed" / "logs" / f"{component}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def scratch(self) -> list[Path]:
        """Return the folders in which ClientApps work or have worked."""
        return sorted((self.folder / ".flowerbed" / "scratch").glob("*/*"))

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen; {self.status()}"
            time.sleep(0.2)

    def wait_for_round(self, number: int, run: int = 1) -> None:
        """Wait until a round of a run has begun."""
        self.wait(lambda: len(self.run(run).get("rounds", ())) >= number, f"round {number}")

    def processes(self) -> list[int]:
        """Return all living processes of this federation."""
        return processes.marked(self.folder.resolve() / ".flowerbed")


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its content, but what Flowerbed keeps for itself."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".flowerbed" not in path.parts
    }
