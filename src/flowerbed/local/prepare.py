"""From a folder to a plan: everything that can be known, solved or found wrong before anything starts.

Gather (the app, the environment), decide (release, topology, ports), and return a plan.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from flowerbed.environments.asking import request
from flowerbed.environments.cache import write_durably
from flowerbed.environments.environment import ensure
from flowerbed.environments.model import Environment
from flowerbed.environments.python import Interpreter, choose_python
from flowerbed.errors import ReleaseError, UsageError
from flowerbed.flower import inside
from flowerbed.flower.contract import DATABASE, ReleaseContract
from flowerbed.flower.releases import Row, choose_locked
from flowerbed.local import ports
from flowerbed.local.checking import check
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import LISTED, REGISTERED, Plan, Ports, common_environment, resolve
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.source import Progress, Source
from flowerbed.local.versions import with_versions
from flowerbed.spec.app import AppManifest
from flowerbed.spec.expose import Listening
from flowerbed.spec.limits import check_local
from flowerbed.spec.lock import Lock, lock_at
from flowerbed.spec.run_config_check import run_config
from flowerbed.spec.tls import TlsMode
from flowerbed.spec.values import LOWEST_PORT, duration_seconds
from flowerbed.topology.build import build
from flowerbed.topology.build import protection as protection_of
from flowerbed.topology.model import SUPERLINK, Component, Topology
from flowerbed.trust.layout import CA


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
    federation = source.federation
    wanted_config = run_config(source.loaded, source.manifest, config or [])
    limit = federation.spec.run.timeout_seconds if timeout is None else _seconds(timeout)
    _check_tls(source)
    row = choose_release(source, flower)
    topology = _without_revoked(build(federation, row.contract, row.minor), source)
    _check_size(source, row)
    _check_ports(source, topology)
    _check_exposed(source, row)
    source.folder.create()
    environment = _environment(source, row, progress)
    check(source, environment, progress)
    if flower is None:  # a release for this once is not what the federation is locked to
        _write_lock(source, row, environment)
    plan = _plan(source, row, environment, topology)
    return Prepared(source, plan, dict(wanted_config), limit)


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
    return choose_locked(flower or source.federation.spec.flower, locked.flower if locked else None, allowed)


def _write_lock(source: Source, row: Row, environment: Environment) -> None:
    python = ".".join(environment.python_version.split(".")[:2])
    before = lock_at(source.lock)
    release, asked = str(row.release), source.manifest.requirements_digest
    kept = before if before is not None and before.flower == release else Lock(release)
    lock = replace(kept, python=python, requirements=asked, environment=environment.key)
    if lock != before:
        write_durably(source.lock, lock.render())


def _check_tls(source: Source) -> None:
    mode = source.federation.spec.tls_mode
    if mode in (TlsMode.SECRET, TlsMode.CERT_MANAGER):
        raise source.problem(
            ("spec", "security", "tls", "mode"),
            f"{mode} is for Kubernetes: there are no Secrets on this machine",
            "write Auto for both, or keep a file for each place",
        )


def _check_size(source: Source, row: Row) -> None:
    spec = source.federation.spec.model_copy(update={"flower": str(row.minor)})
    federation = source.federation.model_copy(update={"spec": spec})
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    findings = check_local(federation, os.cpu_count() or 1, memory)
    for finding in findings:
        raise source.problem(finding.path, finding.message, finding.hint)


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


def choose_interpreter(source: Source, row: Row) -> Interpreter:
    """Return the Python for an app's environment.

    Raises
    ------
    FlowerbedError
        If the file asks for one that the Flower release does not run on, or none that will do is found.
    """
    wanted = source.federation.spec.python
    if wanted is not None and wanted not in row.pythons:
        offered = ", ".join(sorted(row.pythons, key=lambda minor: int(minor.partition(".")[2])))
        message = f"Flower {row.release} does not run on Python {wanted}; it runs on {offered}"
        raise source.problem(("spec", "python"), message, None)
    return choose_python(row.pythons, wanted=wanted, requires=str(source.manifest.requires_python or ""))


def _environment(source: Source, row: Row, progress: Progress) -> Environment:
    python = choose_interpreter(source, row)
    wanted = request(
        source.app, release=str(row.release), python=python, launchers=inside.launchers(), progress=progress
    )
    return ensure(wanted, progress)


def _plan(source: Source, row: Row, environment: Environment, topology: Topology) -> Plan:
    folder = source.folder
    common = common_environment(folder, [environment.launcher_bin, environment.bin])
    contract = row.contract
    numbers = _ports(source, topology, _asked_ports(source, contract))
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
            *(str(environment.python), "-u", str(inside.CLIENT)),
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


def _asked_ports(source: Source, contract: ReleaseContract) -> dict[str, int]:
    """Return the numbers that the file gives to the SuperLink's ports; SuperNodes outside dial one that is known."""
    expose = source.federation.spec.superlink.expose
    dialled = {contract.fleet_port(): expose.port} if expose is not None and expose.port >= LOWEST_PORT else {}
    return {**dialled, **source.federation.spec.superlink.ports.model_dump(exclude_none=True)}


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
