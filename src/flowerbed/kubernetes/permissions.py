"""What Flowerbed must be allowed to do in a cluster: one table, and the Role made of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str


_APPLIED = ("get", "list", "create", "patch", "delete")
"""Server-side apply is a `patch`, which also needs `create` where the object is not there yet
(k8s.io/apiserver, pkg/endpoints/handlers/patch.go); `list` finds what the file no longer has, `delete` removes it."""

RULES = (
    Rule("", "namespaces", ("get",), "to see whether the namespace is there, and is not being deleted"),
    Rule("apps", "statefulsets", _APPLIED, "the SuperLink and the pools of SuperNodes"),
    Rule("apps", "deployments", _APPLIED, "the ServerApp's SuperExec, and everything in layout Quickstart"),
    Rule("apps", "replicasets", ("list",), "to say why a Deployment's Pods are not made"),
    Rule("", "services", _APPLIED, "the SuperLink's ports"),
    Rule("policy", "poddisruptionbudgets", _APPLIED, "what a node drain may evict"),
    Rule("networking.k8s.io", "networkpolicies", _APPLIED, "who may reach what"),
    Rule("", "configmaps", _APPLIED, "the programs in the Pods, and the records of runs"),
    Rule("", "persistentvolumeclaims", _APPLIED, "the results, and to say why a claim gets no volume"),
    Rule("batch", "jobs", ("get", "list", "create", "delete"), "to submit runs from inside the cluster"),
    Rule("", "pods", ("get", "list"), "to see what is ready, and why something is not"),
    Rule("", "pods/log", ("get",), "flowerbed logs, and the last lines of what crashes"),
    # A WebSocket is opened with GET, so authorized as `get`; since 1.35 `create` is asked for as well
    # (kubernetes/kubernetes#133515, AuthorizePodWebsocketUpgradeCreatePermission).
    Rule("", "pods/exec", ("get", "create"), "to ask the SuperLink, to stream the app in, and to fetch results"),
    Rule("", "events", ("list",), "to say why something is not ready"),
    Rule("", "resourcequotas", ("list",), "to say why something is not ready"),
)
"""Everything that Flowerbed does inside a namespace."""

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
    made = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": [as_rule(rule) for rule in RULES],
    }
    return [made, _binding("RoleBinding", "Role", name, user, namespace)]


def cluster_role(name: str, user: str = "", rules: tuple[Rule, ...] = CLUSTER_RULES) -> list[Object]:
    """Return the ClusterRole for what lies outside of namespaces, and its binding."""
    made = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [as_rule(rule) for rule in rules],
    }
    return [made, _binding("ClusterRoleBinding", "ClusterRole", name, user, "")]


def allows(rules: tuple[Rule, ...], verb: str, resource: str, group: str) -> bool:
    """Tell whether a table allows a verb on a resource."""
    return any(rule.group == group and rule.resource == resource and verb in rule.verbs for rule in rules)


def as_rule(rule: Rule) -> Object:
    """Return a rule as a Role has it."""
    return {"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs)}


def _binding(kind: str, of: str, name: str, user: str, namespace: str) -> Object:
    meta = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": of, "name": name},
        "subjects": [_subject(user)],
    }


def _subject(user: str) -> Object:
    parts = user.split(":")
    if user.startswith("system:serviceaccount:") and len(parts) == 4:
        return {"kind": "ServiceAccount", "name": parts[3], "namespace": parts[2]}
    return {"apiGroup": RBAC, "kind": "User", "name": user or "YOUR-USER"}
