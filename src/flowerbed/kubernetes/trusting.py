"""What a federation in a cluster trusts, as Secrets and ConfigMaps: made by `up` as far as it is missing or due.

Pure: what is there comes in, what shall be there goes out; time and randomness are arguments. What is there and can be
used stays as it is, byte for byte. `flowerbed.kubernetes.manifests.trust` says which Pod gets what of it.

An authority is replaced as `flowerbed.trust.folder` says; what is there of the one before is in the authority's Secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flowerbed.errors import TrustError, UsageError
from flowerbed.flower.releases import Row
from flowerbed.kubernetes import labels
from flowerbed.kubernetes import living as looking
from flowerbed.kubernetes.living import Living
from flowerbed.kubernetes.managers import manager
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.certificate import superlink_names
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.needed import TLS_TYPE
from flowerbed.kubernetes.manifests.nginx import CLIENT_ORGANISATION
from flowerbed.kubernetes.manifests.trust import (
    DISMISSED_LIST,
    EXTERNAL_LIST,
    NODE_CSV,
    NODE_LIST,
    SECRET,
    SUPEREXEC_SECRET,
)
from flowerbed.kubernetes.manifests.trust_sources import BUNDLE, CERTIFICATE, KEY, trust_sources
from flowerbed.spec.model import Federation, SuperNodePool
from flowerbed.topology.build import protection
from flowerbed.topology.model import Role
from flowerbed.trust import certificates, keys, seen
from flowerbed.trust.certificates import Issued
from flowerbed.trust.keys import Random
from flowerbed.trust.seen import Certificate
from flowerbed.trust.servers import LOOPBACK, SERVER_DAYS
from flowerbed_inside.unit import node_keys

MOST_IN_POOL = 400
"""A Secret holds 1 MiB (kubernetes.io, "Secrets"), and a SuperNode's keys take 2.4 kB of it."""

REVOKED = "revoked.json"
EXTERNAL = "external.json"
"""The public keys of SuperNodes that run elsewhere: who has them there keeps them when the file has changed."""
_FORMER = ".former"
BEFORE = "before.crt"
HANDOVER = "handover.crt"

Find = Callable[[str], Object | None]
"""Returns the Secret of a name, as the API server has it."""


@dataclass(frozen=True)
class Trusts:
    """Everything that a federation trusts.

    Parameters
    ----------
    authority, loopback : Issued
        The authority, and the certificate of what SuperNodes serve.
    superlink : Issued or None
        The SuperLink's certificate; None where somebody else issues it.
    control : Issued or None
        What the Jobs of runs show for Control, where it is closed.
    before : bytes
        The certificate of the authority before this one, while that is trusted, too; else empty.
    handover : bytes
        By which the authority before this one vouches for it; empty if there was none.
    superexec, supernode_superexec : bytes
        What the ServerApp's SuperExec signs with, and what those of ClientApps do.
    pools : dict of str to (dict of str to str)
        For each pool, the SuperNodes' names and their keys, as `node_keys` reads them.
    revoked : dict of str to (list of str)
        SuperNodes that may join no more, and the public keys that they had, in PEM; and as `former` calls them, keys
        of SuperNodes that have others now, or are gone.
    external : tuple of str
        SuperNodes that run elsewhere.
    given : dict of str to (list of str)
        Public keys of SuperNodes that ran elsewhere, by an earlier file, and were not taken back.
    """

    authority: Issued
    before: bytes
    handover: bytes
    superlink: Issued | None
    loopback: Issued
    control: Issued | None
    superexec: bytes
    supernode_superexec: bytes
    pools: Mapping[str, Mapping[str, str]]
    revoked: Mapping[str, list[str]]
    external: tuple[str, ...] = ()
    given: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def bundle(self) -> bytes:
        """Whom programs trust: the authority, and while it takes over the one before."""
        return self.authority.certificate + self.before

    def public_lines(self, node: str) -> list[str]:
        """Return the public halves of a SuperNode's keys, as OpenSSH writes them."""
        kept = next((pool[node] for pool in self.pools.values() if node in pool), "")
        return [public.strip() for _, public in node_keys.parse(kept)]

    def public_keys(self, node: str) -> list[str]:
        """Return them as a SuperLink is told of them."""
        return [_registered(line, node) for line in self.public_lines(node)]

    @property
    def nodes(self) -> list[str]:
        """The names of all SuperNodes that have a key or were revoked."""
        return [name for pool in self.pools.values() for name in pool]

    @property
    def admitted(self) -> dict[str, list[str]]:
        """Who may join, and the public keys by which."""
        return {node: self.public_keys(node) for node in self.nodes if node not in self.revoked}

    @property
    def dismissed(self) -> dict[str, list[str]]:
        """Who may join no more, or not by these public keys."""
        found: dict[str, list[str]] = {}
        for name, kept in sorted(self.revoked.items()):
            found.setdefault(name.removesuffix(_FORMER), []).extend(kept)
        return found


def wanted(
    federation: Federation,
    identity: Identity,
    find: Find,
    *,
    now: datetime,
    random: Random,
    take_back: bool = False,
    renew: bool = False,
    new_authority: bool = False,
    new_secret: bool = False,
) -> Trusts:
    """Return what a federation shall trust, with what is there already.

    Parameters
    ----------
    federation : Federation
        What shall run.
    identity : Identity
        Who the objects are; with a namespace.
    find : callable
        Returns a Secret that is there.
    now : datetime
        The time, in UTC.
    random : callable
        Gives random bytes.
    take_back : bool
        Let nobody in any more with the keys of a SuperNode that ran elsewhere, by an earlier file, and does so no more.
    renew : bool
        Make another certificate for the SuperLink, and for the Jobs of runs, also if the one that is there is good.
    new_authority : bool
        Have another authority take over, also if the one that is there is good; not while one is taking over.
    new_secret : bool
        Make other secrets for SuperExecs.

    Raises
    ------
    TrustError
        If something that is there cannot be used.
    UsageError
        If a pool has more SuperNodes than a Secret has room for keys.
    """
    name = identity.federation
    found = _authority(find, name, identity, now, random, renew=new_authority)
    leaf = None
    if not trust_sources(name, federation.spec).foreign:
        called = superlink_names(federation, identity.namespace)
        leaf = _server(find, names.superlink_tls(name), found, called, now, random, renew=renew)
    loopback = _server(find, names.supernode_secret(name), found, LOOPBACK, now, random, lasting=True)
    control = _client(find, name, found, now, random, renew=renew) if federation.spec.control_closed else None

    def secret(where: str, key: str) -> bytes:
        there = None if new_secret else _data(find, where).get(key)
        return there or _new_secret(random)

    superexec = secret(names.superexec(name), SECRET)
    of_supernodes = secret(names.supernode_secret(name), SUPEREXEC_SECRET)
    pools, external = {}, federation.spec.external_nodes
    revoked, given = found.revoked, {node: kept for node, kept in found.external.items() if node not in external}
    if take_back:
        for node, kept in given.items():
            revoked = _with_former(revoked, node, kept)
        given = {}
    if protection(federation).node_auth:
        for pool in federation.spec.supernodes:
            pools[pool.name] = _keys(find, name, pool, revoked, random)
    return Trusts(
        authority=found.issued,
        before=found.before,
        handover=found.handover,
        superlink=leaf,
        loopback=loopback,
        control=control,
        superexec=superexec,
        supernode_superexec=of_supernodes,
        pools=pools,
        revoked=revoked,
        external=external,
        given=given,
    )


def objects(trusts: Trusts, row: Row, identity: Identity) -> list[Object]:
    """Return the Secrets and ConfigMaps, in the order in which they are applied."""
    name = identity.federation
    revoked = json.dumps(dict(sorted(trusts.revoked.items()))).encode()
    admitted = trusts.admitted
    elsewhere = {node: admitted[node] for node in trusts.external if node in admitted}
    held = {**trusts.given, **elsewhere}
    other = {
        BEFORE: trusts.before,
        HANDOVER: trusts.handover,
        EXTERNAL: json.dumps(held).encode() if held else b"",
    }
    own = {**_pair(trusts.authority), REVOKED: revoked, **{key: value for key, value in other.items() if value}}
    made = [
        _secret(identity, names.authority(name), own, TLS_TYPE),
        _config_map(identity, names.authority(name), {BUNDLE: trusts.bundle.decode("ascii")}),
        *_superlink(trusts, identity),
        _secret(identity, names.superexec(name), {SECRET: trusts.superexec}),
        _secret(
            identity,
            names.supernode_secret(name),
            {**_pair(trusts.loopback), SUPEREXEC_SECRET: trusts.supernode_superexec},
        ),
    ]
    if trusts.control is not None:
        content = {**_pair(trusts.control), BUNDLE: trusts.bundle}
        made.append(_secret(identity, names.control_client(name), content, TLS_TYPE))
    if not trusts.pools:
        return made
    for pool, kept in trusts.pools.items():
        content = {f"{name}-{node}": text.encode("ascii") for node, text in kept.items()}  # as its Pod is called
        made.append(_secret(identity, names.pool_keys(name, pool), content))
    listed = {NODE_LIST: json.dumps(admitted, indent=1)}
    if elsewhere:
        listed[EXTERNAL_LIST] = json.dumps(list(elsewhere))
    if trusts.revoked:
        listed[DISMISSED_LIST] = json.dumps(trusts.dismissed, indent=1)
    if not row.contract.registers_nodes:
        lines = [line for node in admitted for line in trusts.public_lines(node)]
        listed[NODE_CSV] = ",".join(lines) + "\n"
    return [*made, _config_map(identity, names.nodes(name), listed)]


def retired(trusts: Trusts) -> Trusts:
    """Return the same without the authority before this one: nobody may need it any more."""
    return replace(trusts, before=b"")


def versions(trusts: Trusts) -> dict[Role, str]:
    """Return for the Pods of each role a text that changes when they have to be started again.

    A SuperLink's own certificate is not in it: its unit looks after that by itself. A proxy in its Pod asks callers for
    certificates by an authority that it trusts. Nothing is said of a secret, which is random and long.
    """

    def version(*read: bytes) -> str:
        return hashlib.sha256(b"\0".join([b"flowerbed: which one", *read])).hexdigest()[:16]

    return {
        Role.SUPERLINK: version(trusts.superexec, trusts.bundle if trusts.control is not None else b""),
        Role.SERVERAPP_SUPEREXEC: version(trusts.bundle, trusts.superexec),
        Role.SUPERNODE: version(trusts.bundle, trusts.loopback.certificate, trusts.supernode_superexec),
    }


def with_versions(
    wanted: Iterable[Object], versions: Mapping[Role, str], living: Living, goes_on: Callable[[], int | None]
) -> list[Object]:
    """Return the objects so that Pods are started again which would read something else then.

    While a run goes on, a workload that is there keeps what it says: the run would lose its ServerApp, or replies. So
    does one that somebody else manages; `outdated` tells which of those has to start its Pods again.

    Parameters
    ----------
    wanted : iterable of dict
        The objects of `up`.
    versions : dict of Role to str
        From `versions`.
    living : Living
        What is there.
    goes_on : callable
        Tells which run is not finished; None if there is none. Asked only where it matters.
    """
    there = {looking.name(item): _version(item) for item in living.workloads}
    theirs = {looking.name(item) for item in living.workloads if manager(item)}
    spare = not all_have(versions, living) and goes_on() is not None

    def changed(item: Object) -> Object:
        role = looking.label(item, labels.COMPONENT)
        if role not in versions or "template" not in (item.get("spec") or {}):
            return item
        version = versions[Role(role)]
        stays = spare or looking.name(item) in theirs
        return _with_version(item, there.get(looking.name(item), version) if stays else version)

    return list(map(changed, wanted))


def all_have(versions: Mapping[Role, str], living: Living) -> bool:
    """Tell whether the Pods of all workloads were started with what is there now, or are about to be."""
    return all(_version(item) == versions[role] for role in versions for item in living.of(role))


def outdated(versions: Mapping[Role, str], living: Living) -> list[tuple[Mapping[str, Any], str]]:
    """Return the workloads that somebody else manages and whose Pods were started with something else, and the text."""
    return [
        (item, versions[role])
        for role in versions
        for item in living.of(role)
        if manager(item) and _version(item) != versions[role]
    ]


def _version(workload: Mapping[str, Any]) -> str | None:
    template = (workload.get("spec") or {}).get("template") or {}
    said = (looking.metadata(template).get("annotations") or {}).get(labels.TRUST)
    return None if said is None else str(said)


def _with_version(workload: Object, version: str | None) -> Object:
    if version is None:
        return workload
    spec = workload["spec"]
    meta = looking.metadata(spec["template"])
    annotations = {**(meta.get("annotations") or {}), labels.TRUST: version}
    template = {**spec["template"], "metadata": {**meta, "annotations": annotations}}
    return {**workload, "spec": {**spec, "template": template}}


def _superlink(trusts: Trusts, identity: Identity) -> list[Object]:
    if trusts.superlink is None:
        return []
    content = {**_pair(trusts.superlink), BUNDLE: trusts.bundle}
    return [_secret(identity, names.superlink_tls(identity.federation), content, TLS_TYPE)]


def without(trusts: Trusts, node: str) -> Trusts:
    """Return the same with a SuperNode that may join no more."""
    revoked = {**trusts.revoked, node: [*trusts.revoked.get(node, []), *trusts.public_keys(node)]}
    return replace(trusts, revoked=revoked, pools=_with(trusts, node, f"{node_keys.REVOKED}\n"))


def again(trusts: Trusts, node: str, *, random: Random) -> Trusts:
    """Return the same with a SuperNode that was revoked and may join again, under fresh keys."""
    revoked = {name: found for name, found in trusts.revoked.items() if name != node}
    revoked = _with_former(revoked, node, trusts.revoked[node])
    return replace(trusts, revoked=revoked, pools=_with(trusts, node, _new_keys(node, random)))


def former(node: str) -> str:
    """Return under which name the keys are kept that a SuperNode had and must not get in with; no SuperNode's name."""
    return f"{node}{_FORMER}"


def _with_former(revoked: Mapping[str, list[str]], node: str, given: Iterable[str]) -> dict[str, list[str]]:
    kept = revoked.get(former(node), [])
    return {**revoked, former(node): [*kept, *(key for key in given if key not in kept)]}


def shown(trusts: Trusts, federation: str) -> list[Certificate]:
    """Return the certificates that Flowerbed's authority issued, and its own, as they are told of."""
    there: list[tuple[str, str, bytes | None]] = [
        ("ca", names.authority(federation), trusts.authority.certificate),
        (seen.BEFORE, names.authority(federation), trusts.before),
        ("superlink", names.superlink_tls(federation), trusts.superlink.certificate if trusts.superlink else None),
        ("loopback", names.supernode_secret(federation), trusts.loopback.certificate),
        ("control-client", names.control_client(federation), trusts.control.certificate if trusts.control else None),
    ]
    return [told(name, certificate, f"secret/{secret}") for name, secret, certificate in there if certificate]


def told(name: str, certificate: bytes, where: str) -> Certificate:
    """Return what is told of a certificate."""
    said = certificates.describe(certificate, where)
    begins, ends = said.not_before.isoformat(), said.not_after.isoformat()
    return Certificate(name, where, said.names, begins, ends, said.fingerprint)


def _with(trusts: Trusts, node: str, text: str) -> dict[str, Mapping[str, str]]:
    return {
        pool: {name: text if name == node else found for name, found in kept.items()}
        for pool, kept in trusts.pools.items()
    }


# What is there, or made.


@dataclass(frozen=True)
class _Authority:
    issued: Issued
    before: bytes = b""
    handover: bytes = b""
    revoked: dict[str, list[str]] = field(default_factory=dict)
    external: dict[str, list[str]] = field(default_factory=dict)

    def chain(self, now: datetime) -> bytes:
        """Return what servers show beside their own certificates."""
        good = self.handover and certificates.describe(self.handover, HANDOVER).not_after > now
        return self.handover if good else b""


def _authority(find: Find, name: str, identity: Identity, now: datetime, random: Random, *, renew: bool) -> _Authority:
    where = f"secret/{names.authority(name)} in the namespace {identity.namespace}"
    data = _data(find, names.authority(name))
    if not data:
        return _Authority(certificates.new_authority(name, now=now, random=random))
    try:
        there = Issued(data[CERTIFICATE], data[KEY])
        revoked: dict[str, list[str]] = json.loads(data.get(REVOKED) or b"{}")
        external: dict[str, list[str]] = json.loads(data.get(EXTERNAL) or b"{}")
    except (KeyError, ValueError) as error:
        raise TrustError(f"this is no authority of Flowerbed's: {error}", where=where, hint=_START_OVER) from None
    if not certificates.belong_together(there, where):
        raise TrustError("the key is not that of the certificate beside it", where=where, hint=_START_OVER)
    said = certificates.describe(there.certificate, where)
    if not said.not_before <= now < said.not_after:
        raise TrustError(
            f"the federation's authority is good from {said.not_before:%Y-%m-%d} to {said.not_after:%Y-%m-%d}",
            where=where,
            hint=f"Set this machine's clock, if it is wrong. {_START_OVER}",
        )
    before = data.get(BEFORE, b"")
    if (renew or said.due(now)) and not before:
        made = certificates.new_authority(name, now=now, random=random)
        handover = certificates.hand_over(there, made.certificate, now=now, random=random)
        return _Authority(made, there.certificate, handover, revoked, external)
    return _Authority(there, before, data.get(HANDOVER, b""), revoked, external)


def _server(
    find: Find,
    secret: str,
    authority: _Authority,
    called: Iterable[str],
    now: datetime,
    random: Random,
    *,
    lasting: bool = False,
    renew: bool = False,
) -> Issued:
    data, called = _data(find, secret), tuple(called)
    if CERTIFICATE in data and KEY in data and not renew:
        there, where = Issued(data[CERTIFICATE], data[KEY]), f"secret/{secret}"
        due = not lasting and certificates.describe(there.certificate, where).due(now)
        if not due and certificates.serves(there, authority.issued.certificate, called, where):
            return there
    until = None if lasting else now + timedelta(days=SERVER_DAYS)
    made = certificates.issue(authority.issued, called, now=now, until=until, random=random)
    return Issued(made.certificate + authority.chain(now), made.key)


def client_of(trusts: Trusts, name: str, *, now: datetime, random: Random) -> Issued:
    """Return a fresh certificate for somebody who calls Control, good for as long as the SuperLink's is."""
    authority = _Authority(trusts.authority, trusts.before, trusts.handover)
    return _new_client(authority, name, now, random)


def _client(find: Find, name: str, authority: _Authority, now: datetime, random: Random, *, renew: bool) -> Issued:
    secret = names.control_client(name)
    data = _data(find, secret)
    if CERTIFICATE in data and KEY in data and not renew:
        there, where = Issued(data[CERTIFICATE], data[KEY]), f"secret/{secret}"
        due = certificates.describe(there.certificate, where).due(now)
        if not due and certificates.calls(there, authority.issued.certificate, CLIENT_ORGANISATION, where):
            return there
    return _new_client(authority, "runs", now, random)


def _new_client(authority: _Authority, name: str, now: datetime, random: Random) -> Issued:
    until = now + timedelta(days=SERVER_DAYS)
    made = certificates.issue_client(authority.issued, name, CLIENT_ORGANISATION, now=now, until=until, random=random)
    return Issued(made.certificate + authority.chain(now), made.key)


def _keys(
    find: Find, federation: str, pool: SuperNodePool, revoked: Mapping[str, list[str]], random: Random
) -> dict[str, str]:
    if pool.replicas > MOST_IN_POOL:
        raise UsageError(
            f"the pool {pool.name} has {pool.replicas} SuperNodes; the keys of {MOST_IN_POOL} fit into a Secret",
            where="spec.supernodes",
            hint="Make several pools of them.",
        )
    there = _data(find, names.pool_keys(federation, pool.name))
    kept = {}

    def good(text: str, node: str) -> bool:
        public = [line for _, line in node_keys.parse(text)]
        gone = revoked.get(former(node))  # seldom any, and each key takes a moment to bring into that form
        return bool(public) and not (gone and any(_registered(line, node) in gone for line in public))

    for ordinal in range(pool.replicas):
        node = f"{pool.name}-{ordinal}"
        text = there.get(f"{federation}-{node}", b"").decode("ascii", "replace")
        if node in revoked:
            kept[node] = f"{node_keys.REVOKED}\n"
        else:
            kept[node] = text if good(text, node) else _new_keys(node, random)
    return kept


def _registered(line: str, node: str) -> str:
    """Return a public key as a SuperLink is told of it."""
    return keys.pem_of_line(line.strip().encode(), node).decode("ascii")


def _new_secret(random: Random) -> bytes:
    """Return a secret as text: what keeps Secrets elsewhere often takes nothing else."""
    return random(keys.SECRET_BYTES).hex().encode("ascii")


def _new_keys(node: str, random: Random) -> str:
    return keys.new_spare_keys(node, random).decode("ascii")


def _data(find: Find, secret: str) -> dict[str, bytes]:
    found = find(secret) or {}
    return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


# As objects.


def _pair(issued: Issued) -> dict[str, bytes]:
    return {CERTIFICATE: issued.certificate, KEY: issued.key}


def _secret(identity: Identity, name: str, content: Mapping[str, bytes], kind: str = "Opaque") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": identity.metadata(name),
        "type": kind,
        "data": {key: base64.b64encode(value).decode("ascii") for key, value in content.items()},
    }


def _config_map(identity: Identity, name: str, content: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": identity.metadata(name),
        "data": dict(content),
    }


_START_OVER = "To start over, take the federation down with --volumes; `flowerbed up` then makes a new one."
