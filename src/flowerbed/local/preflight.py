"""All that can be found wrong before anything is built or started, cheaply: one list for `doctor`, `run` and `up`.

Nothing is written and nothing is started, but for a Python that is asked for its version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

from flowerbed.counting import counted
from flowerbed.environments.asking import check_static
from flowerbed.environments.python import Interpreter, allows, choose_python
from flowerbed.errors import AppError, ReleaseError, UsageError
from flowerbed.flower.contract import ReleaseContract
from flowerbed.flower.missing import surely_missing
from flowerbed.flower.releases import Row, choose_locked
from flowerbed.local import machine, ports, warmth
from flowerbed.local.plan import Plan
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.source import Source
from flowerbed.spec.expose import Listening
from flowerbed.spec.limits import check_local
from flowerbed.spec.lock import lock_at
from flowerbed.spec.run_config import ConfigValue
from flowerbed.spec.run_config_check import run_config
from flowerbed.spec.tls import TlsMode
from flowerbed.spec.values import LOWEST_PORT, duration_seconds
from flowerbed.topology.build import build
from flowerbed.topology.model import SUPERLINK, Component, Topology


class Preflight:
    """The checks of one federation on this machine, and what they find out on the way.

    Parameters
    ----------
    source : Source
        The federation and its app.
    flower : str or None
        A Flower release that goes before the file's.
    config : sequence of str
        Run config from the command line.
    timeout : str or None
        A run's time limit from the command line.
    """

    def __init__(
        self, source: Source, *, flower: str | None = None, config: Sequence[str] = (), timeout: str | None = None
    ) -> None:
        self._source = source
        self._flower = flower
        self._config = config
        self._timeout = timeout

    @property
    def checks(self) -> list[tuple[str, Callable[[], str]]]:
        """Name and check, in order; a check returns what it found in a sentence, and raises if something is wrong."""
        return [
            ("run-config", self._check_run_config),
            ("app", self._check_app),
            ("flower", self._check_release),
            ("fits", self._check_size),
            ("execution", self._check_execution),
            ("superlink", self._check_superlink),
            ("folder", self._check_folder),
            ("app-python", self._check_python),
            ("dependencies", self._check_dependencies),
        ]

    def check(self) -> None:
        """Make all checks.

        Raises
        ------
        FlowerbedError
            The first thing that is wrong.
        """
        for _, check in self.checks:
            check()

    @cached_property
    def run_config(self) -> dict[str, ConfigValue]:
        """The run config of runs: the file's, and the command line's over it."""
        return run_config(self._source.loaded, self._source.manifest, self._config)

    @property
    def time_limit(self) -> int | None:
        """How long a run may take, in seconds."""
        return self._source.federation.spec.run.timeout_seconds if self._timeout is None else _seconds(self._timeout)

    @cached_property
    def row(self) -> Row:
        """The Flower release."""
        return choose_release(self._source, self._flower)

    @cached_property
    def topology(self) -> Topology:
        """What runs, with places by reference."""
        return _without_revoked(build(self._source.federation, self.row.contract, self.row.minor), self._source)

    @cached_property
    def python(self) -> Interpreter:
        """The Python of Flower's environment."""
        return choose_interpreter(self._source, self.row)

    def _check_run_config(self) -> str:
        given, limit = len(self.run_config), self.time_limit
        said = f"replaces {given} of the app's {len(self._source.manifest.config)} values" if given else "the app's own"
        return said + (f"; a run may take {limit} s" if limit else "")

    def _check_app(self) -> str:
        """Check that the modules of the ServerApp and the ClientApp are there, as far as the app's folder tells."""
        manifest = self._source.manifest
        for what, reference, place in (
            ("ServerApp", manifest.serverapp, manifest.serverapp_place),
            ("ClientApp", manifest.clientapp, manifest.clientapp_place),
        ):
            module = reference.partition(":")[0]
            if why := surely_missing(self._source.app, module):
                raise AppError(
                    f"the {what} cannot be imported: the app has no module {module!r}", where=place, hint=why
                )
        return f"{manifest.serverapp} and {manifest.clientapp}"

    def _check_release(self) -> str:
        requirement = self._source.manifest.flwr_requirement
        allowed = f", which the app's {requirement} allows" if requirement is not None else ""
        return f"Flower {self.row.release}{allowed}"

    def _check_size(self) -> str:
        spec = self._source.federation.spec.model_copy(update={"flower": str(self.row.minor)})
        federation = self._source.federation.model_copy(update={"spec": spec})
        for finding in check_local(federation, machine.cores(), machine.memory()):
            raise self._source.problem(finding.path, finding.message, finding.hint)
        return f"{counted(len(self.topology.components), 'program')} in this machine's memory"

    def _check_execution(self) -> str:
        return warmth.told(self._source.federation.spec)

    def _check_superlink(self) -> str:
        """Check how the SuperLink is reached: its certificate, its ports, and who else may dial it."""
        _check_tls(self._source)
        _check_ports(self._source, self.topology)
        _check_exposed(self._source, self.row)
        asked = asked_ports(self._source, self.row.contract)
        had = _ports_in_use(self._source) if asked else {}
        for port, number in asked.items():
            if had.get(port) != number:
                ports.require_free(number, purpose=f"spec.superlink.ports.{port}")
        return f"ports {', '.join(map(str, asked.values()))}" if asked else "ports that are free"

    def _check_folder(self) -> str:
        self._source.folder.require_writable()
        return str(self._source.folder.root)

    def _check_python(self) -> str:
        return f"Python {self.python.version} at {self.python.path}"

    def _check_dependencies(self) -> str:
        count = check_static(self._source.app, release=str(self.row.release), python=self.python)
        if count is None:
            return "told by the app's build back end when the environment is built"
        return f"Flower, and {count} of the app's own" if count else "Flower alone"


def _seconds(timeout: str) -> int:
    seconds = duration_seconds(timeout)
    if not seconds:
        raise UsageError(
            f"{timeout!r} is not a length of time", where="--timeout", hint="For example 90s, 30m or 1h30m."
        )
    return seconds


def choose_release(source: Source, flower: str | None = None) -> Row:
    """Choose the release: the command line's, the lock's, the file's, or the newest that the app allows.

    Raises
    ------
    FlowerbedError
        If there is none; what is wrong with the file's own wish is told with its place in the file.
    """
    try:
        return _choose_release(source, flower)
    except ReleaseError as error:
        if source.loaded is None or flower is not None or source.federation.spec.flower is None:
            raise
        raise source.problem(("spec", "flower"), error.message, error.hint) from None


def _choose_release(source: Source, flower: str | None) -> Row:
    requirement = source.manifest.flwr_requirement
    allowed = requirement.specifier if requirement is not None else None
    locked = lock_at(source.lock) if flower is None else None
    asked = flower or source.federation.spec.flower
    return choose_locked(asked, locked.flower if locked else None, allowed, place=source.manifest.flwr_place)


def _check_tls(source: Source) -> None:
    mode = source.federation.spec.tls_mode
    if mode in (TlsMode.SECRET, TlsMode.CERT_MANAGER):
        raise source.problem(
            ("spec", "security", "tls", "mode"),
            f"{mode} is for Kubernetes: there are no Secrets on this machine",
            "write Auto for both, or keep a file for each place",
        )


def _check_ports(source: Source, topology: Topology) -> None:
    """Refuse a number for a port that this release's SuperLink does not have."""
    superlink = next(component for component in topology.components if component.name == SUPERLINK)
    offered = [port.name for port in superlink.ports]
    for name in source.federation.spec.superlink.ports.model_dump(exclude_none=True):
        if name not in offered:
            message = f"this Flower release's SuperLink has no such port; it has {', '.join(offered)}"
            raise source.problem(("spec", "superlink", "ports", name), message, None)


def _check_exposed(source: Source, row: Row) -> None:
    """Refuse to show the Control API, which has no authentication, to other machines along with the Fleet API."""
    expose = source.federation.spec.superlink.expose
    shared = row.contract.fleet_port() == row.contract.control_port()
    if expose is None or expose.listen is Listening.LOOPBACK or not shared or expose.accept_open_control_api:
        return
    raise source.problem(
        ("spec", "superlink", "expose", "listen"),
        f"Flower {row.release} has the Control API on the same port: whoever reaches this machine could run code here",
        "keep Loopback and have a proxy of yours pass on /v1/fleet/ alone, take a release before 1.40, or run this on"
        " Kubernetes",
    )


def _without_revoked(topology: Topology, source: Source) -> Topology:
    """Return the topology without SuperNodes that `node revoke` was said of, and without their SuperExecs."""
    trust = source.folder.trust
    revoked = {component.name for component in topology.supernodes if trust.revoked(component.name).exists()}
    if not (revoked and source.federation.spec.node_auth):
        return topology

    def needs_one(component: Component) -> bool:
        return component.name in revoked or any(peer in revoked for peer, _ in component.dials)

    kept = [unit for unit in topology.units if not any(map(needs_one, unit.components))]
    return replace(topology, units=tuple(kept))


def asked_ports(source: Source, contract: ReleaseContract) -> dict[str, int]:
    """Return the numbers that the file gives to the SuperLink's ports; SuperNodes outside dial one that is known."""
    expose = source.federation.spec.superlink.expose
    dialled = {contract.fleet_port(): expose.port} if expose is not None and expose.port >= LOWEST_PORT else {}
    return {**dialled, **source.federation.spec.superlink.ports.model_dump(exclude_none=True)}


def _ports_in_use(source: Source) -> dict[str, int]:
    """Return the numbers of the SuperLink's ports that this federation itself holds now."""
    if not LocalRuntime(source.folder).is_up():
        return {}
    last = Plan.last(source.folder.plan)
    return {} if last is None else last.ports.get(SUPERLINK, {})


def choose_interpreter(source: Source, row: Row) -> Interpreter:
    """Return the Python for an app's environment.

    Raises
    ------
    FlowerbedError
        If the file or the app asks for one that the Flower release does not run on, or none that will do is found.
    """
    wanted, requires = source.federation.spec.python, str(source.manifest.requires_python or "")
    offered = sorted(row.pythons, key=lambda minor: int(minor.partition(".")[2]))
    if wanted is not None and wanted not in offered:
        message = f"Flower {row.release} does not run on Python {wanted}; it runs on {', '.join(offered)}"
        raise source.problem(("spec", "python"), message, None)
    fitting = [minor for minor in offered if allows(requires, minor)]
    if not fitting:
        raise AppError(
            f"the app needs Python {requires}, and Flower {row.release} runs on {', '.join(offered)}",
            where=source.manifest.python_place,
            hint="Change requires-python, or choose another Flower release.",
        )
    if wanted is not None and wanted not in fitting:
        message = f"the app needs Python {requires}, and this is {wanted}"
        raise source.problem(("spec", "python"), message, f"{', '.join(fitting)} would do")
    return choose_python(fitting if wanted is None else [wanted], requires=requires)
