"""What Flowerbed must be allowed to do in a cluster: one table, and the Role made of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

Object = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Rule:
    """What must be allowed for one resource, and what for.

    Parameters
    ----------
    group : str
        API group; empty for the core group.
    resource : str
        Resource, with its subresource after a slash.
    verbs : tuple of str
        Kubernetes' verbs.
    why : str
        What Flowerbed does with it.
    runs : tuple of str
        Which of the verbs are needed by who only runs apps in a federation that somebody else brought up.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    runs: tuple[str, ...] = ()


_APPLIED = ("get", "list", "create", "patch", "delete")
"""Server-side apply is a `patch`, which also needs `create` where the object is not there yet
(k8s.io/apiserver, pkg/endpoints/handlers/patch.go); `list` finds what the file no longer has, `delete` removes it."""

# A WebSocket is opened with GET, so authorized as `get`; since 1.35 `create` is asked for as well
# (kubernetes/kubernetes#133515, AuthorizePodWebsocketUpgradeCreatePermission).
_EXEC = ("get", "create")
_LIST = ("list",)
_JOBS = ("get", "list", "create", "delete")

RULES = (
    Rule("", "namespaces", ("get",), "to see whether the namespace is there, and is not being deleted"),
    Rule("apps", "statefulsets", _APPLIED, "the SuperLink and the pools of SuperNodes", _LIST),
    Rule("apps", "deployments", _APPLIED, "the ServerApp's SuperExec, and everything in layout Quickstart", _LIST),
    Rule("apps", "replicasets", _LIST, "to know a Deployment's Pods, and to say why they are not made", _LIST),
    Rule("", "services", _APPLIED, "the SuperLink's ports"),
    Rule("policy", "poddisruptionbudgets", _APPLIED, "what a node drain may evict"),
    Rule("networking.k8s.io", "networkpolicies", _APPLIED, "who may reach what"),
    Rule("networking.k8s.io", "ingresses", _APPLIED, "where SuperNodes outside come in, by superlink.expose"),
    Rule("gateway.networking.k8s.io", "tlsroutes", _APPLIED, "the same, where the cluster has the Gateway API"),
    Rule(
        "",
        "configmaps",
        _APPLIED,
        "the programs in the Pods, who may join, and the records of runs",
        ("get", "list", "create", "patch"),
    ),
    Rule("", "secrets", ("get", "list", "create", "patch", "delete"), "the federation's certificates and keys"),
    Rule("", "persistentvolumeclaims", _APPLIED, "the results, and to say why a claim gets no volume", _LIST),
    Rule("batch", "jobs", _JOBS, "to submit runs from inside the cluster", _JOBS),
    Rule(
        "",
        "pods",
        ("get", "list", "delete"),
        "to see what is ready, and why something is not; to start one again after its certificate or keys have changed",
        ("get", "list"),
    ),
    Rule("", "pods/log", ("get",), "flowerbed logs, and the last lines of what crashes", ("get",)),
    Rule("", "pods/exec", _EXEC, "to ask the SuperLink, to stream the app in, and to fetch results", _EXEC),
    Rule("", "events", _LIST, "to say why something is not ready", _LIST),
    Rule("", "resourcequotas", _LIST, "to say why something is not ready", _LIST),
)
"""Everything that Flowerbed does inside a namespace."""

CERT_MANAGER_RULES = (
    Rule("cert-manager.io", "certificates", _APPLIED, "the SuperLink's certificate, with tls.mode: CertManager"),
    Rule("cert-manager.io", "certificaterequests", _LIST, "to say why it is not issued"),
)
"""What it does beside that where cert-manager issues the SuperLink's certificate."""

RUN_RULES = tuple(replace(rule, verbs=rule.runs) for rule in RULES if rule.runs)
"""What `run`, `runs`, `logs`, `status`, `results` and `stop` do in a federation that is up."""

CLUSTER_RULES = (
    Rule(
        "",
        "namespaces",
        ("get", "create", "delete"),
        "to make a namespace that is not there, and to remove that one again",
    ),
)
"""What it does only where the namespace is not there yet: whoever makes it beforehand need not allow this."""


def role(name: str, namespace: str, user: str = "") -> list[Object]:
    """Return the Role with exactly what Flowerbed needs in a namespace, and the RoleBinding that gives it to a user.

    Parameters
    ----------
    name : str
        Name of both.
    namespace : str
        The federation's namespace.
    user : str
        Who is to have it, as the API server calls them; empty leaves a place to fill in.
    """
    return [only_role(name, namespace), _binding("RoleBinding", "Role", name, [subject_of_user(user)], namespace)]


def only_role(name: str, namespace: str | None, rules: tuple[Rule, ...] = RULES) -> Object:
    """Return a Role with these rules; without a namespace it is for whichever one it is applied to."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": _metadata(name, namespace),
        "rules": [as_rule(rule) for rule in rules],
    }


def role_binding(name: str, namespace: str | None, subjects: Iterable[Object]) -> Object:
    """Return the RoleBinding that gives the Role of the same name to some subjects."""
    return _binding("RoleBinding", "Role", name, list(subjects), namespace)


def cluster_role(name: str, user: str = "", rules: tuple[Rule, ...] = CLUSTER_RULES) -> list[Object]:
    """Return the ClusterRole for what lies outside of namespaces, and its binding."""
    made = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [as_rule(rule) for rule in rules],
    }
    return [made, _binding("ClusterRoleBinding", "ClusterRole", name, [subject_of_user(user)], None)]


def allows(rules: tuple[Rule, ...], verb: str, resource: str, group: str) -> bool:
    """Tell whether a table allows a verb on a resource."""
    return any(rule.group == group and rule.resource == resource and verb in rule.verbs for rule in rules)


def as_rule(rule: Rule) -> Object:
    """Return a rule as a Role has it."""
    return {"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs)}


def subject_of_user(user: str) -> Object:
    """Return who a user is whom the API server calls so; nobody yet if it is empty."""
    parts = user.split(":")
    if user.startswith("system:serviceaccount:") and len(parts) == 4:
        return service_account(parts[2], parts[3])
    return {"apiGroup": RBAC, "kind": "User", "name": user or "YOUR-USER"}


def service_account(namespace: str, name: str) -> Object:
    """Return a service account as a subject."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def group(name: str) -> Object:
    """Return a group as a subject."""
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def _binding(kind: str, of: str, name: str, subjects: list[Object], namespace: str | None) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": of, "name": name},
        "subjects": subjects,
    }


def _metadata(name: str, namespace: str | None) -> Object:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}
