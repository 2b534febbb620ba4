"""Objects that the API server does not let in: Pod Security, quotas, limit ranges, webhooks and policies.

The same texts come as the answer to a request and in ``FailedCreate`` events of the controllers that make Pods.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.model import Kind

# k8s.io/pod-security-admission, admission/admission.go; the details are "check (what), check (what)".
_POD_SECURITY = re.compile(r'violates PodSecurity "(?P<policy>[^"]*)": (?P<details>.*)', re.DOTALL)
# k8s.io/apiserver, pkg/admission/plugin/resourcequota/controller.go.
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>.+?), used: (?P<used>.+?), limited: (?P<limited>.+)",
    re.DOTALL,
)
_QUOTA_UNSPECIFIED = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.+)", re.DOTALL)
_QUOTA_COVERING = re.compile(r"insufficient quota to (?P<what>consume|match these scopes): (?P<which>.+)", re.DOTALL)
# k8s.io/kubernetes, plugin/pkg/admission/limitranger/admission.go.
_LIMIT = re.compile(
    r"(?P<bound>minimum|maximum) (?P<resource>\S+) usage per (?P<type>\S+) is (?P<value>[^,]+?)"
    r"(?:, but (?P<what>request|limit) is (?P<given>[^,\]]+)|\.\s+No (?P<lacking>request|limit) is specified)"
)
_RATIO = re.compile(r"(?P<resource>\S+) max limit to request ratio per (?P<type>\S+) is (?P<value>[^,]+), but [^,\]]+")
# k8s.io/apiserver, pkg/admission/plugin/webhook/errors/statuserror.go and pkg/util/webhook/error.go.
_WEBHOOK = re.compile(
    r'admission webhook "(?P<name>[^"]*)" denied the request(?:: (?P<why>.*)| without explanation)', re.DOTALL
)
_WEBHOOK_DOWN = re.compile(r'failed calling webhook "(?P<name>[^"]*)"(?:: (?P<why>.*))?', re.DOTALL)
# k8s.io/apiserver, pkg/admission/plugin/policy/validating/dispatcher.go.
_POLICY = re.compile(
    r"ValidatingAdmissionPolicy '(?P<name>[^']*)'(?: with binding '[^']*')? denied request: (?P<why>.*)", re.DOTALL
)
# k8s.io/apiserver, pkg/admission/plugin/namespace/lifecycle/admission.go.
_TERMINATING = re.compile(r"namespace (?P<name>\S+) because it is being terminated")
# k8s.io/kubernetes, plugin/pkg/admission/serviceaccount/admission.go.
_SERVICE_ACCOUNT = re.compile(r"error looking up service account (?P<name>\S+): .*not found", re.DOTALL)
# k8s.io/kubernetes, plugin/pkg/admission/priority/admission.go.
_PRIORITY = re.compile(r"no PriorityClass with name (?P<name>\S+) was found")
# k8s.io/kubernetes, plugin/pkg/admission/runtimeclass/admission.go.
_RUNTIME = re.compile(r'RuntimeClass "(?P<name>[^"]+)" not found')


@dataclass(frozen=True)
class Refusal:
    """Why an object is not let in.

    Parameters
    ----------
    kind : Kind
        What is wrong.
    message : str
        One sentence.
    hint : str or None
        What to do.
    fatal : bool
        Waiting will not help by itself.
    quota : str
        The ResourceQuota, if one is in the way.
    limited : str
        Its limits, as ``resource=quantity,…``.
    """

    kind: Kind
    message: str
    hint: str | None = None
    fatal: bool = True
    quota: str = ""
    limited: str = ""


def explain(said: str) -> Refusal | None:
    """Return why the API server refused, from its words; None if admission has no part in it."""
    readers = (_pod_security, _quota, _limit_range, _webhook, _terminating, _other)
    return next((found for read in readers if (found := read(said)) is not None), None)


def _pod_security(said: str) -> Refusal | None:
    match = _POD_SECURITY.search(said)
    if match is None:
        return None
    level = match["policy"].partition(":")[0]
    return Refusal(
        Kind.POD_SECURITY,
        f'the namespace enforces Pod Security "{level}", which this breaks: {shorten(match["details"])}',
        "Leave out what breaks it (hostPath volumes never pass, nor does `layout: Quickstart`), or use a namespace with"
        " another pod-security.kubernetes.io/enforce label.",
    )


def _quota(said: str) -> Refusal | None:
    if match := _QUOTA.search(said):
        limited = match["limited"].strip()
        return Refusal(
            Kind.QUOTA,
            f"the quota {match['quota']} of the namespace leaves no room: {_listed(match['requested'])} asked for,"
            f" {_listed(match['used'])} in use, {_listed(limited)} allowed",
            "Lower the resources or the replicas in the file, have the quota raised, or free what else uses it.",
            quota=match["quota"],
            limited=limited,
        )
    if match := _QUOTA_UNSPECIFIED.search(said):
        return Refusal(
            Kind.QUOTA,
            f"the quota {match['quota']} of the namespace demands that every container says {shorten(match['what'])}",
            "Set them in the file's resources, or give the namespace a LimitRange with defaults.",
            quota=match["quota"],
        )
    if match := _QUOTA_COVERING.search(said):
        return Refusal(
            Kind.QUOTA,
            f"no quota of the namespace allows for {shorten(match['which'])}",
            "Ask whoever runs the cluster for a quota that does.",
        )
    return None


def _listed(quantities: str) -> str:
    return ", ".join(part.strip() for part in quantities.split(","))


def _limit_range(said: str) -> Refusal | None:
    found = []
    for match in _LIMIT.finditer(said):
        bound = f"at {'least' if match['bound'] == 'minimum' else 'most'} {match['value']} of {match['resource']}"
        given = f"and the {match['what']} is {match['given']}" if match["what"] else f"and no {match['lacking']} is set"
        found.append(f"each {match['type']} may have {bound}, {given}")
    found += [
        f"each {match['type']} may have a {match['resource']} limit of {match['value']} times its request"
        for match in _RATIO.finditer(said)
    ]
    if not found:
        return None
    return Refusal(
        Kind.LIMIT_RANGE,
        f"a LimitRange of the namespace is in the way: {'; '.join(dict.fromkeys(found))}",
        "Change the file's resources to fit (`kubectl describe limitrange` shows all bounds).",
    )


def _webhook(said: str) -> Refusal | None:
    if match := _WEBHOOK.search(said):
        why = f": {shorten(match['why'])}" if match["why"] else ", without an explanation"
        return Refusal(Kind.DENIED, f"the cluster's admission webhook {match['name']} does not allow it{why}")
    if match := _POLICY.search(said):
        return Refusal(Kind.DENIED, f"the cluster's policy {match['name']} does not allow it: {shorten(match['why'])}")
    if match := _WEBHOOK_DOWN.search(said):
        why = f": {shorten(match['why'])}" if match["why"] else ""
        hint = "The webhook's own Service is at fault; whoever runs the cluster can mend it."
        return Refusal(Kind.DENIED, f"the cluster's admission webhook {match['name']} fails{why}", hint, fatal=False)
    return None


def _terminating(said: str) -> Refusal | None:
    match = _TERMINATING.search(said)
    if match is None:
        return None
    return Refusal(
        Kind.NAMESPACE_TERMINATING,
        f"the namespace {match['name']} is being deleted",
        "Wait until it is gone (`kubectl get namespace`), or choose another metadata.namespace.",
    )


def _other(said: str) -> Refusal | None:
    if match := _SERVICE_ACCOUNT.search(said):
        return Refusal(
            Kind.NOT_CREATED,
            f"there is no service account {match['name']} yet",
            "The cluster's controllers make it with the namespace; it should be there in a moment.",
            fatal=False,
        )
    if match := _PRIORITY.search(said):
        return _no_class("PriorityClass", match["name"], "priorityClassName")
    if match := _RUNTIME.search(said):
        return _no_class("RuntimeClass", match["name"], "runtimeClassName")
    return None


def _no_class(kind: str, name: str, field: str) -> Refusal:
    return Refusal(
        Kind.NOT_CREATED,
        f"the cluster has no {kind} {name}",
        f"Correct {field} in the file, or make the {kind}: `kubectl get {kind.lower()}` shows what there is.",
    )
