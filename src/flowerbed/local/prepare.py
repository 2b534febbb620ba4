"""From a folder to a plan: everything that can be known, solved or found wrong before anything starts.

Gather (the app, the environment), decide (release, topology, ports), and return a plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flowerbed.environments.asking import request
from flowerbed.environments.cache import write_durably
from flowerbed.environments.environment import ensure
from flowerbed.environments.model import Environment
from flowerbed.environments.python import Interpreter
from flowerbed.flower.contract import DATABASE, ReleaseContract
from flowerbed.flower.releases import Row
from flowerbed.local import ports
from flowerbed.local.checking import check
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import LISTED, REGISTERED, Plan, Ports, common_environment, resolve
from flowerbed.local.preflight import Preflight, asked_ports
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.source import Progress, Source
from flowerbed.local.versions import with_versions
from flowerbed.spec.app import AppManifest
from flowerbed.spec.expose import Listening
from flowerbed.spec.lock import Lock, lock_at
from flowerbed.topology.build import protection as protection_of
from flowerbed.topology.model import SUPERLINK, Topology
from flowerbed.trust.layout import CA
from flowerbed_inside import bundles


@dataclass(frozen=True)
class Prepared:
    """What is ready to be started.

    Parameters
    ----------
    source : Source
        What it comes from.
    plan : Plan
        What shall run.
    run_config : dict
        The run config of runs: the file's, and the command line's over it.
    timeout : float or None
        How long a run may take, in seconds.
    """

    source: Source
    plan: Plan
    run_config: dict[str, object]
    timeout: float | None

    @property
    def folder(self) -> StateFolder:
        """Where the federation's state lies."""
        return self.source.folder

    @property
    def manifest(self) -> AppManifest:
        """The app's manifest."""
        return self.source.manifest


def prepare(
    source: Source,
    *,
    flower: str | None = None,
    progress: Progress,
    config: list[str] | None = None,
    timeout: str | None = None,
) -> Prepared:
    """Make everything ready: environment, checks, ports, plan. Starts nothing.

    Parameters
    ----------
    source : Source
        From `find`.
    flower : str or None
        A Flower release that goes before the file's.
    progress : callable
        Told what is being done.
    config : list of str or None
        Run config from the command line.
    timeout : str or None
        A run's time limit from the command line.

    Raises
    ------
    FlowerbedError
        Whatever is wrong: nothing was started.
    """
    found = Preflight(source, flower=flower, config=config or [], timeout=timeout)
    found.check()
    source.folder.create()
    environment = _environment(source, found.row, found.python, progress)
    check(source, environment, progress)
    plan = _plan(source, found.row, environment, found.topology)
    for_good = flower is None and not LocalRuntime(source.folder).refuses(plan)
    if for_good:  # a release for this once, or one that is refused, is not what the federation is locked to
        _write_lock(source, found.row, environment)
    return Prepared(source, plan, dict(found.run_config), found.time_limit)


def _write_lock(source: Source, row: Row, environment: Environment) -> None:
    python = ".".join(environment.python_version.split(".")[:2])
    before = lock_at(source.lock)
    release, asked = str(row.release), source.manifest.requirements_digest
    kept = before if before is not None and before.flower == release else Lock(release)
    lock = replace(kept, python=python, requirements=asked, environment=environment.key)
    if lock != before:
        write_durably(source.lock, lock.render())


def _environment(source: Source, row: Row, python: Interpreter, progress: Progress) -> Environment:
    wanted = request(
        source.app,
        release=str(row.release),
        python=python,
        launchers=bundles.launchers(),
        modules=bundles.bundle(bundles.LAUNCH),
        progress=progress,
    )
    return ensure(wanted, progress)


def _plan(source: Source, row: Row, environment: Environment, topology: Topology) -> Plan:
    folder = source.folder
    common = common_environment(folder, [environment.launcher_bin, environment.bin])
    contract = row.contract
    numbers = _ports(source, topology, asked_ports(source, contract))
    control = f"{ports.LOOPBACK}:{numbers[SUPERLINK][contract.control_port()]}"
    minor = str(row.minor)
    protection = protection_of(source.federation)
    admission = _admission(contract) if protection.node_auth else ""
    versions = _trust(source) if protection.tls else {}
    units = resolve(
        topology,
        numbers,
        folder,
        minor=minor,
        executables=environment.launcher_bin,
        environment=common,
        admitted=bool(admission),
        shown=_shown(source, contract),
    )
    database = folder.data(SUPERLINK, minor) / DATABASE.name
    plan = Plan(
        federation=topology.federation,
        release=str(row.release),
        environment=str(environment.path),
        client=[
            *(str(environment.python), "-u", str(bundles.PACKAGE), bundles.CONTROL),
            *("--dialect", contract.dialect, "--address", control, "--database", str(database)),
            *(("--root-certificates", str(folder.trust.certificate(CA))) if protection.tls else ()),
        ],
        client_env=common | {"FLWR_HOME": str(folder.home("control-client")), "FLWR_TELEMETRY_ENABLED": "0"},
        taken=contract.work_marks.taken,
        replied=contract.work_marks.replied,
        lost=contract.work_marks.lost,
        admission=admission,
        units=units,
        external=[node for node in topology.external if not folder.trust.revoked(node).exists()],
    )
    return with_versions(plan, versions)


def _admission(contract: ReleaseContract) -> str:
    return REGISTERED if contract.registers_nodes else LISTED


def _trust(source: Source) -> dict[str, str]:
    from flowerbed.local import trusting  # cryptography takes a moment to import, and not every federation needs it

    living = LocalRuntime(source.folder).is_up()
    return trusting.make(source.federation, source.folder, living=living)


def _shown(source: Source, contract: ReleaseContract) -> str:
    """Return the SuperLink's port that other machines may dial; empty for none."""
    expose = source.federation.spec.superlink.expose
    return contract.fleet_port() if expose is not None and expose.listen is Listening.ALL_INTERFACES else ""


def _ports(source: Source, topology: Topology, asked: dict[str, int]) -> Ports:
    """Give every port a number: the file's, else the one it had, else one that is free."""
    running = LocalRuntime(source.folder).is_up()
    last = Plan.last(source.folder.plan)
    before = {} if last is None else last.ports
    numbers: Ports = {component.name: {} for component in topology.components}
    missing = []
    for component in topology.components:
        for port in component.ports:
            had = before.get(component.name, {}).get(port.name)
            fixed = asked.get(port.name) if component.name == SUPERLINK else None
            if fixed is not None:
                if not (running and had == fixed):
                    ports.require_free(fixed, purpose=f"spec.superlink.ports.{port.name}")
                numbers[component.name][port.name] = fixed
            elif had is not None and (running or ports.is_free(had)):
                numbers[component.name][port.name] = had
            else:
                missing.append((component.name, port.name))
    for (component_name, port_name), number in zip(missing, ports.find_free(len(missing)), strict=True):
        numbers[component_name][port_name] = number
    return numbers
