"""Making the objects so: server-side apply, what changed, what conflicts, and the removal of what is no longer wanted.

`changed`, `surplus` and `difference` are pure; `Applier` acts.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flowerbed.errors import ClusterForbidden, ClusterRefused
from flowerbed.kubernetes import belonging, labels
from flowerbed.kubernetes.drift import changes, yielding
from flowerbed.kubernetes.living import is_made, label, metadata, name
from flowerbed.kubernetes.managers import Manager, Theirs, manager, refusal
from flowerbed.kubernetes.yaml_text import dump

if TYPE_CHECKING:  # `render` needs no client
    from flowerbed.kubernetes.cluster import Cluster

Object = dict[str, Any]

Agreed = Callable[[list[tuple[Object | None, Object]], list[Object]], None]
"""Takes objects as they are (None for one that is not there) and as they will be, and those that will be deleted."""

KINDS = (
    *("StatefulSet", "Deployment", "PodDisruptionBudget", "Ingress", "Service"),
    *("ConfigMap", "NetworkPolicy"),
)
"""The kinds of which a federation's objects are removed when the file no longer has them, workloads first.
Claims hold data and go only with ``down --volumes``."""

_READ_BY_PODS = "ConfigMap"

ADDED_KINDS = ("TLSRoute", "Certificate")
"""Kinds of the Gateway API's and cert-manager's, looked for where the API server has them and this user may list."""

KEPT_KINDS = ("PersistentVolumeClaim", "Secret")
"""What goes only with ``down --volumes``: data, and the keys by which a SuperLink's database knows its SuperNodes."""

SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink")
CREATED = "flowerbed.dev/created"
"""Annotation of a Namespace that `up` made; no other is ever deleted."""


class Applier:
    """Makes the objects of one federation so.

    Parameters
    ----------
    cluster : Cluster
        Where.
    federation, namespace : str
        Which.
    say : callable
        Told what is done, one sentence each.
    """

    def __init__(self, cluster: Cluster, federation: str, namespace: str, say: Callable[[str, str], None]) -> None:
        self._cluster = cluster
        self._federation = federation
        self._namespace = namespace
        self._say = say
        self._managers: dict[str, Manager] = {}
        self.created: set[tuple[str, str]] = set()
        """Kinds and names of what was not there before."""
        self.rewritten: set[str] = set()
        """What was created, or changed in more than its labels and annotations: ``KIND NAME``."""
        self._left: list[Object] = []

    def apply(self, wanted: list[Object], *, force: bool = False, agreed: Agreed = lambda _, __: None) -> list[str]:
        """Apply all objects and remove surplus ones; return what was created or changed, and what is surplus.

        Everything is tried as a dry run first, so that a refusal leaves nothing half done; `agreed` is then called with
        what will change, and refuses by raising. Surplus ConfigMaps are left to `prune`.
        """
        named = next((item for item in wanted if item["kind"] == "Namespace"), None)
        wanted = [item for item in wanted if item is not named]
        fresh = self._ensure_namespace(named)
        before = {} if fresh else self._living(wanted)
        gone = [] if fresh else surplus(wanted, self._ours())
        if fresh:
            applied = wanted
        else:
            tried = self._tried(wanted, before, gone, force=force)
            agreed([(before.get(_key(item)), after) for item, after in tried], gone)
            applied = [item for item, _ in tried]
        touched = self._make(applied, before, force=force)
        self._left = [item for item in gone if item["kind"] == _READ_BY_PODS]
        self._delete(item for item in gone if item["kind"] != _READ_BY_PODS)
        return touched + [_key(item) for item in gone]

    def prune(self) -> None:
        """Remove the surplus ConfigMaps that the last `apply` left.

        Pods from before that apply read them, and one that is made again before its workload is replaced would wait for
        them. So this is for when all Pods are new.
        """
        self._delete(self._left)
        self._left = []

    def _delete(self, items: Iterable[Object]) -> None:
        for item in items:
            self._cluster.delete(item["kind"], name(item), self._namespace)
            self._say(name(item), f"{item['kind']} deleted: the file no longer has it")

    def change(self, wanted: list[Object]) -> list[str]:
        """Apply some of a federation's objects, and leave the others alone; return what was created or changed."""
        before = self._living(wanted)
        return self._make([item for item, _ in self._tried(wanted, before, [], force=False)], before, force=False)

    def _tried(
        self, wanted: list[Object], before: Mapping[str, Object], gone: list[Object], *, force: bool
    ) -> list[tuple[Object, Object]]:
        """Try everything; return what is to be applied, and what the API server would make of it.

        What somebody else manages is left to them: it is as the file says, or nothing is done at all. If we applied it
        too, we would own its fields with them, and their next change of one would be refused.
        """
        tried, theirs = [], []
        for item in wanted:
            living = before.get(_key(item))
            who = None if force or living is None else manager(living)
            if who is None or living is None:
                tried.append((item, self._cluster.apply(item, dry_run=True, force=force)))
                continue
            after = self._cluster.apply(yielding(item, living), dry_run=True, force=True)
            if fields := changes(living, after):
                theirs.append(Theirs(who, _key(item), tuple(fields)))
        theirs += [Theirs(who, _key(item), ()) for item in gone if not force and (who := manager(item))]
        if theirs:
            raise refusal(theirs)
        return tried

    def _make(self, wanted: list[Object], before: Mapping[str, Object], *, force: bool) -> list[str]:
        touched = []
        for item in wanted:
            key = _key(item)
            if key not in before:
                self.created.add((item["kind"], name(item)))
            after = self._cluster.apply(item, force=force)
            if changed(before.get(key), after):
                self._say(name(item), f"{item['kind']} {'changed' if key in before else 'created'}")
                touched.append(key)
            if _content(before.get(key)) != _content(after):
                self.rewritten.add(key)
        return touched

    def preview(self, wanted: list[Object], *, force: bool = False) -> str:
        """Return what `apply` would change, as the API server sees it, as one unified diff; empty if nothing."""
        wanted = [item for item in wanted if item["kind"] != "Namespace"]
        if self._cluster.get("Namespace", self._namespace) is None:
            return "".join(difference(None, item) for item in wanted)
        before, gone = self._living(wanted), surplus(wanted, self._ours())
        parts = [
            difference(before.get(_key(item)), after) for item, after in self._tried(wanted, before, gone, force=force)
        ]
        parts += [difference(item, None) for item in gone]
        return "".join(parts)

    def remove(self, *, volumes: bool, only: Collection[tuple[str, str]] | None = None) -> list[str]:
        """Delete the federation; its claims, Secrets and the records of its runs only with `volumes`.

        Parameters
        ----------
        volumes : bool
            Whether what holds data goes too.
        only : collection of (str, str) or None
            Kinds and names of what is deleted beside the Jobs of runs; None for everything.
        """
        removed = []
        for kind in (*KINDS, *ADDED_KINDS, "Job", *(KEPT_KINDS if volumes else ())):
            for item in self._listing(kind):
                if kind == "ConfigMap" and label(item, labels.RUN) and not volumes:
                    continue
                if only is not None and kind != "Job" and (kind, name(item)) not in only:
                    continue
                if (who := manager(item)) and who.after:
                    self._managers.setdefault(who.said, who)
                if self._cluster.delete(kind, name(item), self._namespace):
                    removed.append(f"{kind} {name(item)}")
        if volumes:
            self._remove_namespace()
        return removed

    @property
    def others(self) -> tuple[Manager, ...]:
        """Who managed some of what was removed."""
        return tuple(self._managers.values())

    def _remove_namespace(self) -> None:
        found = self._cluster.get("Namespace", self._namespace)
        if found is None or CREATED not in (metadata(found).get("annotations") or {}):
            return
        others = [
            item
            for kind in ("StatefulSet", "Deployment", "Pod", "PersistentVolumeClaim")
            for item in self._cluster.listing(kind, self._namespace)
            if not self._is_left(kind, item)
        ]
        if not others:
            self._cluster.delete("Namespace", self._namespace)

    def _is_left(self, kind: str, item: Object) -> bool:
        """Tell whether something is what `remove` leaves behind, or still goes: nothing of anybody else's."""
        mine = label(item, labels.INSTANCE) == self._federation or belonging.is_ours(item, self._federation)
        return mine and (kind != "Pod" or is_made(item))

    def _ensure_namespace(self, named: Object | None) -> bool:
        """See that there is the namespace; return whether it was made just now.

        One that is there stays as it is: it may be somebody else's.
        """
        found = self._cluster.get("Namespace", self._namespace)
        if found is None:
            self._cluster.create(
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {
                        "name": self._namespace,
                        "labels": {labels.MANAGED_BY: labels.MANAGER} | (metadata(named or {}).get("labels") or {}),
                        "annotations": {CREATED: "by flowerbed up; removed by flowerbed down --volumes"},
                    },
                }
            )
            self._say(self._namespace, "Namespace created")
            return True
        if (found.get("status") or {}).get("phase") == "Terminating":
            raise ClusterRefused(
                f"the namespace {self._namespace} is being deleted",
                hint="Wait until it is gone (`kubectl get namespace`), or choose another metadata.namespace.",
            )
        return False

    def _living(self, wanted: list[Object]) -> dict[str, Object]:
        found = ((item, self._cluster.get(item["kind"], name(item), self._namespace)) for item in wanted)
        return {f"{item['kind']} {name(item)}": living for item, living in found if living is not None}

    def _ours(self) -> list[Object]:
        return [item for kind in (*KINDS, *ADDED_KINDS) for item in self._listing(kind)]

    def _listing(self, kind: str) -> list[Object]:
        """Return what of a kind is the federation's; who never had a kind need not be allowed to list it."""
        try:
            return belonging.listed(self._cluster.listing, kind, self._namespace, self._federation)
        except ClusterForbidden:
            if kind not in ADDED_KINDS:
                raise
            return []


def owned(item: Object, federation: str, namespace: str, version: str) -> Object:
    """Return an object as `up` applies it: in its namespace, and with the labels by which it is found again.

    Rendered objects of ``layout: Quickstart`` are the seed's and have none of them; selectors are never touched.
    """
    ours = {**belonging.selector(federation), labels.VERSION: version}
    template = (item.get("spec") or {}).get("template")
    if template is not None:
        ours[labels.COMPONENT] = _component(name(item), federation)
    found = {**ours, labels.FEDERATION: federation} | (item["metadata"].get("labels") or {})
    meta = {**item["metadata"], "namespace": namespace, "labels": found}
    changed_item = {**item, "metadata": meta}
    if template is not None:
        inner = {**(template.get("metadata") or {})}
        inner["labels"] = ours | (inner.get("labels") or {})
        changed_item["spec"] = {**item["spec"], "template": {**template, "metadata": inner}}
    return changed_item


def _content(item: Object | None) -> Object:
    """Return what an object is about: all but its metadata and status."""
    return {key: value for key, value in (item or {}).items() if key not in ("metadata", "status")}


def _key(item: Mapping[str, Any]) -> str:
    return f"{item['kind']} {name(item)}"


def _component(object_name: str, federation: str) -> str:
    rest = object_name.removeprefix(f"{federation}-")
    for known in ("superexec-serverapp", "superexec-clientapp", "superlink"):
        if rest == known or rest.startswith(f"{known}-"):
            return known
    return "supernode"


def changed(before: Object | None, after: Object) -> bool:
    """Tell whether an apply changed an object."""
    if before is None:
        return True
    return metadata(before).get("resourceVersion") != metadata(after).get("resourceVersion")


def surplus(wanted: Iterable[Mapping[str, Any]], living: Iterable[Object]) -> list[Object]:
    """Return the living objects that are not wanted; what belongs to a run is never surplus."""
    keep = {(item["kind"], name(item)) for item in wanted}
    return [item for item in living if (item["kind"], name(item)) not in keep and not label(item, labels.RUN)]


def difference(before: Object | None, after: Object | None) -> str:
    """Return a unified diff from one state of an object to another; None stands for no object."""
    which = before if after is None else after
    title = "" if which is None else f"{which['kind']}/{name(which)}"
    lines = difflib.unified_diff(_text(before), _text(after), fromfile=f"living {title}", tofile=f"wanted {title}")
    return "".join(lines)


def _text(item: Object | None) -> list[str]:
    if item is None:
        return []
    meta = {key: value for key, value in metadata(item).items() if key not in SERVER_FIELDS}
    shown = {key: value for key, value in item.items() if key != "status"} | {"metadata": meta}
    if item["kind"] == "Secret":
        shown["data"] = {key: _fingerprint(value) for key, value in (item.get("data") or {}).items()}
    return dump(shown).splitlines(keepends=True)


def _fingerprint(value: str) -> str:
    """Return what tells a secret from another, and nothing of it."""
    return f"(hidden; SHA-256 {hashlib.sha256(value.encode()).hexdigest()[:12]})"
