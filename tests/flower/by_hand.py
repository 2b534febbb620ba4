"""A federation started by hand, as little of it as a test asks for, and a control client to talk to it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from environments import EVERYDAY, environment_python
from flowerbed.flower.contract import UNPROTECTED, Program, Protection
from flowerbed.flower.releases import find
from flowerbed.flower.values import (
    Address,
    DataFile,
    HomeFolder,
    Listen,
    ListenHost,
    ListenPort,
    ResultsFolder,
    ScratchFolder,
    Trusted,
    TrustFile,
    Value,
)
from flowerbed_inside import bundles
from free_ports import free_port

HOST = "127.0.0.1"
RELEASES = tuple(str(find(minor).release) for minor in EVERYDAY)
"""The releases of every day: one for each dialect of the Control API."""

PATIENCE = 90.0

PYPROJECT = """\
[project]
name = "tiny"
version = "1.0.0"
description = "Logs lines and trains nothing."
license = "Apache-2.0"
dependencies = ["flwr>=1.22"]

[tool.flwr.app]
publisher = "tests"

[tool.flwr.app.components]
serverapp = "tiny.server:app"
clientapp = "tiny.client:app"

[tool.flwr.app.config]
lines = 3
pause = 0.1
name.of.line = "line"
"""

SERVER = """\
import os
import time
from pathlib import Path

from flwr.serverapp import ServerApp

AT_IMPORT = os.environ.get("FLOWERBED_RESULTS", "nowhere")
app = ServerApp()


@app.main()
def main(grid, context):
    config = context.run_config
    if "FLOWERBED_RESULTS" in os.environ:
        Path(os.environ["FLOWERBED_RESULTS"], "result.txt").write_text(f"{context.run_id} {AT_IMPORT}")
    for number in range(config["lines"]):
        grid.get_node_ids()  # waits for a SuperLink that is away
        print(f"{config['name.of.line']} {number}", flush=True)
        time.sleep(config["pause"])
"""

CLIENT_APP = "from flwr.clientapp import ClientApp\n\napp = ClientApp()\n"


def write_app(folder: Path, **files: str) -> Path:
    """Write the tiny app, with other texts for some of its files (``pyproject``, ``server``, ``client``)."""
    package = folder / "tiny"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(files.get("pyproject", PYPROJECT))
    (package / "__init__.py").write_text("")
    (package / "server.py").write_text(files.get("server", SERVER))
    (package / "client.py").write_text(files.get("client", CLIENT_APP))
    return folder


def check_app(release: str, app: Path, *options: str) -> dict[str, Any]:
    """Run the check of an app and return its answer."""
    python = environment_python(release)
    done = subprocess.run(
        [python, bundles.PACKAGE, bundles.CHECK, app, *options],
        env=environment(app.parent / "home"),
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def environment(home: Path) -> dict[str, str]:
    """Return the environment in which Flower writes nothing outside a test's folder."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }


class Federation:
    """A SuperLink, and what a test adds to it.

    Parameters
    ----------
    release : str
        The Flower release.
    folder : Path
        Where everything lies.
    protection : Protection
        What its programs protect themselves with.
    trusted : dict
        The files for that.
    """

    def __init__(
        self,
        release: str,
        folder: Path,
        protection: Protection = UNPROTECTED,
        trusted: dict[Trusted, Path] | None = None,
    ) -> None:
        self.release = release
        self.protection = protection
        self.trusted = trusted or {}
        self.folder = folder
        self.python = environment_python(release)
        self.row = find(release)
        self.results = folder / "results"
        self._ports: dict[tuple[str, str], int] = {}
        self._programs: dict[str, Program] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._launchers = folder / "launchers"
        self._launchers.mkdir(parents=True)
        for name in ("flwr-serverapp", "flwr-clientapp", "flower-superlink"):
            script = self._launchers / name  # it goes by its name
            script.write_text(f"#!{self.python}\n" + bundles.LAUNCHER.read_text())
            script.chmod(0o755)
        (folder / bundles.NAME).symlink_to(bundles.PACKAGE)

    @property
    def control(self) -> str:
        """The Control API's address."""
        return f"{HOST}:{self._port('superlink', self.row.contract.control_port())}"

    @property
    def database(self) -> Path:
        """The SuperLink's database."""
        return self.folder / "superlink" / "state.db"

    def superlink(self) -> None:
        """Start the SuperLink, on the same ports and database if it ran before; return when it answers."""
        program = self.row.contract.superlink(self.row.minor, self.protection)
        self._start("superlink", program)
        for port in program.ports:
            self._wait_for_port(self._port("superlink", port.name))

    def serverapps(self, name: str = "serverapps", *, signing: bool = True) -> None:
        """Start the SuperExec that runs ServerApps; or one that knows no secret to sign with."""
        contract, minor = self.row.contract, self.row.minor
        program = contract.serverapp_superexec(minor, self.protection, superlink="superlink")
        arguments = program.arguments
        if not signing:
            at = arguments.index("--superexec-auth-secret-file")
            arguments = (*arguments[:at], *arguments[at + 2 :])
        self._start(name, replace(program, arguments=arguments))

    def supernode(self, name: str = "supernode", *options: str) -> None:
        """Start a SuperNode, with more options at the end of its command line."""
        config = "partition-id=0 num-partitions=1"
        contract, minor = self.row.contract, self.row.minor
        program = contract.supernode(minor, self.protection, superlink="superlink", node_config=config)
        self._start(name, replace(program, arguments=(*program.arguments, *options)))

    def clientapps(self, name: str = "clientapps", *, supernode: str = "supernode") -> None:
        """Start the SuperExec that runs ClientApps for a SuperNode."""
        contract, minor = self.row.contract, self.row.minor
        self._start(name, contract.clientapp_superexec(minor, self.protection, supernode=supernode))

    def ended(self, name: str) -> int | None:
        """Return the exit status of a program; None while it runs."""
        return self._processes[name].poll()

    def log(self, name: str) -> str:
        """Return what a program has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stored_log(self) -> str:
        """Return the log of the only run, as the SuperLink's database has it."""
        with closing(sqlite3.connect(self.database)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            table = "task_logs" if "task_logs" in tables else "logs"  # the former from Flower 1.31 on at the latest
            return "".join(text for (text,) in database.execute(f"SELECT log FROM {table} ORDER BY timestamp"))  # noqa: S608 - a word of ours

    def kill(self, name: str) -> None:
        """Kill a program as the kernel does when memory runs out."""
        self._processes[name].kill()
        self._processes[name].wait()

    def terminate(self, name: str, *, timeout: float) -> None:
        """Ask a program to end and wait until it has."""
        self._processes[name].terminate()
        self._processes[name].wait(timeout)

    def close(self) -> None:
        """End everything."""
        for process in reversed(self._processes.values()):
            process.kill()
            process.wait()

    def _start(self, name: str, program: Program) -> None:
        home = self.folder / name
        env = environment(home) | {key: self._resolve(name, value) for key, value in program.environment.items()}
        env["PATH"] = f"{self._launchers}:{self.python.parent}:{env['PATH']}"
        executable = [self.python.parent / program.executable]
        if program.executable == "flower-superlink":  # by our launcher, which counts replies
            executable = [self._launchers / program.executable]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*executable, *(self._resolve(name, value) for value in program.arguments)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _resolve(self, name: str, value: Value) -> str:
        match value:
            case Listen(port):
                return f"{HOST}:{self._port(name, port)}"
            case ListenHost():
                return HOST
            case ListenPort(port):
                return str(self._port(name, port))
            case Address(component, port):
                return f"{HOST}:{self._port(component, port)}"
            case DataFile(file):
                return str(self.folder / name / file)
            case HomeFolder():
                return str(self.folder / name)
            case ResultsFolder():
                return str(self.results)
            case ScratchFolder(node):
                return str(self.folder / "scratch" / node)
            case TrustFile(what):
                return str(self.trusted[what])
            case _:
                return value

    def _port(self, component: str, name: str) -> int:
        if (component, name) not in self._ports:
            self._ports[component, name] = free_port()
        return self._ports[component, name]

    def _wait_for_port(self, port: int) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return


class RefusalError(Exception):
    """The client answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Client:
    """A control client, talked to from a test."""

    def __init__(
        self,
        release: str,
        address: str,
        *,
        home: Path,
        database: Path | None = None,
        authority: Path | None = None,
        own: tuple[Path, Path] | None = None,
    ) -> None:
        arguments = ["--dialect", find(release).contract.dialect, "--address", address]
        if database is not None:
            arguments += ["--database", str(database)]
        if authority is not None:
            arguments += ["--root-certificates", str(authority)]
        if own is not None:
            arguments += ["--client-certificate", str(own[0]), "--client-key", str(own[1])]
        self.process = subprocess.Popen(
            [environment_python(release), "-u", bundles.PACKAGE, bundles.CONTROL, *arguments],
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._requests: IO[bytes] = self.process.stdin
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.unreadable: list[bytes] = []
        self._last = 0
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reader.start()

    def ask(self, op: str, **arguments: object) -> Any:
        """Send a request and return its result."""
        self._last += 1
        number = self._last
        self._requests.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
        self._requests.flush()
        self.wait(lambda: number in self._answers)
        answer = self._answers[number]
        if answer["ok"]:
            return answer["result"]
        raise RefusalError(answer["error"]["code"], answer["error"]["message"])

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something that the client has said makes a condition true."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"not within {PATIENCE} s; events: {self.events[-5:]}"

    def log(self, run: str) -> str:
        """Return what came of a run's log so far."""
        return "".join(event["text"] for event in self.events if event["event"] == "log" and event["run"] == run)

    def ended(self, run: str) -> bool:
        """Tell whether a run's log is at its end."""
        return any(event["event"] == "log-end" and event["run"] == run for event in self.events)

    def close(self) -> int:
        """Close its standard input and return its exit code."""
        self._requests.close()
        code = self.process.wait(10)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            with self._changed:
                try:
                    message = json.loads(line)
                except ValueError:
                    self.unreadable.append(line)
                    continue
                if "event" in message:
                    self.events.append(message)
                else:
                    self._answers[message["id"]] = message
                self._changed.notify_all()


@contextmanager
def federation(release: str, folder: Path) -> Iterator[tuple[Federation, Client]]:
    """A SuperLink with the SuperExec of ServerApps, and a client."""
    running = Federation(release, folder)
    try:
        running.superlink()
        running.serverapps()
        client = Client(release, running.control, home=folder / "client", database=running.database)
        try:
            yield running, client
        finally:
            client.close()
    finally:
        running.close()
        if sys.exc_info()[0] is not None:  # the logs say why
            for log in sorted(folder.glob("*.log")):
                print(f"---- {log.name}\n{log.read_text(errors='replace')[-3000:]}")


def eventually(condition: Callable[[], bool], *, timeout: float = PATIENCE) -> None:
    """Ask until a condition is true."""
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, f"not within {timeout} s"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
