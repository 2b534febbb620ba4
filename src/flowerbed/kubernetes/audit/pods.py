"""Checks of what Pods are: their images, what they may do on a node, and what stands in their specs for all to read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flowerbed.kubernetes.audit.model import Audited, Check, Severity
from flowerbed.kubernetes.manifests import images
from flowerbed.spec.finding import Finding, Path
from flowerbed.spec.model import Layout, NodeDrain
from flowerbed.spec.scheduling import Placement, TolerationOperator

_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:passw(?:or)?d|secret|token|credentials?|(?:api|access|private)[_.-]?key)$", re.I
)
"""Names whose values are secrets: DB_PASSWORD, api-key, HF_TOKEN; not TOKENIZERS_PARALLELISM, or KEY_FILE."""

_CREDENTIALS = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.I)
"""An address with a password in it."""


def _moving(audited: Audited) -> Iterator[Finding]:
    for path, image in images.used(audited.spec, audited.row):
        if not images.is_pinned(image) and _tag(image) in ("", "latest"):
            yield Finding(
                path,
                f"{image} is another image tomorrow: Pods of one federation, and of one run, may differ",
                "name a version, or better a digest",
            )


def _unpinned(audited: Audited) -> Iterator[Finding]:
    for path, image in images.used(audited.spec, audited.row):
        if not images.is_pinned(image) and _tag(image) not in ("", "latest"):
            yield Finding(
                path,
                f"{image} has no digest: whoever can push to its registry can change what runs",
                "name it by its digest, and write security: {images: Pinned} so that it stays so",
            )


def _tag(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[2]


def _restricted(audited: Audited) -> Iterator[Finding]:
    """Read the rules of Pod Security `restricted` that concern our Pods; paths of nodes have a check of their own."""
    wrong = sorted({fault for item in audited.objects for fault in _faults(item)})
    if wrong:
        quickstart = audited.spec.layout is Layout.QUICKSTART
        yield Finding(
            ("spec", "layout") if quickstart else ("spec",),
            f"Pods do not pass Pod Security `restricted`: {', '.join(wrong)}",
            "choose layout: Colocated" if quickstart else None,
        )


def _faults(item: Mapping[str, Any]) -> Iterator[str]:
    pod = (item.get("spec") or {}).get("template", {}).get("spec")
    if pod is None:
        return
    of_pod = pod.get("securityContext") or {}
    for container in pod["containers"]:
        own = {**of_pod, **(container.get("securityContext") or {})}
        if own.get("runAsNonRoot") is not True:
            yield "they may run as root"
        if own.get("allowPrivilegeEscalation") is not False:
            yield "they may gain privileges"
        if "ALL" not in (own.get("capabilities") or {}).get("drop", []):
            yield "they keep capabilities"
        if (own.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield "no seccomp profile"


def _host_paths(audited: Audited) -> Iterator[Finding]:
    given = [audited.spec.serverapp.volumes, *(pool.volumes for pool in audited.spec.own_pools)]
    for (path, _), volumes in zip(audited.programs, given, strict=True):
        for index, volume in enumerate(volumes):
            if volume.host_path is not None:
                yield Finding(
                    (*path, "volumes", index, "hostPath"),
                    f"{volume.host_path.path} of the node is mounted, so the namespace cannot enforce Pod Security",
                    "use a claim or a CSI volume",
                )


def _secrets(audited: Audited) -> Iterator[Finding]:
    spec = audited.spec
    said: list[tuple[Path, Mapping[str, object]]] = [(("spec", "serverapp", "env"), spec.serverapp.env)]
    for index, pool in enumerate(spec.supernodes):
        said += [
            (("spec", "supernodes", index, "env"), pool.env),
            (("spec", "supernodes", index, "nodeConfig"), pool.node_config),
        ]
    said.append((("spec", "run", "config"), spec.run.config))
    for path, values in said:
        for key, value in values.items():
            if isinstance(value, str) and value and (_SECRET_NAME.search(key) or _CREDENTIALS.search(value)):
                yield Finding(
                    (*path, key),
                    "looks like a secret, and stands in the file, in Git, and in objects for all who may read them",
                    "put it into a Secret, and name that in envFrom",
                )


def _tolerates_all(audited: Audited) -> Iterator[Finding]:
    pools = ((("spec", "supernodes", index), pool) for index, pool in enumerate(audited.spec.supernodes))
    placed: list[tuple[Path, Placement]] = [
        (("spec", "superlink"), audited.spec.superlink),
        (("spec", "serverapp"), audited.spec.serverapp),
        *pools,
    ]
    for path, placement in placed:
        for index, one in enumerate(placement.tolerations):
            if one.key is None and one.operator is TolerationOperator.EXISTS:
                yield Finding(
                    (*path, "tolerations", index),
                    "tolerates every taint: Pods also go to the control plane's nodes, and to nodes that fail",
                    "name the taints that they are to tolerate",
                )


def _drains(audited: Audited) -> Iterator[Finding]:
    if audited.spec.node_drain is NodeDrain.PROCEED:
        yield Finding(
            ("spec", "nodeDrain"), "a node drain ends a run that is going on", "leave it out, and drain by hand"
        )


def _namespace(audited: Audited) -> Iterator[Finding]:
    namespace = audited.federation.metadata.namespace
    if namespace is None:
        yield Finding(
            ("metadata", "namespace"),
            "is left to whoever applies it",
            "name one of the federation's own: whoever can make Pods in it can reach the SuperLink",
        )
    elif namespace == "default" or namespace.startswith("kube-"):
        yield Finding(
            ("metadata", "namespace"),
            f"{namespace} is not the federation's own: whoever can make Pods in it can reach the SuperLink",
            "name one for it alone",
        )


CHECKS = (
    Check("pod-security", Severity.ERROR, "Pods pass Pod Security `restricted`.", _restricted),
    Check("host-path", Severity.ERROR, "Pods mount no paths of their node.", _host_paths),
    Check("secret-in-file", Severity.ERROR, "No secret stands in the file.", _secrets),
    Check("image-moves", Severity.WARNING, "Images have a version.", _moving),
    Check("image-unpinned", Severity.NOTE, "Images are named by what they hold.", _unpinned),
    Check("tolerates-everything", Severity.WARNING, "Pods tolerate only taints that are named.", _tolerates_all),
    Check("drain-ends-runs", Severity.NOTE, "A node drain does not end a run by surprise.", _drains),
    Check("namespace-shared", Severity.NOTE, "The federation has a namespace of its own.", _namespace),
)
