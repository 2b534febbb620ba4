"""Where the benchmark works: a temporary folder, in which nothing is left running and which is gone afterwards."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.commands import CommandFailed, Done, timed
from flowerbed import processes, templates
from flowerbed.flower import releases
from flowerbed.flower.releases import Row
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan
from flowerbed.local.prepare import prepare
from flowerbed.local.source import find

FLOWERBED = str(Path(sys.executable).parent / "flowerbed")


def say(text: str) -> None:
    """Tell of progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class Ours:
    """A federation that Flowerbed runs, driven as a user drives it.

    Parameters
    ----------
    app : Path
        The app's folder, with its federation.yaml.
    """

    app: Path
    _tool: dict[str, int] | None = field(default=None, init=False)

    @property
    def state(self) -> StateFolder:
        """Its state folder."""
        return StateFolder.beside(self.app)

    @property
    def plan(self) -> Plan:
        """What is running."""
        return Plan.read(self.state.plan)

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [FLOWERBED, *arguments, "--json"]

    def up(self) -> Done:
        """Bring it up, in the background; done when it is observed ready."""
        self._tool = None
        return timed(self.command("up", "--detach"), cwd=self.app)

    def down(self) -> None:
        """Take it down."""
        timed(self.command("down"), cwd=self.app)

    def tool_processes(self) -> dict[str, int]:
        """Return the tool's own processes while it is up, by name."""
        supervisor = int(self.status()["supervisor_pid"])
        stat = Path(f"/proc/{supervisor}/stat").read_text(encoding="utf-8", errors="replace")
        guard = int(stat[stat.rindex(")") + 2 :].split()[1])
        assert "flowerbed.local.guard" in processes.command_line(guard)
        (client,) = [pid for pid in processes.children_by_parent()[supervisor] if _is_client(pid)]
        return {"supervisor": supervisor, "guard": guard, "control client": client}

    def programs(self) -> list[int]:
        """Return the processes of Flower's programs, those that they started included."""
        if self._tool is None:
            self._tool = self.tool_processes()
        return [pid for pid in processes.descendants(self._tool["guard"]) if pid not in self._tool.values()]

    def status(self) -> dict[str, Any]:
        """Return what `flowerbed status` says."""
        return last(timed(self.command("status"), cwd=self.app), "status")


def _is_client(pid: int) -> bool:
    return " --dialect " in processes.command_line(pid)


def last(done: Done, kind: str) -> dict[str, Any]:
    """Return the last line of a kind that a command wrote with ``--json``."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("type") == kind][-1]


class Workplace:
    """A temporary folder for apps and federations.

    Parameters
    ----------
    flower : str
        The Flower release.
    """

    def __init__(self, flower: str) -> None:
        self.row: Row = releases.find(flower)
        self.root = Path(tempfile.mkdtemp(prefix="flowerbed-bench-")).resolve()
        self._ours: list[Ours] = []
        self._states: list[Path] = []

    def __enter__(self) -> Workplace:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        for ours in self._ours:
            with suppress(CommandFailed, OSError):
                ours.down()
        for state in self._states:
            if left := processes.kill_all(lambda state=state: processes.marked(state)):  # type: ignore[misc]
                say(f"these processes could not be ended: {left}")
        shutil.rmtree(self.root, ignore_errors=True)

    def app(self, name: str, *, supernodes: int = 2, protected: bool = True) -> Path:
        """Write the bundled scikit-learn app with a federation of so many SuperNodes; return its folder."""
        folder = self.root / name
        templates.write("sklearn", folder, f"bench-{name}", str(self.row.minor))
        file = folder / "federation.yaml"
        text = file.read_text(encoding="utf-8")
        assert "replicas: 2\n" in text
        plain = "" if protected else "  security: {tls: {mode: Disabled}, nodeAuth: false}\n"
        file.write_text(text.replace("replicas: 2\n", f"replicas: {supernodes}\n") + plain, encoding="utf-8")
        return folder

    def ours(self, app: Path) -> Ours:
        """Return a federation for an app; it is taken down in the end."""
        made = Ours(app)
        self._ours.append(made)
        self._states.append(made.state.root)
        return made

    def state(self, name: str) -> StateFolder:
        """Return a folder for a federation by hand; what still runs in the end is killed."""
        folder = StateFolder(self.root / name)
        folder.create()
        self._states.append(folder.root)
        return folder

    def warm(self) -> Plan:
        """Have Flower's environment for the app ready; return a plan that names it."""
        app = self.root / "warm"
        if not app.exists():
            self.app("warm")
        return prepare(find(app), progress=say).plan
