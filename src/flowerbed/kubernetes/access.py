"""What the API server's refusals mean: from its Status to an error of `flowerbed.errors` that says what to do. Pure.

The forms are those of k8s.io/apimachinery, pkg/api/errors/errors.go (404, 409, 422), and for 403 of
k8s.io/apiserver, pkg/endpoints/handlers/responsewriters/errors.go; admission answers 403 too, with other words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowerbed.errors import (
    ClusterConflict,
    ClusterForbidden,
    ClusterImmutable,
    ClusterRefused,
    ClusterUnreachable,
    FlowerbedError,
)
from flowerbed.kubernetes import permissions
from flowerbed.kubernetes.explain import admission
from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.reading import number, objects, text
from flowerbed.kubernetes.permissions import Rule
from flowerbed.kubernetes.yaml_text import dump_all

ROLE = "flowerbed"
"""Name of the Role that is proposed."""

_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)?'
)
# k8s.io/apimachinery, pkg/util/managedfields/internal/conflict.go; `flowerbed` itself may be one of the managers.
_MANAGER = re.compile(
    r'conflicts? with "(?P<manager>[^"]*)"(?: with subresource "(?P<subresource>[^"]*)")?(?: using \S+)?(?: at \S+)?'
)
_IMMUTABLE = re.compile(
    r"field is immutable|is immutable after creation|updates to statefulset spec for fields other than"
    r"|may not change once set|field can not be less than"
)


@dataclass(frozen=True)
class Access:
    """What a user may not do.

    Parameters
    ----------
    verb, resource, group : str
        As in a Role's rules.
    namespace : str
        Where; empty for the cluster as a whole.
    user : str
        Who, as the API server calls them.
    """

    verb: str
    resource: str
    group: str
    namespace: str
    user: str

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        where = f"in the namespace {self.namespace}" if self.namespace else "in the cluster as a whole"
        return f"the user {self.user} may not {self.verb} {what} {where}"


def denied(message: str) -> Access | None:
    """Return what RBAC, or another authorizer, does not allow, from a 403's message; None if it is about other things.

    Parameters
    ----------
    message : str
        Such as ``deployments.apps is forbidden: User "x" cannot list resource "deployments" in API group "apps" in
        the namespace "y"``.
    """
    match = _DENIED.search(html.unescape(message))  # the API server escapes names as for HTML
    if match is None:
        return None
    return Access(match["verb"], match["resource"], match["group"], match["namespace"] or "", match["user"])


def conflicts(status: object) -> tuple[tuple[str, str], ...]:
    """Return field manager and field of each conflict of a server-side apply."""
    found = []
    for cause in objects(status, "details", "causes"):
        if text(cause, "reason") != "FieldManagerConflict":
            continue
        match = _MANAGER.search(text(cause, "message"))
        manager = match["manager"] if match else text(cause, "message")
        found.append((manager, text(cause, "field")))
    return tuple(found)


def from_status(status: Mapping[str, Any], *, doing: str) -> FlowerbedError:
    """Return the error that a Status of the API server stands for.

    Parameters
    ----------
    status : dict
        A ``Status``, as the API server answers a request that it refuses; whatever it lacks is done without.
    doing : str
        What was asked for, as a clause: "applying StatefulSet flower-superlink".
    """
    code, reason = number(status, "code") or 0, text(status, "reason")
    said = text(status, "message") or f"the API server answered {code or 'without a reason'}"
    where = _where(status)
    if code == 401 or reason == "Unauthorized":
        return ClusterRefused(
            f"the API server does not accept the kubeconfig's credentials ({doing})",
            hint="They may have expired: log in to the cluster again. `kubectl auth whoami` says who you are to it.",
            reason="Unauthorized",
        )
    if code in (502, 503, 504) or reason in ("ServiceUnavailable", "Timeout"):
        return ClusterUnreachable(
            f"the API server cannot serve just now, {doing}: {shorten(said)}",
            where=where,
            hint="Try again in a moment.",
        )
    if (access := denied(said)) is not None:
        return forbidden(access, doing=doing)
    if reason == "Conflict" and (table := conflicts(status)):
        return _conflict(table, doing=doing, where=where)
    if _IMMUTABLE.search(said):
        return _immutable(status, said, doing=doing, where=where)
    if refusal := admission.explain(said):
        return ClusterRefused(f"{doing} was refused: {refusal.message}", where=where, hint=refusal.hint, reason=reason)
    message = _other(status, code, reason, said, doing)
    return ClusterRefused(message, where=where, hint=_hint(status, reason), reason=reason)


def forbidden(access: Access, *, doing: str) -> ClusterForbidden:
    """Return the error for what a user may not do, with the Role that would let them."""
    needed = Rule(access.group, access.resource, (access.verb,), doing)
    if access.namespace:
        role = permissions.role(ROLE, access.namespace, access.user)
        if permissions.allows(permissions.CERT_MANAGER_RULES, access.verb, access.resource, access.group):
            role[0]["rules"] += map(permissions.as_rule, permissions.CERT_MANAGER_RULES)
        elif not permissions.allows(permissions.RULES, access.verb, access.resource, access.group):
            role[0]["rules"].append(permissions.as_rule(needed))
        kind = "Role"
    else:
        known = permissions.allows(permissions.CLUSTER_RULES, access.verb, access.resource, access.group)
        rules = permissions.CLUSTER_RULES if known else (needed,)
        role = permissions.cluster_role(ROLE, access.user, rules)
        kind = "ClusterRole"
    beforehand = " (or make the namespace beforehand)" if access.resource == "namespaces" and kind != "Role" else ""
    who = (
        "No credentials arrived: the kubeconfig's user has none that this API server takes.\n"
        if access.user == "system:anonymous"
        else ""
    )
    return ClusterForbidden(
        f"{access} ({doing})",
        hint=f"{who}Ask whoever runs the cluster for this {kind}{beforehand}; it is all that Flowerbed needs there:\n"
        f"{dump_all(role)}",
        role=role,
    )


def _conflict(table: tuple[tuple[str, str], ...], *, doing: str, where: str | None) -> ClusterConflict:
    by_manager: dict[str, list[str]] = {}
    for manager, field in table:
        by_manager.setdefault(manager, []).append(field)
    owners = "; ".join(f"{manager} owns {', '.join(fields)}" for manager, fields in by_manager.items())
    return ClusterConflict(
        f"{doing} would overwrite what others have set: {owners}",
        where=where,
        hint="Nothing was changed. Make the file say the same, have the other leave those fields alone,"
        " or take them over with --force-conflicts.",
        conflicts=table,
    )


def _immutable(status: object, said: str, *, doing: str, where: str | None) -> ClusterImmutable:
    kind, name = text(status, "details", "kind"), text(status, "details", "name")
    fields = list(dict.fromkeys(filter(None, (text(cause, "field") for cause in objects(status, "details", "causes")))))
    what = f" ({', '.join(fields)})" if fields else ""
    hints = {
        "StatefulSet": "`flowerbed down` and `up` again make it anew; its claims, and with them the database and the"
        " results, stay. The size and class of a claim that exists stay too, whatever the file says.",
        "PersistentVolumeClaim": "A claim keeps what it was made with, but for its size, which may grow where its"
        " StorageClass allows that. `flowerbed down --volumes` deletes it with its data; `up` then makes a new one.",
        "Job": "Delete it and run again.",
    }
    hint = hints.get(kind, f"`flowerbed down` and `up` again make it anew{f' ({kind} {name})' if name else ''}.")
    return ClusterImmutable(
        f"{doing} was refused: what was changed{what} can only be set when the {kind or 'object'} is made:"
        f" {shorten(said, 400)}",
        where=where,
        hint=hint,
        reason=text(status, "reason"),
    )


def _other(status: object, code: int, reason: str, said: str, doing: str) -> str:
    kind, name = text(status, "details", "kind"), text(status, "details", "name")
    if code == 404 and kind == "namespaces":
        return f"there is no namespace {name} ({doing})"
    if code == 404 and not name:
        return f"the API server has no such resource ({doing}): {shorten(said)}"
    if reason == "AlreadyExists":
        return f"{kind or 'an object'} {name} is there already ({doing})"
    causes = [
        f"{text(cause, 'field')}: {text(cause, 'message')}".strip(": ")
        for cause in objects(status, "details", "causes")
    ]
    if code == 422 and any(causes):
        return f"{doing} was refused as invalid: {shorten('; '.join(dict.fromkeys(filter(None, causes))), 600)}"
    return f"{doing} was refused: {shorten(said)}"


def _hint(status: object, reason: str) -> str | None:
    if reason == "NotFound" and text(status, "details", "kind") == "namespaces":
        return "Make it, or name another in metadata.namespace."
    return {
        "Conflict": "It was changed at the same moment; run the command again.",
        "TooManyRequests": "Wait a moment and run the command again.",
        "InternalError": "The API server's own log says more.",
        "RequestEntityTooLarge": "An object may have 1.5 MB at most.",
    }.get(reason)


def _where(status: object) -> str | None:
    kind, group, name = (text(status, "details", key) for key in ("kind", "group", "name"))
    if not kind or not name:
        return None
    return f"{kind}.{group} {name}" if group else f"{kind} {name}"
