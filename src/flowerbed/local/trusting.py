"""What a local federation trusts: made before anything starts, renewed and taken back while it runs."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime

from flowerbed.errors import UsageError
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan
from flowerbed.local.runtime import LocalRuntime, Watch
from flowerbed.local.versions import has_trust, with_versions
from flowerbed.spec.model import Federation
from flowerbed.trust import certificates, keys
from flowerbed.trust.folder import TrustFolder
from flowerbed.trust.layout import CA, LOOPBACK_SERVER, SUPERLINK, public_keys
from flowerbed.trust.seen import BEFORE, Certificate, Node, Rotated, revoked_node


def make(federation: Federation, folder: StateFolder, *, living: bool) -> dict[str, str]:
    """Make keys and certificates, as far as they are missing or due.

    Parameters
    ----------
    federation : Federation
        Whose they are.
    folder : StateFolder
        Where they lie.
    living : bool
        Whether programs may be running that know what is there now.

    Returns
    -------
    dict of str to str
        The files that programs read only when they start, and for each a text that changes with it.

    Raises
    ------
    TrustError
        If something that is there cannot be used.
    """
    trust = TrustFolder(folder.trust.root)
    _make_servers(trust, federation)
    if not living:
        trust.retire()
    if federation.spec.node_auth:
        spec = federation.spec
        trust.make_nodes(spec.own_nodes, random=secrets.token_bytes, external=spec.external_nodes)
    return trust.versions()


def kit(federation: Federation, node: str, folder: StateFolder) -> tuple[bytes, bytes]:
    """Return what a SuperNode that runs elsewhere is started with: its keys, and the certificate of the authority.

    What is missing is made.

    Raises
    ------
    UsageError
        If it may join no more.
    """
    folder.create()
    make(federation, folder, living=True)  # nothing that somebody may need is taken away
    if folder.trust.revoked(node).exists():
        raise revoked_node(node)
    return folder.trust.node_key(node).read_bytes(), folder.trust.certificate(CA).read_bytes()


def show(folder: StateFolder) -> list[Certificate]:
    """Return a federation's certificates; while its authority is being replaced, both.

    Raises
    ------
    UsageError
        If it has none.
    """
    trust = folder.trust
    if not trust.certificate(CA).exists():
        raise _nothing(folder)
    ca = trust.certificate(CA)
    current, *before = certificates.split(ca.read_bytes()) or [ca.read_bytes()]
    shown = [(CA, ca, current), *((BEFORE, ca, one) for one in before)]
    for name in (SUPERLINK, LOOPBACK_SERVER):
        path = trust.certificate(name)
        if path.exists():
            shown.append((name, path, path.read_bytes()))
    found = []
    for name, path, content in shown:
        said = certificates.describe(content, str(path))
        begins, ends = said.not_before.isoformat(), said.not_after.isoformat()
        found.append(Certificate(name, str(path), said.names, begins, ends, said.fingerprint))
    return found


def authority(folder: StateFolder) -> str:
    """Return the certificate of a federation's authority, in PEM; while it is being replaced, both.

    Raises
    ------
    UsageError
        If it has none.
    """
    path = folder.trust.certificate(CA)
    if not path.exists():
        raise _nothing(folder)
    return path.read_text(encoding="ascii")


def rotate(
    federation: Federation, runtime: LocalRuntime, *, new_authority: bool, new_secret: bool, watch: Watch
) -> Rotated:
    """Give the SuperLink a fresh certificate, or the federation a fresh authority, or SuperExecs a fresh secret.

    What runs is started again as far as it has to be, and nothing that a run needs which goes on: a SuperLink alone is.

    Raises
    ------
    UsageError
        If the federation has no certificates, or a secret cannot be changed now.
    """
    folder = runtime.folder
    if not folder.trust.certificate(CA).exists():
        raise _nothing(folder)
    trust = TrustFolder(folder.trust.root)
    if new_secret:
        _refuse_secret(runtime)
        trust.renew_secret(random=secrets.token_bytes)
    if new_authority or not new_secret:
        _make_servers(trust, federation, renew=not new_authority, new_authority=new_authority)
    restarted = _start_again(trust, runtime, watch)
    return Rotated(restarted, settle(runtime, watch=watch))


def settle(runtime: LocalRuntime, *, watch: Watch) -> bool:
    """Take an authority that was replaced out of what is trusted, unless a run goes on; return whether none is left.

    Raises
    ------
    TrustError
        If something that is there cannot be used.
    """
    trust = TrustFolder(runtime.folder.trust.root)
    if len(trust.authorities()) <= 1:
        return True
    if runtime.unfinished_run() is not None:
        return False
    _start_again(trust, runtime, watch)  # so that all know the new one and nobody shows a certificate of the one before
    trust.retire()
    _start_again(trust, runtime, watch)  # so that nobody remembers the one before
    return True


def _start_again(trust: TrustFolder, runtime: LocalRuntime, watch: Watch) -> bool:
    """Start what runs again as far as its files have changed; return whether anything was."""
    if not runtime.is_up():
        return False
    plan = Plan.read(runtime.folder.plan)
    if not has_trust(plan):
        return False  # what is up was started without TLS
    runtime.up(with_versions(plan, trust.versions()), tied=False, watch=watch)
    return Plan.read(runtime.folder.plan) != plan


def _refuse_secret(runtime: LocalRuntime) -> None:
    where = str(runtime.folder.root.parent)
    plan = Plan.last(runtime.folder.plan)
    secret = str(runtime.folder.trust.secret)
    if plan is not None and not any(secret in component.argv for component in plan.components()):
        raise UsageError(
            f"SuperExecs of Flower {plan.release} have no secret", where=where, hint="They do from 1.29 on."
        )
    number = runtime.unfinished_run()
    if number is not None:
        raise UsageError(
            f"the secret cannot be changed while run {number} goes on: a SuperLink knows one at a time",
            where=where,
            hint=f"Wait for it, or stop it with `flowerbed stop {number}`.",
        )


def nodes(folder: StateFolder, runtime: LocalRuntime) -> list[Node]:
    """Return the SuperNodes that have a key, and those that the SuperLink knows beside them."""
    trust = folder.trust
    known = {item["key"]: item for item in runtime.ask("nodes")["nodes"]} if runtime.is_up() else {}
    found = []
    for path in sorted(trust.nodes.glob("*.pub")):
        name = path.stem
        fingerprints = [keys.fingerprint(line) for line in path.read_bytes().splitlines()]
        registered = public_keys(trust.node_registered_key(name).read_text(encoding="ascii"))
        mine = [known.pop(key) for key in registered if key in known]
        now = next((item for item in mine if item["online"]), None)
        state = "online" if now is not None else "offline"
        if trust.revoked(name).exists():
            state = "revoked"
        external = len(registered) > 1  # nobody else has spare ones
        shown = now if external else next(iter(mine), None)
        flower_id = shown["id"] if shown is not None else None
        found.append(Node(name, state, " ".join(fingerprints), flower_id, external))
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
    """Let a SuperNode join no more, and end its programs if they run here; it stays so until `add`.

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
        external = [name for name in plan.external if name != node]
        if len(units) < len(plan.units) or len(external) < len(plan.external):
            runtime.up(replace(plan, units=units, external=external), tied=False, watch=watch)


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


def _make_servers(
    trust: TrustFolder, federation: Federation, *, renew: bool = False, new_authority: bool = False
) -> None:
    names = federation.spec.superlink_names
    trust.make_servers(
        federation.metadata.name,
        names,
        now=datetime.now(UTC),
        random=secrets.token_bytes,
        renew=renew,
        new_authority=new_authority,
    )


def _nothing(folder: StateFolder) -> UsageError:
    return UsageError(
        "this federation has no certificates",
        where=str(folder.root.parent),
        hint="Write security: {tls: {mode: Auto}} into its file; the next `flowerbed up` makes them.",
    )
