"""Topology → plan: every place resolved to a loopback address or a path, ready to be started.

The plan is JSON on disk. The supervisor reads nothing else, so it needs neither the spec nor the contract
(nor their memory), and a supervisor that was killed leaves behind exactly what it had been told.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flowerbed.errors import StateError
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
from flowerbed.local.layout import StateFolder
from flowerbed.local.ports import EVERYWHERE, LOOPBACK
from flowerbed.processes import MARK
from flowerbed.topology.model import SUPERLINK, Component, Role, Topology
from flowerbed.trust import layout as trust_layout
from flowerbed.trust.layout import TrustLayout
from flowerbed_inside.levers.lever import LEVERS
from flowerbed_inside.variables import WAIT_FOR, WAIT_FOR_FILE

FORMAT = 1
TRUST_VERSION = "FLOWERBED_TRUST"
"""Changes when a program has to be started again, because a file that it reads only then is another one."""

LISTED = "listed"
REGISTERED = "registered"
"""How a SuperLink knows which SuperNodes may join: by the list that it reads when it starts, or by registration."""

Ports = dict[str, dict[str, int]]
"""Component name → port name → number."""

_PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *(
        "CUDA_VISIBLE_DEVICES",
        "LD_LIBRARY_PATH",
        "OPENBLAS_CORETYPE",
        "OPENBLAS_L2_SIZE",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    ),
    LEVERS,
)
"""Of the user's environment: who and where they are, their certificates, proxies, how to compute, and which levers are
on."""


@dataclass(frozen=True)
class PlannedComponent:
    """One program, ready to be started; fields as in `flowerbed.topology.model.Component`.

    Parameters
    ----------
    argv : list of str
        The whole command line, absolute.
    env : dict of str to str
        The whole environment.
    ports : dict of str to int
        Port name to loopback port number.
    dials : list of str
        The ``host:port`` addresses that it connects to.
    own : list of str
        The variables of `env` that are not just passed on.
    """

    name: str
    role: str
    argv: list[str]
    env: dict[str, str]
    ports: dict[str, int]
    dials: list[str]
    own: list[str]


@dataclass(frozen=True)
class PlannedUnit:
    """Components that live and die together."""

    name: str
    components: list[PlannedComponent]

    @property
    def fingerprint(self) -> str:
        """Changes when anything changes that the file, the release or the environment says of the unit.

        What was passed on from the environment of the shell that typed `up` is left out: another shell with
        another PATH is no reason to restart anything.
        """
        content = asdict(self)
        for component in content["components"]:
            component["env"] = {name: component["env"][name] for name in component["own"]}
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """All that a supervisor must know.

    Parameters
    ----------
    federation : str
        The federation's name.
    release : str
        The exact Flower release.
    environment : str
        The folder of Flower's environment.
    client : list of str
        The command line of the control client.
    client_env : dict of str to str
        Its environment.
    taken, replied, lost : str
        How a SuperNode's log shows that it took a message, is done with it, and that a reply was lost (regular
        expressions).
    units : list of PlannedUnit
        In the order of the topology.
    admission : str
        `LISTED` or `REGISTERED`; empty where any SuperNode may join.
    external : list of str
        The names of the SuperNodes that run elsewhere.
    """

    federation: str
    release: str
    environment: str
    client: list[str]
    client_env: dict[str, str]
    taken: str
    replied: str
    lost: str
    units: list[PlannedUnit] = field(default_factory=list)
    admission: str = ""
    external: list[str] = field(default_factory=list)

    def components(self) -> list[PlannedComponent]:
        """Return every component, in the order of the units."""
        return [component for unit in self.units for component in unit.components]

    def count(self, *roles: Role) -> int:
        """Return how many components have one of these roles."""
        return sum(1 for component in self.components() if component.role in roles)

    @property
    def minor(self) -> str:
        """The minor Flower release."""
        return self.release.rpartition(".")[0]

    @property
    def ports(self) -> Ports:
        """All port numbers, so that a second `up` gives the same ones."""
        return {component.name: component.ports for component in self.components()}

    def write(self, path: Path) -> None:
        """Write the plan so that a reader sees the old one or the new one, never half of one."""
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1), encoding="utf-8")
        beside.chmod(0o600)
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan.

        Raises
        ------
        StateError
            If it is missing, broken or of another format.
        """
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT:
                raise ValueError("another format")  # noqa: TRY301 - told below as everything else
            units = [
                PlannedUnit(unit["name"], [PlannedComponent(**component) for component in unit["components"]])
                for unit in data.pop("units")
            ]
            return cls(units=units, **data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"the plan cannot be read: {error}",
                where=str(path),
                hint="Run `flowerbed up` again: it writes a new one.",
            ) from error

    @classmethod
    def last(cls, path: Path) -> Plan | None:
        """Return the plan of the last `up`; None if there is none that can be read, which the next `up` will mend."""
        try:
            return cls.read(path)
        except StateError:
            return None


def common_environment(folder: StateFolder, bin_folders: list[Path]) -> dict[str, str]:
    """Return what every program gets: little of the user's environment, and the federation's mark."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    path = os.pathsep.join([*map(str, bin_folders), passed.get("PATH", os.defpath)])
    no_proxy = ",".join(filter(None, [passed.get("no_proxy") or passed.get("NO_PROXY", ""), LOOPBACK, "localhost"]))
    return {**passed, "PATH": path, "no_proxy": no_proxy, "NO_PROXY": no_proxy, MARK: str(folder.root)}


def resolve(
    topology: Topology,
    ports: Ports,
    folder: StateFolder,
    *,
    minor: str,
    executables: Path,
    environment: dict[str, str],
    admitted: bool = False,
    shown: str = "",
) -> list[PlannedUnit]:
    """Return the topology's units with every place filled in.

    Parameters
    ----------
    topology : Topology
        What shall run.
    ports : dict
        A number for every port of every component.
    folder : StateFolder
        Where data, homes and results lie.
    minor : str
        The minor Flower release. Each has data of its own, because none promises to read another's.
    executables : Path
        The folder with the programs (launchers that wait for what a program dials).
    environment : dict of str to str
        What every program gets, from `common_environment`.
    admitted : bool
        Whether a SuperNode has to wait until the SuperLink was told of its key.
    shown : str
        The SuperLink's port on which it listens for other machines too; empty for none.
    """

    def own(component: Component) -> dict[str, str]:
        found = {}
        if any(peer == SUPERLINK for peer, _ in component.dials):
            told = admitted and component.role is Role.SUPERNODE  # which is after the SuperLink has answered
            found[WAIT_FOR_FILE] = str(folder.admitted(component.name) if told else folder.superlink_answered)
        return found

    def planned(component: Component) -> PlannedComponent:
        seen = shown if component.role is Role.SUPERLINK else ""
        return _component(component, ports, folder, minor, executables, environment, own(component), seen)

    return [PlannedUnit(unit.name, [planned(component) for component in unit.components]) for unit in topology.units]


def _component(
    component: Component,
    ports: Ports,
    folder: StateFolder,
    minor: str,
    executables: Path,
    environment: dict[str, str],
    extra: dict[str, str],
    shown: str,
) -> PlannedComponent:
    def text(value: Value) -> str:
        return _text(value, component, ports, folder, minor, shown)

    dials = [f"{LOOPBACK}:{ports[peer][port]}" for peer, port in component.dials]
    own = {name: text(value) for name, value in component.environment.items()} | extra
    if dials:
        own[WAIT_FOR] = ",".join(dials)
    return PlannedComponent(
        name=component.name,
        role=component.role.value,
        argv=[str(executables / component.executable), *map(text, component.arguments)],
        env=environment | own,
        own=sorted(own),
        ports={port.name: ports[component.name][port.name] for port in component.ports},
        dials=dials,
    )


def _text(value: Value, component: Component, ports: Ports, folder: StateFolder, minor: str, shown: str) -> str:
    match value:
        case str():
            return value
        case Listen(port):
            return f"{EVERYWHERE if port == shown else LOOPBACK}:{ports[component.name][port]}"
        case ListenHost():
            return EVERYWHERE if ListenPort(shown) in component.arguments else LOOPBACK
        case ListenPort(port):
            return str(ports[component.name][port])
        case Address(peer, port):
            return f"{LOOPBACK}:{ports[peer][port]}"
        case DataFile(name):
            return str(folder.data(component.name, minor) / name)
        case HomeFolder():
            return str(folder.home(component.name))
        case ResultsFolder():
            return str(folder.results)
        case ScratchFolder(node):
            return str(folder.scratch / node)
        case TrustFile(what):
            return str(_trust_file(folder.trust, what, component.name))


def _trust_file(trust: TrustLayout, what: Trusted, component: str) -> Path:
    match what:
        case Trusted.AUTHORITY | Trusted.LOOPBACK_AUTHORITY:
            return trust.certificate(trust_layout.CA)
        case Trusted.SUPERLINK_CERTIFICATE:
            return trust.certificate(trust_layout.SUPERLINK)
        case Trusted.SUPERLINK_KEY:
            return trust.key(trust_layout.SUPERLINK)
        case Trusted.LOOPBACK_CERTIFICATE:
            return trust.certificate(trust_layout.LOOPBACK_SERVER)
        case Trusted.LOOPBACK_KEY:
            return trust.key(trust_layout.LOOPBACK_SERVER)
        case Trusted.SUPEREXEC_SECRET:
            return trust.secret
        case Trusted.NODE_LIST:
            return trust.node_list
        case Trusted.NODE_KEY:
            return trust.node_key(component)
        case Trusted.NODE_PUBLIC_KEY:
            return trust.node_public_key(component)
