"""What is audited of a federation that lives in a cluster, and the checks that only its objects there can answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flowerbed.counting import counted
from flowerbed.kubernetes.audit.model import Audited, Check, Severity
from flowerbed.kubernetes.drift import differences, set_by_others
from flowerbed.kubernetes.labels import COMPONENT, INSTANCE, RUN
from flowerbed.kubernetes.living import label, metadata, name
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.spec.finding import Finding, Path
from flowerbed.topology.model import Role

_MOST = 5
_LATE = 6
"""A certificate is near its end when so many parts of its time less one are over."""


@dataclass(frozen=True)
class Lasting:
    """A certificate.

    Parameters
    ----------
    what, where : str
        Whose, and in which object.
    begins, ends : datetime
        When it is good.
    foreign : bool
        Whether somebody else renews it.
    """

    what: str
    where: str
    begins: datetime
    ends: datetime
    foreign: bool = False


@dataclass(frozen=True)
class Lived(Audited):
    """What the checks look at; `objects` are those in the cluster, and all NetworkPolicies of the namespace.

    Parameters
    ----------
    wanted : tuple of dict
        What the file comes to.
    living : dict of (str, str) to dict
        By kind and name, what is there of that.
    labelled : tuple of dict
        What has the federation's labels, Pods and Jobs too.
    kept : frozenset of (str, str)
        Kinds and names of what `up` makes beside what is rendered.
    certificates : tuple of Lasting
        The federation's.
    now : datetime
        The time, in UTC.
    """

    wanted: tuple[Object, ...] = ()
    living: dict[tuple[str, str], Object] | None = None
    labelled: tuple[Object, ...] = ()
    kept: frozenset[tuple[str, str]] = frozenset()
    certificates: tuple[Lasting, ...] = ()
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def there(self, item: Object) -> Object | None:
        """Return the object in the cluster that stands for a wanted one."""
        return (self.living or {}).get((item["kind"], name(item)))

    def place(self, of: str) -> Path:
        """Return where the file speaks of an object, by its name."""
        known = {workload: path for path, workload in self.programs}
        federation = self.federation.metadata.name
        known |= {names.superlink(federation): ("spec", "superlink")}
        return known.get(of, ("metadata", "name"))


def _missing(lived: Lived) -> Iterator[Finding]:
    for item in lived.wanted:
        if lived.there(item) is None:
            yield Finding(
                lived.place(name(item)),
                f"{item['kind']} {name(item)} is not there",
                "`flowerbed up --on kubernetes` makes it",
            )


def _differs(lived: Lived) -> Iterator[Finding]:
    for item in lived.wanted:
        there = lived.there(item)
        fields = differences(item, there) if there is not None else []
        if fields:
            yield Finding(
                lived.place(name(item)),
                f"{item['kind']} {name(item)} is not as the file says: {_some(fields)}",
                "`flowerbed up --on kubernetes --dry-run` shows the difference, and without --dry-run undoes it",
            )


def _set_by_others(lived: Lived) -> Iterator[Finding]:
    for item in lived.wanted:
        for manager, keys in set_by_others(lived.there(item) or {}).items():
            yield Finding(
                lived.place(name(item)),
                f"{manager} has set fields of {item['kind']} {name(item)} beside Flowerbed: {_some(keys)}",
                "`kubectl get --show-managed-fields` shows which; say in the file what is meant to stay",
            )


def _strange(lived: Lived) -> Iterator[Finding]:
    known = {(item["kind"], name(item)) for item in lived.wanted} | lived.kept
    for item in lived.labelled:
        if item["kind"] in ("Pod", "Job") or label(item, RUN) or (item["kind"], name(item)) in known:
            continue
        yield Finding(
            ("metadata", "name"),
            f"{item['kind']} {name(item)} has the federation's labels, and the file knows nothing of it",
            "delete it, or take the labels off",
        )


def _strange_pods(lived: Lived) -> Iterator[Finding]:
    """Look for Pods that a Service or NetworkPolicy takes for the federation's, and that no workload of it has made."""
    workloads = {name(item) for item in lived.wanted if "template" in (item.get("spec") or {})}
    for pod in (item for item in lived.labelled if item["kind"] == "Pod" and label(item, COMPONENT)):
        owners = [one for one in metadata(pod).get("ownerReferences") or [] if one.get("controller")]
        owned = any(_made_by(one, workloads) for one in owners)
        if not owned and not (label(pod, RUN) and any(one.get("kind") == "Job" for one in owners)):
            role = label(pod, COMPONENT)
            taken = " and gets what is sent to the SuperLink" if role == Role.SUPERLINK else ""
            yield Finding(
                ("metadata", "name"),
                f"Pod {name(pod)} has the labels of a {role} of this federation{taken}, and no workload of it made it",
                f"delete it, and see who may make Pods in the namespace; the federation knows its own by {INSTANCE}",
            )


def _made_by(owner: dict[str, Any], workloads: set[str]) -> bool:
    if owner.get("kind") == "StatefulSet":
        return owner.get("name") in workloads
    return owner.get("kind") == "ReplicaSet" and str(owner.get("name")).rpartition("-")[0] in workloads


def _ended(lived: Lived) -> Iterator[Finding]:
    for one in lived.certificates:
        if one.begins <= lived.now < one.ends:
            continue
        said = f"ended on {one.ends:%Y-%m-%d}" if lived.now >= one.ends else f"begins on {one.begins:%Y-%m-%d} only"
        message = f"the certificate of {one.what}, in {one.where}, {said}"
        yield Finding(("spec", "security", "tls"), message, _renew(one))


def _ends(lived: Lived) -> Iterator[Finding]:
    for one in lived.certificates:
        if one.ends - (one.ends - one.begins) / _LATE <= lived.now < one.ends:
            left = max((one.ends - lived.now) // timedelta(days=1), 0)
            yield Finding(
                ("spec", "security", "tls"),
                f"the certificate of {one.what}, in {one.where}, ends on {one.ends:%Y-%m-%d},"
                f" in {counted(left, 'day')}",
                _renew(one),
            )


def _renew(one: Lasting) -> str:
    if one.foreign:
        return "see why who keeps it has not renewed it"
    if one.what == "the authority":
        return "take the federation down with --volumes when no run needs it; `flowerbed up` then makes another"
    return "`flowerbed up --on kubernetes` renews it"


def _some(fields: list[str]) -> str:
    more = f" and {len(fields) - _MOST} more" if len(fields) > _MOST else ""
    return f"{', '.join(fields[:_MOST])}{more}"


LIVED_CHECKS: tuple[Check[Lived], ...] = (
    Check("object-missing", Severity.ERROR, "All that the file comes to is there.", _missing),
    Check("object-differs", Severity.WARNING, "Objects are as the file says.", _differs),
    Check("object-set-by-others", Severity.WARNING, "Nobody else sets fields of Flowerbed's objects.", _set_by_others),
    Check("object-strange", Severity.WARNING, "Nothing else has the federation's labels.", _strange),
    Check("pod-strange", Severity.ERROR, "No Pod is taken for the federation's that is not.", _strange_pods),
    Check("certificate-ended", Severity.ERROR, "Certificates are good now.", _ended),
    Check("certificate-ends", Severity.WARNING, "Certificates are good for a while yet.", _ends),
)
"""In the order in which they are made, after those that a file alone can answer."""
