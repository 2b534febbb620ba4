"""What a local federation trusts: made before anything starts, renewed and taken back while it runs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flowerbed.errors import UsageError
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import TRUST_VERSION, Plan
from flowerbed.local.runtime import LocalRuntime, Watch
from flowerbed.spec.model import Federation
from flowerbed.topology.model import Role
from flowerbed.trust import certificates, keys
from flowerbed.trust.certificates import Described
from flowerbed.trust.folder import TrustFolder
from flowerbed.trust.layout import CA, LOOPBACK_SERVER, SUPERLINK


@dataclass(frozen=True)
class Certificate:
    """A certificate of a federation's.

    Parameters
    ----------
    name : str
        ``ca``, ``superlink`` or ``loopback``.
    path : str
        Its file.
    names : tuple of str
        The host names and addresses that it is for.
    not_before, not_after : str
        When it is good: ISO 8601, UTC.
    fingerprint : str
        The SHA-256 of the certificate, in hexadecimal digits.
    """

    name: str
    path: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    fingerprint: str


@dataclass(frozen=True)
class Node:
    """A SuperNode that has a key.

    Parameters
    ----------
    name : str
        Its name; empty for one that the SuperLink knows and the file does not.
    state : str
        ``online``, ``offline`` or ``revoked``.
    key : str
        The fingerprint of its key, as ``ssh-keygen -l`` prints it; empty if only the SuperLink has it.
    id : str or None
        Flower's id of it, while the federation is up.
    """

    name: str
    state: str
    key: str
    id: str | None


def make(federation: Federation, nodes: list[str], folder: StateFolder) -> str:
    """Make keys and certificates, as far as they are missing or due.

    Parameters
    ----------
    federation : Federation
        Whose they are.
    nodes : list of str
        The SuperNodes that need a key.
    folder : StateFolder
        Where they lie.

    Returns
    -------
    str
        A text that changes when a SuperLink that is running has to be started again to know what is new: of keys it is
        told meanwhile.

    Raises
    ------
    TrustError
        If something that is there cannot be used.
    """
    trust = TrustFolder(folder.trust.root)
    certificate = _servers(trust, federation, renew=False)
    if nodes:
        trust.make_nodes(nodes, random=secrets.token_bytes)
    return _version(certificate)


def show(folder: StateFolder) -> list[Certificate]:
    """Return a federation's certificates.

    Raises
    ------
    UsageError
        If it has none.
    """
    trust = folder.trust
    if not trust.certificate(CA).exists():
        raise _nothing(folder)
    found = []
    for name in (CA, SUPERLINK, LOOPBACK_SERVER):
        path = trust.certificate(name)
        if path.exists():
            said = certificates.describe(path.read_bytes(), str(path))
            begins, ends = said.not_before.isoformat(), said.not_after.isoformat()
            found.append(Certificate(name, str(path), said.names, begins, ends, said.fingerprint))
    return found


def authority(folder: StateFolder) -> str:
    """Return the certificate of a federation's authority, in PEM.

    Raises
    ------
    UsageError
        If it has none.
    """
    path = folder.trust.certificate(CA)
    if not path.exists():
        raise _nothing(folder)
    return path.read_text(encoding="ascii")


def rotate(federation: Federation, runtime: LocalRuntime, *, watch: Watch) -> bool:
    """Give the SuperLink a fresh certificate; one that runs is started again for it, and nothing else.

    Returns
    -------
    bool
        Whether a SuperLink was started again.

    Raises
    ------
    UsageError
        If the federation has no certificates.
    """
    folder = runtime.folder
    if not folder.trust.certificate(CA).exists():
        raise _nothing(folder)
    trust = TrustFolder(folder.trust.root)
    certificate = _servers(trust, federation, renew=True)
    if not runtime.is_up():
        return False
    plan = Plan.read(folder.plan)
    if not any(TRUST_VERSION in component.env for component in plan.components()):
        return False  # what is up was started without TLS
    runtime.up(_with_version(plan, _version(certificate)), tied=False, watch=watch)
    return True


def nodes(folder: StateFolder, runtime: LocalRuntime) -> list[Node]:
    """Return the SuperNodes that have a key, and those that the SuperLink knows beside them."""
    trust = folder.trust
    known = {item["key"]: item for item in runtime.ask("nodes")["nodes"]} if runtime.is_up() else {}
    found = []
    for path in sorted(trust.nodes.glob("*.pub")):
        name = path.stem
        key = keys.fingerprint(path.read_bytes())
        item = known.pop(trust.node_registered_key(name).read_text(encoding="ascii"), None)
        state = "online" if item is not None and item["online"] else "offline"
        if trust.revoked(name).exists():
            state = "revoked"
        found.append(Node(name, state, key, item["id"] if item is not None else None))
    found += [Node("", "online" if item["online"] else "offline", "", item["id"]) for item in known.values()]
    return found


def require(node: str, folder: StateFolder) -> None:
    """Check that a SuperNode has a key.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    names = sorted(path.stem for path in folder.trust.nodes.glob("*.pub"))
    if node not in names:  # and so no path to somewhere else either
        hint = f"There is {', '.join(names)}." if names else "With nodeAuth: true, `flowerbed up` makes their keys."
        raise UsageError(f"there is no SuperNode {node!r} with a key", where=str(folder.root.parent), hint=hint)


def revoke(node: str, runtime: LocalRuntime, *, watch: Watch) -> None:
    """Let a SuperNode join no more, and end its programs; it stays so until `add`.

    Raises
    ------
    UsageError
        If there is no such SuperNode.
    """
    folder = runtime.folder
    require(node, folder)
    TrustFolder(folder.trust.root).revoke_node(node)
    if runtime.is_up():
        runtime.ask("dismiss", node=node)
        plan = Plan.read(folder.plan)
        units = [unit for unit in plan.units if not _runs_for(node, plan, unit.name)]
        if len(units) < len(plan.units):
            runtime.up(replace(plan, units=units), tied=False, watch=watch)


def add(node: str, folder: StateFolder) -> bool:
    """Let a SuperNode that was revoked join again, under a fresh key, from the next `up` on; return whether it was."""
    require(node, folder)
    if not folder.trust.revoked(node).exists():
        return False
    TrustFolder(folder.trust.root).restore_node(node, random=secrets.token_bytes)
    return True


def _runs_for(node: str, plan: Plan, unit: str) -> bool:
    """Tell whether a unit is a SuperNode's, or that of its SuperExec."""
    addresses = {
        f"127.0.0.1:{number}"
        for component in plan.components()
        if component.name == node
        for number in component.ports.values()
    }
    [components] = [item.components for item in plan.units if item.name == unit]
    return any(component.name == node or addresses & set(component.dials) for component in components)


def _servers(trust: TrustFolder, federation: Federation, *, renew: bool) -> Described:
    names = federation.spec.security.tls.external_names
    now = datetime.now(UTC)
    return trust.make_servers(federation.metadata.name, names, now=now, random=secrets.token_bytes, renew=renew)


def _version(certificate: Described) -> str:
    return certificate.fingerprint[:16]


def _with_version(plan: Plan, version: str) -> Plan:
    units = []
    for unit in plan.units:
        components = [
            replace(component, env={**component.env, TRUST_VERSION: version})
            if component.role == Role.SUPERLINK.value
            else component
            for component in unit.components
        ]
        units.append(replace(unit, components=components))
    return replace(plan, units=units)


def _nothing(folder: StateFolder) -> UsageError:
    return UsageError(
        "this federation has no certificates",
        where=str(folder.root.parent),
        hint="Write security: {tls: {mode: Auto}} into its file; the next `flowerbed up` makes them.",
    )
