"""A unit as it runs in a Pod's container, started from a folder that looks like a mounted ConfigMap."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from by_hand import HOST, PATIENCE, Federation, environment, eventually

from flowerbed import processes
from flowerbed.flower.contract import Program
from flowerbed.kubernetes.manifests import programs
from flowerbed_inside import bundles
from free_ports import free_port

UNIT = (str(bundles.PACKAGE), bundles.UNIT)
SUBMIT = (str(bundles.PACKAGE), bundles.SUBMIT)
HELD = Path(__file__).parents[1] / "held"
"""Holds a SuperNode's pull of a message open; see there."""


def mount(folder: Path) -> Path:
    """Write the programs as the kubelet mounts a ConfigMap: links, and launchers under Flower's names."""
    data = folder / "..2026_01_01"
    data.mkdir(parents=True)
    for source in programs.volume("demo")["projected"]["sources"]:
        room = source["configMap"]["name"].removeprefix("demo-programs-")
        for item in source["configMap"]["items"]:
            file = data / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(programs.sources()[room][item["key"]])
            file.chmod(0o555)
    (folder / "..data").symlink_to(data.name)
    for file in data.iterdir():
        (folder / file.name).symlink_to(Path("..data", file.name))
    return folder


class RunningUnit:
    """A unit that runs.

    Parameters
    ----------
    words : sequence of str
        Its command line.
    before : sequence of str
        What is started instead of Python and the script, if anything.
    env : dict of str to str or None
        Its environment, if it is not this one's.
    read : bool
        Whether anybody reads what it says.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        before: Sequence[str] = (sys.executable, "-u", *UNIT),
        env: dict[str, str] | None = None,
        read: bool = True,
    ) -> None:
        self.port = free_port()
        self._lines: list[bytes] = []
        self.process = subprocess.Popen(
            [*before, "--health-port", str(self.port), *words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self.pipe = self.process.stdout
        self._reader = threading.Thread(target=self._read)
        if read:
            self._reader.start()

    def __enter__(self) -> RunningUnit:
        return self

    def __exit__(self, *_: object) -> None:
        tree = self.tree()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        processes.send(tree, signal.SIGKILL)
        self.process.wait()
        if self._reader.is_alive():
            self._reader.join(PATIENCE)
        self.pipe.close()
        if sys.exc_info()[0] is not None:
            print(f"---- the unit said\n{self.text[-4000:]}")

    @property
    def text(self) -> str:
        """What it has said."""
        return b"".join(self._lines).decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines of that."""
        return self.text.splitlines()

    def says(self, what: str) -> None:
        """Wait until it has said something."""
        eventually(lambda: what in self.text)

    def ends(self) -> int:
        """Wait for its end and for its last words; return its exit status."""
        status = self.process.wait(PATIENCE)
        if self._reader.is_alive():
            self._reader.join(PATIENCE)
        return status

    def terminate(self) -> int:
        """Send it a SIGTERM and return its exit status."""
        self.process.terminate()
        return self.ends()

    def tree(self) -> list[int]:
        """Return all processes below it."""
        return processes.descendants(self.process.pid)

    def find(self, condition: Callable[[str], bool]) -> int:
        """Return the process below it whose command line fulfils a condition."""
        [found] = [pid for pid in self.tree() if condition(processes.command_line(pid))]
        return found

    def probe(self, path: str) -> tuple[int, str]:
        """Ask it as a kubelet does."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()
        finally:
            connection.close()

    def ready(self) -> bool:
        """Tell whether it says that it is ready."""
        try:
            return self.probe("/ready")[0] == 200
        except OSError:  # it does not listen yet
            return False

    def _read(self) -> None:
        while data := os.read(self.pipe.fileno(), 2**16):
            self._lines.append(data)


class FederationInUnits(Federation):
    """A federation as in Pods: each unit run by our init, from a mounted folder, with the environment's own Python."""

    @cached_property
    def mounted(self) -> Path:
        """Our programs, as in Pods."""
        return mount(self.folder / "flowerbed")

    def superlink_unit(self, *more: str) -> RunningUnit:
        """Start the SuperLink, with more options if there are any."""
        contract, data = self.row.contract, self.folder / "superlink" / "made"
        request = f"{contract.dialect}:{self.control.rpartition(':')[2]}"
        options = ["--make-folder", str(data), "--ready-request", request]
        return self._unit([*options, *more], {"superlink": contract.superlink(self.row.minor, self.protection)})

    def supernode_unit(self, *, hold: Path | None = None) -> RunningUnit:
        """Start a SuperNode and its SuperExec in one unit, the second of a pool that begins with partition 3.

        With `hold` its first pull of a message waits until the file ``let-go`` is in that folder, and ``held`` says so.
        """
        contract, minor = self.row.contract, self.row.minor
        config = "partition-id={partition-id} num-partitions=9"
        programs = {
            "supernode": contract.supernode(minor, superlink="superlink", node_config=config),
            "superexec": contract.clientapp_superexec(minor, supernode="supernode"),
        }
        fleet = f"{HOST}:{self._port('superlink', contract.fleet_port())}"
        runtime = f"{HOST}:{self._port('supernode', 'runtime')}"
        options = ["--first-partition", "3", "--hostname", "pool-1"]
        marks = contract.work_marks
        options += ["--taken", marks.taken, "--replied", marks.replied, "--lost", marks.lost, "--finish", "60"]
        for option in ("--wait-for", "--ready-connected"):
            options += [option, f"supernode={fleet}", option, f"superexec={runtime}"]
        held = {"PYTHONPATH": str(HELD), "HOLD_A_PULL": str(hold)} if hold else {}
        return self._unit(options, programs, held)

    def serverapp_unit(self) -> RunningUnit:
        """Start the SuperExec of ServerApps."""
        program = self.row.contract.serverapp_superexec(self.row.minor, superlink="superlink")
        return self._unit([], {"superexec": program})

    def submit(self, *arguments: str, config: dict[str, Any] | None = None) -> subprocess.Popen[bytes]:
        """Start the submitting program of a run's Job; ``--receive`` is what is executed beside it."""
        env = self._environment(self.folder / "submit")
        if "--receive" not in arguments:
            env["FLOWERBED_RUN_CONFIG"] = json.dumps(config or {})
            arguments = ("--dialect", self.row.contract.dialect, "--address", self.control, *arguments)
        return subprocess.Popen(
            [self.python, "-u", self.mounted / bundles.NAME, bundles.SUBMIT, *arguments],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _unit(
        self, options: Sequence[str], programs: dict[str, Program], more: dict[str, str] | None = None
    ) -> RunningUnit:
        words = list(options)
        for name, program in programs.items():
            own = {key: self._resolve(name, value) for key, value in program.environment.items()}
            words += ["--", name, "env", *(f"{key}={value}" for key, value in own.items()), program.executable]
            words += [self._resolve(name, value) for value in program.arguments]
        before = (str(self.python), "-u", str(self.mounted / bundles.NAME), bundles.UNIT)
        return RunningUnit(words, before=before, env=self._environment(self.folder / "unit") | (more or {}))

    def _environment(self, home: Path) -> dict[str, str]:
        env = environment(home)
        return {**env, "PATH": f"{self.mounted / 'bin'}:{self.python.parent}:{env['PATH']}"}
