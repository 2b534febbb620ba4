"""Spec × contract → topology: which programs a federation needs, and which of them share a fate."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowerbed.flower.contract import Program, Protection, ReleaseContract
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, ScratchFolder, Value
from flowerbed.spec.model import Execution, Federation, Layout, ServerApp, SuperNodePool
from flowerbed.spec.run_config import ConfigValue
from flowerbed.spec.tls import TlsMode
from flowerbed.topology.model import PARTITION_ID, SUPERLINK, Component, Pool, Role, Topology, Unit
from flowerbed_inside.variables import EXECUTION, SCRATCH_ROOT

SERVERAPP_SUPEREXEC = "superexec-serverapp"


def build(federation: Federation, contract: ReleaseContract, minor: Minor) -> Topology:
    """Return the units of a federation on one Flower release.

    Partition ids are counted through all pools in the order of the file, so that every SuperNode has one
    of its own and `num-partitions` is their total; those of external pools too, which have no units.

    With ``layout: Colocated`` a SuperNode and its ClientApp SuperExec are one unit, because either one
    without the other wedges (measured on 1.22 and 1.4x); the SuperLink and the ServerApp's SuperExec are
    not, because a run survives the loss of the first and never of the second.
    """
    units = list(server_units(federation, contract, minor))
    for name, (pool, partition) in _numbered(federation).items():
        if not pool.external:
            units.extend(_supernode_units(federation, pool, name, str(partition), contract, minor))
    return Topology(federation.metadata.name, tuple(units), federation.spec.external_nodes)


def external_unit(federation: Federation, node: str, contract: ReleaseContract, minor: Minor) -> Unit:
    """Return the unit of a SuperNode that runs elsewhere: it dials the SuperLink as all do."""
    pool, partition = _numbered(federation)[node]
    (unit,) = _supernode_units(federation, pool, node, str(partition), contract, minor)
    return unit


def _numbered(federation: Federation) -> dict[str, tuple[SuperNodePool, int]]:
    """Return all SuperNodes by name: their pools and partition ids."""
    names = [
        (pool, f"{pool.name}-{ordinal}") for pool in federation.spec.supernodes for ordinal in range(pool.replicas)
    ]
    return {name: (pool, partition) for partition, (pool, name) in enumerate(names)}


def server_units(federation: Federation, contract: ReleaseContract, minor: Minor) -> tuple[Unit, Unit]:
    """Return the units of the server's side: the SuperLink's and that of the ServerApp's SuperExec."""
    superlink = _component(SUPERLINK, Role.SUPERLINK, contract.superlink(minor, protection(federation)))
    serverapp = _component(
        SERVERAPP_SUPEREXEC,
        Role.SERVERAPP_SUPEREXEC,
        contract.serverapp_superexec(minor, protection(federation), superlink=SUPERLINK),
        env={**federation.spec.serverapp.env, **_execution(federation, federation.spec.serverapp)},
    )
    return Unit(SUPERLINK, (superlink,)), Unit(SERVERAPP_SUPEREXEC, (serverapp,), after=(SUPERLINK,))


def pools(federation: Federation, contract: ReleaseContract, minor: Minor) -> tuple[Pool, ...]:
    """Return the pools of a federation that run here, for a runtime that counts a pool's SuperNodes by itself.

    ``partition-id`` of a SuperNode is the pool's first one plus the SuperNode's ordinal: the same as `build` gives.
    """
    found: list[Pool] = []
    first = 0
    for pool in federation.spec.supernodes:
        if not pool.external:
            units = _supernode_units(federation, pool, pool.name, PARTITION_ID, contract, minor)
            found.append(Pool(pool.name, pool.replicas, first, tuple(units)))
        first += pool.replicas
    return tuple(found)


def protection(federation: Federation) -> Protection:
    """Return what the file says of how programs protect themselves."""
    return Protection(tls=federation.spec.tls_mode is not TlsMode.DISABLED, node_auth=federation.spec.node_auth)


def node_config_argument(config: dict[str, ConfigValue]) -> str:
    """Return a node config as ``--node-config`` takes it: TOML pairs separated by spaces."""
    return " ".join(f"{key}={_toml(value)}" for key, value in config.items())


def _supernode_units(
    federation: Federation,
    pool: SuperNodePool,
    name: str,
    partition: str,
    contract: ReleaseContract,
    minor: Minor,
) -> list[Unit]:
    total = federation.spec.supernode_count
    config = f"partition-id={partition} num-partitions={total} {node_config_argument(pool.node_config)}".rstrip()
    env: dict[str, Value] = {SCRATCH_ROOT: ScratchFolder(name), **pool.env}
    supernode = _component(
        name,
        Role.SUPERNODE,
        contract.supernode(minor, protection(federation), superlink=SUPERLINK, node_config=config),
        env=env,
    )
    superexec = _component(
        f"{name}-superexec",
        Role.CLIENTAPP_SUPEREXEC,
        contract.clientapp_superexec(minor, protection(federation), supernode=name),
        env={**env, **_execution(federation, pool)},
    )
    if federation.spec.layout is Layout.COLOCATED:
        return [Unit(name, (supernode, superexec), after=(SUPERLINK,))]
    return [Unit(name, (supernode,), after=(SUPERLINK,)), Unit(superexec.name, (superexec,), after=(name,))]


def _execution(federation: Federation, side: SuperNodePool | ServerApp) -> dict[str, Value]:
    """Return what tells a SuperExec how its apps begin; nothing where they do as unless told otherwise."""
    said = federation.spec.execution_of(side)
    return {} if said is Execution.WARM else {EXECUTION: said.value}


def _component(name: str, role: Role, program: Program, *, env: Mapping[str, Value] | None = None) -> Component:
    dials = tuple((value.component, value.port) for value in program.arguments if isinstance(value, Address))
    return Component(
        name=name,
        role=role,
        executable=program.executable,
        arguments=program.arguments,
        ports=program.ports,
        environment={**program.environment, **(env or {})},
        dials=dials,
    )


def _toml(value: ConfigValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Flower splits the pairs before TOML reads them, and takes any quotation mark for a value's end.
        quoted = json.dumps(value, ensure_ascii=False)[1:-1]
        quoted = quoted.replace('\\"', "\\u0022").replace("\x7f", "\\u007f")
        return '"' + quoted.replace(PARTITION_ID, PARTITION_ID.replace("{", "\\u007b")) + '"'
    return repr(value)
