"""Who manages an object, as it says itself: Flowerbed, or somebody who applied what `flowerbed render` made. Pure.

What each leaves on an object:

- Helm: annotations ``meta.helm.sh/release-name`` and ``-namespace`` (helm.sh/helm, pkg/action/validate.go);
- Flux: labels ``kustomize.toolkit.fluxcd.io/name`` and ``/namespace`` (fluxcd.io, "Kustomization"), or beside
  Helm's own ``helm.toolkit.fluxcd.io/name`` and ``/namespace`` (fluxcd/helm-controller#238);
- Argo CD: the annotation ``argocd.argoproj.io/tracking-id``, or where it tracks by label the name of its application in
  ``app.kubernetes.io/instance`` (argo-cd.readthedocs.io, "Resource Tracking");
- everybody: a field manager in ``managedFields`` (kubernetes.io, "Server-Side Apply").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowerbed.errors import ClusterConflict
from flowerbed.kubernetes.explain.reading import objects, text
from flowerbed.kubernetes.labels import INSTANCE, MANAGED_BY, MANAGER

Object = Mapping[str, Any]

_MOST = 4

REWRITTEN = (MANAGED_BY, INSTANCE)
"""Labels that others set as they like on what they apply."""

CONTROLLERS = frozenset({"kube-controller-manager", "kube-scheduler", "kubelet"})
"""Field managers of Kubernetes itself."""

_HELM = ("meta.helm.sh/release-namespace", "meta.helm.sh/release-name")
_FLUX = {kind: f"{kind}.toolkit.fluxcd.io/" for kind in ("helm", "kustomize")}
_ARGO = "argocd.argoproj.io/tracking-id"
_ARGO_MANAGER = "argocd-controller"

_HELM_WAY = "render the chart again and run `helm upgrade {}`"
_HELM_AFTER = "it is still recorded, and `helm uninstall {}` ends that"
_GIT_WAY = "change the files that it applies"
_GIT_AFTER = "it may make again what was deleted, until it no longer applies those files"


@dataclass(frozen=True)
class Manager:
    """Somebody who manages an object.

    Parameters
    ----------
    name : str
        Their field manager, as the API server calls them.
    said : str
        Who they are, in words.
    way : str
        How to have them change it, as a clause.
    after : str
        What to know when the object was deleted all the same, as a clause; empty if there is nothing.
    """

    name: str
    said: str
    way: str
    after: str = ""


def entries(item: Object) -> list[Mapping[str, Any]]:
    """Return who set which fields of an object, but for its status and for Kubernetes itself."""
    found = objects(item, "metadata", "managedFields")
    return [one for one in found if text(one, "subresource") != "status" and text(one, "manager") not in CONTROLLERS]


def is_applied(item: Object) -> bool:
    """Tell whether Flowerbed applied an object: then its fields are compared by the API server."""
    return any(text(one, "manager") == MANAGER and text(one, "operation") == "Apply" for one in entries(item))


def manager(item: Object) -> Manager | None:
    """Return who manages an object that Flowerbed did not apply; None if nobody says so, or Flowerbed does."""
    if is_applied(item):
        return None
    others = [text(one, "manager") for one in entries(item) if text(one, "manager") != MANAGER]
    return _by_marks(item, others) or (_by_name(others[0]) if others else None)


def _by_name(found: str) -> Manager:
    if found.startswith("kubectl"):
        return Manager(found, "kubectl", "apply what `flowerbed render` makes with kubectl, as before")
    return Manager(found, found, "have it make the change")


def _by_marks(item: Object, others: list[str]) -> Manager | None:
    def said(kind: str, key: str) -> str:
        return text(item, "metadata", kind, key)

    for kind, prefix in _FLUX.items():
        if called := said("labels", f"{prefix}name"):
            where = said("labels", f"{prefix}namespace")
            what = "HelmRelease" if kind == "helm" else "Kustomization"
            return Manager(
                _first(others, f"{kind}-controller"), f"Flux's {what} {where}/{called}", _GIT_WAY, _GIT_AFTER
            )
    namespace, release = (said("annotations", key) for key in _HELM)
    if release:
        way, after = _HELM_WAY.format(release), _HELM_AFTER.format(release)
        return Manager(_first(others, "helm"), f"Helm's release {namespace}/{release}", way, after)
    application = said("annotations", _ARGO).partition(":")[0]
    if not application and _ARGO_MANAGER in others:
        application = said("labels", INSTANCE)
    if application:
        return Manager(_first(others, _ARGO_MANAGER), f"Argo CD's application {application}", _GIT_WAY, _GIT_AFTER)
    return None


def _first(found: list[str], otherwise: str) -> str:
    return found[0] if found else otherwise


@dataclass(frozen=True)
class Theirs:
    """An object that somebody else manages, and that an apply would change.

    Parameters
    ----------
    who : Manager
        Who manages it.
    what : str
        Its kind and name.
    fields : tuple of str
        What would change, with dots; empty where the object would be deleted.
    """

    who: Manager
    what: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.fields) - _MOST} more" if len(self.fields) > _MOST else ""
        return f"{self.what} ({', '.join(self.fields[:_MOST]) + more if self.fields else 'the file does not have it'})"


def refusal(found: Sequence[Theirs]) -> ClusterConflict:
    """Return the error for changes of what somebody else manages."""
    said = []
    for who in dict.fromkeys(one.who for one in found):
        objects_of = [str(one) for one in found if one.who == who]
        more = f" and {len(objects_of) - _MOST} more" if len(objects_of) > _MOST else ""
        said.append(f"{who.said} manages {', '.join(objects_of[:_MOST])}{more}")
    ways = "; ".join(dict.fromkeys(one.who.way for one in found))
    return ClusterConflict(
        f"the file would change what others manage: {'; '.join(said)}",
        hint=f"Nothing was changed. {ways[:1].upper()}{ways[1:]}."
        " Or take all of it over with `flowerbed up --on kubernetes --force-conflicts`.",
        conflicts=tuple((one.who.name, f".{field}") for one in found for field in one.fields or ("metadata",)),
    )
