"""The trust of a federation in a cluster: read, completed, and changed while it lives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from flowerbed.errors import ControlError, FederationFailed, TrustError, UsageError
from flowerbed.flower.families.protection import has_secret
from flowerbed.flower.releases import Row
from flowerbed.kubernetes import foreign_trust, issuing, labels, trusting
from flowerbed.kubernetes.applying import Applier
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.control import UNAVAILABLE
from flowerbed.kubernetes.foreign_trust import Foreign
from flowerbed.kubernetes.living import Living, is_ready, metadata, name
from flowerbed.kubernetes.manifests import certificate, names, proxy
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.trust import admitted_nodes, dismissed_nodes
from flowerbed.kubernetes.manifests.trust_sources import BUNDLE, CERTIFICATE, KEY, TrustSources, trust_sources
from flowerbed.kubernetes.observing import Observer
from flowerbed.kubernetes.trusting import Trusts
from flowerbed.kubernetes.waiting import POLL_SECONDS
from flowerbed.spec.kubernetes_values import SHORTEST_GRACE
from flowerbed.spec.model import Federation
from flowerbed.spec.tls import TlsMode
from flowerbed.topology.build import protection
from flowerbed.topology.model import Role
from flowerbed.trust import keys
from flowerbed.trust.seen import Certificate, Node, revoked_node

BACK_SECONDS = 180.0
"""How long a Pod may take that is started again."""

ISSUE_SECONDS = 180.0
"""How long cert-manager may take."""


@dataclass(frozen=True)
class News:
    """What a SuperLink has not heard yet.

    Parameters
    ----------
    admitted : dict of str to (list of str)
        SuperNodes that may join, and their public keys, in PEM.
    dismissed : dict of str to (list of str)
        Those that may join no more, or not by these keys.
    """

    admitted: Mapping[str, list[str]]
    dismissed: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Keeper:
    """The trust of one federation in a namespace.

    Parameters
    ----------
    observer : Observer
        Looks at the federation.
    federation : Federation
        What the file says.
    row : Row
        The Flower release.
    goes_on : callable
        Tells which run is not finished; None if there is none.
    note : callable
        Told what is done to a federation, for the reasons of runs that go on.
    """

    observer: Observer
    federation: Federation
    row: Row
    goes_on: Callable[[], int | None]
    note: Callable[[str], None] = lambda _: None

    def with_trust(self, wanted: list[Object], living: Living) -> list[Object]:
        """Return the objects of `up` with what they trust; nothing is written.

        A Namespace comes first, and Secrets before who mounts them. Each pool's workload tells how many of its
        SuperNodes were revoked. Pods are started again for a new authority or secret, but none while a run goes on.

        Raises
        ------
        TrustError
            If what somebody else keeps is missing, or cannot be used.
        """
        if self._mode is TlsMode.SECRET:
            self._foreign()
        elif self._mode is TlsMode.CERT_MANAGER and not self._cluster.serves(certificate.KIND):
            raise TrustError(
                f"the cluster has no cert-manager: its API server knows no {certificate.KIND} of {certificate.GROUP}",
                where="spec.security.tls.mode",
                hint="Have it installed, or write tls: {mode: Auto}, and Flowerbed makes a certificate itself.",
            )
        trusts = self._trusts(take_back=True)
        counts = self._revoked(trusts)
        wanted = trusting.with_versions(wanted, trusting.versions(trusts), living, self.goes_on)
        namespaces = [item for item in wanted if item["kind"] == "Namespace"]
        others = [item for item in wanted if item["kind"] != "Namespace"]
        made = trusting.objects(trusts, self.row, self._identity)
        return [*namespaces, *made, *(_annotated(item, counts) for item in others)]

    def show(self) -> list[Certificate]:
        """Return its certificates.

        Raises
        ------
        UsageError
            If it has none yet.
        """
        self._require()
        shown = trusting.shown(self._trusts(), self._identity.federation)
        if not self._sources.foreign:
            return shown
        own = trusting.told("superlink", self._foreign().certificate, f"secret/{self._sources.certificate}")
        return [*shown[:1], own, *shown[1:]]

    def authority(self) -> str:
        """Return by which certificates its SuperLink is known, in PEM; while an authority is being replaced, by both.

        Raises
        ------
        UsageError
            If it has none yet.
        """
        self._require()
        if self._sources.foreign:
            return self._foreign().bundle.decode("ascii", "replace")
        return self._trusts().bundle.decode("ascii")

    def client(self, called: str) -> dict[str, bytes]:
        """Return files for somebody who calls Control: a certificate of their own, and how nginx adds it to calls.

        Parameters
        ----------
        called : str
            Who they are.

        Raises
        ------
        UsageError
            If nobody asks for certificates.
        """
        self._require()
        if not self.federation.spec.control_closed:
            raise UsageError(
                "nobody asks for a certificate: this federation's Control API is open",
                where=self.observer.where,
                hint="Leave controlApi: Open out of its file, and run `flowerbed up --on kubernetes` again.",
            )
        now, trusts = datetime.now(UTC), self._trusts()
        issued = trusting.client_of(trusts, called, now=now, random=secrets.token_bytes)
        forwarder = proxy.forwarder(self.federation, self.row, self._identity)
        return {
            CERTIFICATE: issued.certificate,
            KEY: issued.key,
            BUNDLE: self._foreign().bundle if self._sources.foreign else trusts.bundle,
            proxy.FILE: forwarder.encode(),
        }

    def rotate(self, say: Callable[[str, str], None], *, new_authority: bool, new_secret: bool) -> bool:
        """Give the SuperLink a fresh certificate, or the federation a fresh authority, or SuperExecs fresh secrets.

        Only a SuperLink is started again, for its certificate; return whether one was. `up` does the rest.

        Raises
        ------
        UsageError
            If the federation has no certificates, or secrets cannot be changed now, or the certificate is somebody
            else's to renew.
        """
        self._require()
        if self._sources.foreign and not (new_authority or new_secret):
            secret, name_of = self._sources.certificate, names.superlink_tls(self._identity.federation)
            raise UsageError(
                "the SuperLink's certificate is not Flowerbed's to renew",
                where=f"secret/{secret}",
                hint=f"`cmctl renew {name_of}` has cert-manager do it."
                if self._mode is TlsMode.CERT_MANAGER
                else "Put a new one there; the programs that use it are started again by themselves.",
            )
        if new_secret:
            self._refuse_secret()
        only_secret = new_secret and not new_authority
        trusts = self._trusts(renew=not (new_authority or new_secret), authority=new_authority, secret=new_secret)
        self._apply(trusts, say)
        return not only_secret and self.start_superlink_again(say)

    def retire(self, say: Callable[[str, str], None]) -> bool:
        """Take the authority before this one out of what is trusted, unless it is needed; return whether one was.

        It is by a run that goes on, and by Pods that were spared for one and not started again since.
        """
        if not self.is_changing() or self.goes_on() is not None:
            return False
        trusts = self._trusts()
        if not trusting.all_have(trusting.versions(trusts), self.observer.look()):
            return False
        self._apply(trusting.retired(trusts), say)
        return True

    def is_changing(self) -> bool:
        """Tell whether an authority is being replaced."""
        found = self._find(names.authority(self._identity.federation))
        return trusting.BEFORE in ((found or {}).get("data") or {})

    def await_certificate(self, say: Callable[[str, str], None], interrupted: Callable[[], int]) -> None:
        """Return once the SuperLink's certificate is issued, where cert-manager does that; say what keeps it.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C was typed meanwhile.
        TrustError
            If it is not issued in time, or Flower's programs will not be content with it.
        """
        if self._mode is not TlsMode.CERT_MANAGER:
            return
        wanted, namespace = names.superlink_tls(self._identity.federation), self.observer.namespace
        until, said = time.monotonic() + ISSUE_SECONDS, ""
        while not issuing.issued(found := self._cluster.get(certificate.KIND, wanted, namespace)):
            why = issuing.why_not(found, self._cluster.listing("CertificateRequest", namespace))
            if why != said:
                say(wanted, f"waiting for cert-manager: {why}")
                said = why
            if interrupted():
                raise KeyboardInterrupt
            if time.monotonic() > until:
                raise TrustError(
                    f"it is not issued after {ISSUE_SECONDS:g} s: {why}",
                    where=f"certificate/{wanted} in the namespace {namespace}",
                    hint="See to the issuer, spec.security.tls.issuerRef, and run `flowerbed up --on kubernetes` again;"
                    f" `kubectl describe certificate {wanted}` says more.",
                )
            time.sleep(POLL_SECONDS)
        self._foreign()

    def start_superlink_again(
        self, say: Callable[[str, str], None], interrupted: Callable[[], int] = lambda: 0
    ) -> bool:
        """Have the SuperLink's Pod replaced, so that it reads what is new; return whether there was one."""
        superlink = self.observer.look().superlink()
        if superlink is None:
            return False
        say(name(superlink), "is started again with its new certificate; runs go on from its database")
        self.note("restarted superlink (another certificate)")
        self._replace(superlink, interrupted)
        return True

    def start_theirs_again(self, say: Callable[[str, str], None]) -> None:
        """Have Pods start again that read what was changed, where somebody else manages their workloads."""
        living = self.observer.look()
        late = trusting.outdated(trusting.versions(self._trusts()), living)
        if late and self.goes_on() is None:
            for item, version in late:
                say(name(item), "its Pods start again with what they trust now")
                self._cluster.annotate_pods(item["kind"], name(item), self.observer.namespace, {labels.TRUST: version})

    def kit(self, node: str, say: Callable[[str, str], None]) -> tuple[bytes, bytes]:
        """Return what a SuperNode that runs elsewhere is started with: its keys, and the certificate of the authority.

        What is missing is made, and the SuperLink told of it.

        Raises
        ------
        UsageError
            If it may join no more, or the federation has no certificates yet.
        """
        trusts = self._trusts_of(node)
        if node in trusts.revoked:
            raise revoked_node(node)
        self._apply(trusts, say)
        self.tell(self.observer.look(), News({node: trusts.public_keys(node)}))
        kept = next(pool[node] for pool in trusts.pools.values() if node in pool)
        return kept.encode("ascii"), self.authority().encode("ascii")

    def nodes(self) -> list[Node]:
        """Return the SuperNodes that have keys, and those that the SuperLink knows beside them."""
        self._require()
        trusts = self._trusts()
        known = self._known()
        external = self.federation.spec.external_nodes
        found = []
        for node in trusts.nodes:
            mine = [known.pop(key) for key in trusts.public_keys(node) if key in known]
            now = next((item for item in mine if item["online"]), None)
            if node in trusts.revoked:
                found.append(Node(node, "revoked", "", None, node in external))
                continue
            fingerprints = [keys.fingerprint(line.encode()) for line in trusts.public_lines(node)]
            state = "online" if now is not None else "offline"
            flower_id = str(now["id"]) if now is not None else None
            found.append(Node(node, state, " ".join(fingerprints), flower_id, node in external))
        gone = {key for kept in trusts.revoked.values() for key in kept}
        others = [item for key, item in known.items() if key not in gone]
        return found + [Node("", "online" if item["online"] else "offline", "", item["id"]) for item in others]

    def revoke(self, node: str, say: Callable[[str, str], None]) -> None:
        """Let a SuperNode join no more, and end its programs; it stays so until `add`.

        Raises
        ------
        UsageError
            If there is no such SuperNode.
        """
        trusts = self._trusts_of(node)
        gone = [*trusts.revoked.get(node, []), *trusts.public_keys(node)]
        changed = trusting.without(trusts, node) if node not in trusts.revoked else trusts
        self._apply(changed, say)
        living = self.observer.look()
        try:
            if living.superlink() is not None:
                self.observer.link.ask("dismiss", keys=gone)
        except ControlError as error:
            if error.where != UNAVAILABLE:
                raise
            say("superlink", f"does not answer; its Pod tells it that {node} may join no more once it does")
        self._annotate(living, changed)
        self._end_pod(node, living)

    def add(self, node: str, say: Callable[[str, str], None]) -> bool:
        """Let a SuperNode that was revoked join again, under fresh keys; return whether it was."""
        trusts = self._trusts_of(node)
        if node not in trusts.revoked:
            return False
        changed = trusting.again(trusts, node, random=secrets.token_bytes)
        self._apply(changed, say)
        living = self.observer.look()
        self.tell(living, News({node: changed.public_keys(node)}))
        self._annotate(living, changed)
        self._end_pod(node, living)
        return True

    def tell(self, living: Living, news: News) -> None:
        """Tell a SuperLink that is running who may join and who no more, sooner than its own unit hears of it."""
        if living.superlink() is None or living.release != str(self.row.release):
            return
        try:
            if news.dismissed:
                self.observer.link.ask("dismiss", keys=list(chain.from_iterable(news.dismissed.values())))
            if news.admitted:
                self.observer.link.ask("admit-all", keys=list(chain.from_iterable(news.admitted.values())))
        except ControlError:  # its unit tells it
            return

    def to_tell(self, wanted: list[Object]) -> News:
        """Return what of the objects of `up` is new to the federation's SuperLink."""
        list_name = names.nodes(self._identity.federation)
        now = next((item for item in wanted if item["kind"] == "ConfigMap" and name(item) == list_name), None)
        there = self._cluster.get("ConfigMap", list_name, self.observer.namespace) if now else None

        def new(listed: Callable[[Object | None], dict[str, list[str]]]) -> dict[str, list[str]]:
            before = listed(there)
            return {node: kept for node, kept in listed(now).items() if before.get(node) != kept}

        return News(new(admitted_nodes), new(dismissed_nodes))

    # The rest is how.

    @property
    def _cluster(self) -> Cluster:
        return self.observer.cluster

    @property
    def _identity(self) -> Identity:
        return Identity.of(self.federation, self.row, self.observer.namespace)

    @property
    def _mode(self) -> TlsMode:
        return self.federation.spec.tls_mode

    @property
    def _sources(self) -> TrustSources:
        return trust_sources(self._identity.federation, self.federation.spec)

    def _foreign(self) -> Foreign:
        def find(kind: str, name_of: str) -> Object | None:
            return self._cluster.get(kind, name_of, self.observer.namespace)

        return foreign_trust.read(self.federation, self.observer.namespace, find, datetime.now(UTC))

    @property
    def _tls(self) -> bool:
        return protection(self.federation).tls

    def _find(self, secret: str) -> Object | None:
        return self._cluster.get("Secret", secret, self.observer.namespace)

    def _trusts(
        self, *, take_back: bool = False, renew: bool = False, authority: bool = False, secret: bool = False
    ) -> Trusts:
        return trusting.wanted(
            self.federation,
            self._identity,
            self._find,
            now=datetime.now(UTC),
            random=secrets.token_bytes,
            take_back=take_back,
            renew=renew,
            new_authority=authority,
            new_secret=secret,
        )

    def _refuse_secret(self) -> None:
        if not has_secret(self.row.minor):
            raise UsageError(
                f"SuperExecs of Flower {self.row.release} have no secret",
                where=self.observer.where,
                hint="They do from 1.29 on.",
            )
        number = self.goes_on()
        if number is not None:
            raise UsageError(
                f"the secret cannot be changed while run {number} goes on: a SuperLink knows one at a time",
                where=self.observer.where,
                hint=f"Wait for it, or stop it with `flowerbed stop {number} --on kubernetes`.",
            )

    def _trusts_of(self, node: str) -> Trusts:
        self._require()
        trusts = self._trusts()
        if node not in trusts.nodes:
            known = ", ".join(trusts.nodes)
            hint = f"There is {known}." if known else "With nodeAuth: true, `flowerbed up` makes their keys."
            raise UsageError(f"there is no SuperNode {node!r} with a key", where=self.observer.where, hint=hint)
        return trusts

    def _require(self) -> None:
        if not self._tls or self._find(names.authority(self._identity.federation)) is None:
            raise UsageError(
                "this federation has no certificates",
                where=self.observer.where,
                hint="They are made by `flowerbed up --on kubernetes`, unless its file says tls: {mode: Disabled}.",
            )

    def _apply(self, trusts: Trusts, say: Callable[[str, str], None]) -> None:
        applier = Applier(self._cluster, self._identity.federation, self.observer.namespace, say)
        applier.change(trusting.objects(trusts, self.row, self._identity))

    def _known(self) -> dict[str, Object]:
        if self.observer.look().superlink() is None:
            return {}
        return {item["key"]: item for item in self.observer.link.ask("nodes") if item["key"]}

    def _revoked(self, trusts: Trusts) -> dict[str, int]:
        federation = self._identity.federation
        return {
            names.pool(federation, pool): sum(1 for node in kept if node in trusts.revoked)
            for pool, kept in trusts.pools.items()
        }

    def _annotate(self, living: Living, trusts: Trusts) -> None:
        counts = self._revoked(trusts)
        for item in living.of(Role.SUPERNODE):
            if name(item) in counts:
                self._cluster.annotate(
                    item["kind"], name(item), self.observer.namespace, {labels.REVOKED: str(counts[name(item)])}
                )

    def _end_pod(self, node: str, living: Living) -> None:
        pod = next((item for item in living.pods_of(Role.SUPERNODE) if living.short(item) == node), None)
        if pod is not None:  # its keys are brought to it when it is made, and not again; nobody wants its reply
            self.note(f"restarted {node} (its keys are other ones)")
            self._cluster.delete("Pod", name(pod), self.observer.namespace, grace=SHORTEST_GRACE)

    def _replace(self, pod: Mapping[str, Any], interrupted: Callable[[], int]) -> None:
        self._cluster.delete("Pod", name(pod), self.observer.namespace)
        until = time.monotonic() + BACK_SECONDS
        while time.monotonic() < until:
            now = self._cluster.get("Pod", name(pod), self.observer.namespace)
            if now is not None and metadata(now).get("uid") != metadata(pod).get("uid") and is_ready(now):
                return
            if interrupted():
                raise KeyboardInterrupt
            time.sleep(POLL_SECONDS)
        raise FederationFailed(
            f"it was started again and is not ready after {BACK_SECONDS:g} s",
            where=name(pod),
            hint="`flowerbed status --on kubernetes` says why.",
        )


def _annotated(item: Object, counts: dict[str, int]) -> Object:
    revoked = counts.get(name(item), 0)
    if item["kind"] != "StatefulSet" or not revoked:
        return item
    meta = item["metadata"]
    annotations = {**(meta.get("annotations") or {}), labels.REVOKED: str(revoked)}
    return {**item, "metadata": {**meta, "annotations": annotations}}
