"""The baseline: Flower's own programs, started from the same environment as somebody with a terminal would.

The executables are the stock ones, without Flowerbed's launchers; the flags are those that the release takes;
and ready is observed with the same means as Flowerbed's, by a control client that was warm before the clock started.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from bench.commands import Done, timed
from bench.control import Control
from bench.workplace import Workplace
from flowerbed import processes
from flowerbed.flower.contract import DATABASE
from flowerbed.flower.release import Minor
from flowerbed.local import ports
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import PlannedComponent, common_environment, resolve
from flowerbed.local.source import find
from flowerbed.spec.model import Federation, Security
from flowerbed.spec.tls import Tls, TlsMode
from flowerbed.topology.build import build
from flowerbed.topology.model import SUPERLINK, Role, Topology
from flowerbed_inside import bundles
from flowerbed_inside.variables import WAIT_FOR, WAIT_FOR_FILE

LOOK_SECONDS = 0.05
READY_SECONDS = 600.0
GRACE_SECONDS = 5.0
CONNECTION = "by-hand"
_CONFIG_FILE_SINCE = Minor(1, 31)
"""`flwr` reads connections from FLWR_HOME/config.toml since then, and from the app's pyproject.toml before."""

_SUPEREXECS = (Role.SERVERAPP_SUPEREXEC.value, Role.CLIENTAPP_SUPEREXEC.value)


class NotReady(Exception):
    """What was started by hand did not get ready."""


class ByHand:
    """A federation without Flowerbed.

    Parameters
    ----------
    place : Workplace
        Where it lies.
    name : str
        A name for its folder.
    app : Path
        The app's folder; its federation.yaml says how many SuperNodes there are.
    """

    def __init__(self, place: Workplace, name: str, app: Path) -> None:
        self._row = place.row
        self.folder: StateFolder = place.state(name)
        self.app = app
        self._bin = Path(place.warm().environment) / "bin"
        self._topology: Topology = build(_plain(find(app).federation), place.row.contract, place.row.minor)
        self._env = common_environment(self.folder, [self._bin])
        self._pids: dict[str, int] = {}
        self._numbers: dict[str, dict[str, int]] = {}
        self._control: Control | None = None

    @property
    def control(self) -> Control:
        """A control client that is connected to it."""
        assert self._control is not None
        return self._control

    def programs(self) -> list[int]:
        """Return the processes of Flower's programs, those that they started included."""
        return [*self.pids, *(below for pid in self.pids for below in processes.descendants(pid))]

    @property
    def pids(self) -> list[int]:
        """Its long-lived programs."""
        return list(self._pids.values())

    def up(self, *, at_once: bool = False) -> float:
        """Start everything; return after how many seconds it was observed ready.

        Parameters
        ----------
        at_once : bool
            Do not wait for the SuperLink's ports before the others are started.
        """
        components = self._plan()
        superlink, *others = components
        assert superlink.name == SUPERLINK
        self._control = self._client()
        began = time.perf_counter()
        self._spawn(superlink)
        if not at_once:
            self._await(lambda: all(ports.answers(f"{ports.LOOPBACK}:{port}") for port in superlink.ports.values()))
        for component in others:
            self._spawn(component)
        connected: set[str] = set()
        self._await(lambda: self._ready(components, connected))
        return time.perf_counter() - began

    def down(self) -> None:
        """End everything, the SuperLink last."""
        if self._control is not None:
            self._control.close()  # an idle connection can keep a SuperLink from ending
            self._control = None
        for names in ([name for name in self._pids if name != SUPERLINK], [SUPERLINK]):
            pids = [self._pids[name] for name in names if name in self._pids]
            processes.send(pids, signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS
            while any(processes.alive(pid) for pid in pids) and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS)
        processes.kill_all(lambda: processes.marked(self.folder.root))  # reaps what has ended, too
        for pid in self._pids.values():
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue
        self._pids.clear()

    def run(self, *, sample: Callable[[], None] | None = None, every: float = 0.5) -> tuple[Done, str]:
        """Run the app with ``flwr run --stream``; return the command, and Flower's id of the run.

        Parameters
        ----------
        sample : callable or None
            Called every `every` seconds meanwhile.
        """
        home = self.folder.home("flwr")
        home.mkdir(parents=True, exist_ok=True)
        before = set(self.control.runs())
        argv = [str(self._bin / "flwr"), "run", str(self._connected_app(home)), CONNECTION, "--stream"]
        env = self._env | {"FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
        done = timed(argv, cwd=home, env=env, sample=sample, every=every)
        (run,) = set(self.control.runs()) - before
        return done, run

    def _connected_app(self, home: Path) -> Path:
        """Tell `flwr` where the SuperLink is; return a copy of the app from which it can be run."""
        app = self.folder.root / "app"
        shutil.rmtree(app, ignore_errors=True)
        shutil.copytree(self.app, app, ignore=shutil.ignore_patterns(".flowerbed", "federation.*"))
        address = f"{ports.LOOPBACK}:{self._numbers[SUPERLINK][self._row.contract.control_port()]}"
        where = f'address = "{address}"\ninsecure = true\n'
        if self._row.minor >= _CONFIG_FILE_SINCE:
            (home / "config.toml").write_text(f"[superlink.{CONNECTION}]\n{where}", encoding="utf-8")
        else:
            with (app / "pyproject.toml").open("a", encoding="utf-8") as pyproject:
                pyproject.write(f"\n[tool.flwr.federations.{CONNECTION}]\n{where}")
        return app

    def _plan(self) -> list[PlannedComponent]:
        wanted = [(component.name, port.name) for component in self._topology.components for port in component.ports]
        self._numbers = {component.name: {} for component in self._topology.components}
        for (component, port), number in zip(wanted, ports.find_free(len(wanted)), strict=True):
            self._numbers[component][port] = number
        units = resolve(
            self._topology,
            self._numbers,
            self.folder,
            minor=str(self._row.minor),
            executables=self._bin,
            environment=self._env,
        )
        return [component for unit in units for component in unit.components]

    def _client(self) -> Control:
        contract = self._row.contract
        address = f"{ports.LOOPBACK}:{self._numbers[SUPERLINK][contract.control_port()]}"
        database = self.folder.data(SUPERLINK, str(self._row.minor)) / DATABASE.name
        argv = [
            *(str(self._bin / "python"), "-u", str(bundles.PACKAGE), bundles.CONTROL),
            *("--dialect", contract.dialect, "--address", address, "--database", str(database), "--expire-nodes"),
        ]
        env = self._env | {"FLWR_HOME": str(self.folder.home("control-client")), "FLWR_TELEMETRY_ENABLED": "0"}
        return Control(argv, env, log=self.folder.log("control-client"))

    def _spawn(self, component: PlannedComponent) -> None:
        home = self.folder.home(component.name)
        for needed in (home, self.folder.data(component.name, str(self._row.minor))):
            needed.mkdir(parents=True, exist_ok=True)
        env = {name: value for name, value in component.env.items() if name not in (WAIT_FOR, WAIT_FOR_FILE)}
        log = self.folder.log(component.name)
        self._pids[component.name] = processes.spawn(component.argv, env=env, cwd=home, log=log)

    def _ready(self, components: list[PlannedComponent], connected: set[str]) -> bool:
        superexecs = [component for component in components if component.role in _SUPEREXECS]
        for component in superexecs:
            if component.name not in connected:
                dialled = int(component.dials[0].rpartition(":")[2])
                if ports.connected_to([self._pids[component.name]], dialled):
                    connected.add(component.name)
        return len(connected) == len(superexecs) and self.control.nodes_online() >= len(self._topology.supernodes)

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            for name, pid in self._pids.items():
                if not processes.alive(pid):
                    raise NotReady(f"{name} ended; its log ends with\n{_tail(self.folder.log(name))}")
            if time.monotonic() > deadline:
                raise NotReady(f"not ready after {READY_SECONDS:g} s")
            time.sleep(LOOK_SECONDS)


def _plain(federation: Federation) -> Federation:
    """Return the same without TLS and keys, which somebody with a terminal would not make."""
    security = Security(tls=Tls(mode=TlsMode.DISABLED), node_auth=False)
    return federation.model_copy(update={"spec": federation.spec.model_copy(update={"security": security})})


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
