"""Images that cannot be pulled.

What kubelet says (k8s.io/kubernetes, pkg/kubelet/images/types.go and image_manager.go; ``ImagePullBackOff`` carries
the cause since 1.31 or so, before that only the event does) ends in what the container runtime says: containerd's
core/remotes/docker (``…: not found``, ``pull access denied, repository does not exist or may require authorization``),
core/images (``no match for platform in manifest``), and for CRI-O go.podman.io/image (``manifest unknown``,
``no image found in image index for architecture``).
"""

from __future__ import annotations

import re

from flowerbed.kubernetes.explain.model import Kind

WAITING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",  # cri-api, pkg/errors/errors.go
        "SignatureValidationFailed",
    }
)
"""Reasons for which a container waits for its image."""

NAME_HINT = "Correct spec.app.image (or spec.superlink.image, or spec.images) and run `up` again."
MISSING_HINT = "Push it there, or correct spec.app.image (or spec.superlink.image, or spec.images), and run `up` again."
CREDENTIALS_HINT = (
    "Make a Secret with the registry's credentials (`kubectl create secret docker-registry`) and name it in"
    " spec.app.imagePullSecrets; registries also say this of a repository that does not exist."
)
PLATFORM_HINT = "Build it for the nodes' architecture too (`kubectl get nodes -L kubernetes.io/arch` shows it)."

_PLATFORM = re.compile(
    r"no match for platform|no matching manifest for|no image found in (?:manifest list|image index) for architecture"
    r"|exec format error",
    re.IGNORECASE,
)
_UNAUTHORIZED = re.compile(
    r"pull access denied|insufficient_scope|authorization failed|failed to authorize|unauthorized"
    r"|authentication required|\b401\b|\b403\b|no basic auth credentials|requested access to the resource is denied"
    r"|\bdenied:",
    re.IGNORECASE,
)
_NO_HOST = re.compile(r"no such host|server misbehaving|name or service not known", re.IGNORECASE)
_TLS = re.compile(r"x509:|tls: |server gave HTTP response to HTTPS client|certificate", re.IGNORECASE)
_RATE = re.compile(r"\b429\b|toomanyrequests|too many requests|rate limit", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"connection refused|i/o timeout|timed? ?out|deadline exceeded|network is unreachable|no route to host"
    r"|connection reset|\bEOF\b|registry is unavailable|\b50[0234]\b|dial tcp",
    re.IGNORECASE,
)
_DISK = re.compile(r"no space left on device", re.IGNORECASE)
_MISSING = re.compile(r"not found|manifest unknown|name unknown|\b404\b", re.IGNORECASE)


def explain(reason: str, image: str, message: str) -> tuple[Kind, str, str | None, bool]:
    """Return kind, sentence, hint, and whether waiting is in vain, for an image that is waited for.

    Parameters
    ----------
    reason : str
        Why the container waits: one of `WAITING`.
    image : str
        The image as the Pod names it.
    message : str
        What kubelet said, as far as it is known.
    """
    this = f"the image {image}" if image else "the image"
    if reason == "InvalidImageName":
        return Kind.IMAGE_NAME, f"{this} has a name that is none", NAME_HINT, True
    if reason == "ErrImageNeverPull":
        hint = "Load it onto the nodes, or set spec.app.imagePullPolicy to IfNotPresent."
        return Kind.IMAGE_MISSING, f"{this} is not on the node, and its pull policy is Never", hint, True
    if reason == "SignatureValidationFailed":
        return Kind.IMAGE_PULL, f"{this} is refused by the node: its signature is not valid there", None, True
    # The image's own name may contain what is looked for ("not-found", a tag 401).
    said = message.replace(image, "") if image else message
    if _PLATFORM.search(said):
        return Kind.IMAGE_ARCHITECTURE, f"{this} has nothing for the node's architecture", PLATFORM_HINT, True
    if _RATE.search(said):
        hint = "Wait, or pull with credentials (spec.app.imagePullSecrets), or from a registry of your own."
        return Kind.REGISTRY_UNREACHABLE, f"the registry refuses to send {this} so often (rate limit)", hint, False
    if _UNAUTHORIZED.search(said):
        return Kind.IMAGE_UNAUTHORIZED, f"the registry does not let the node pull {this}", CREDENTIALS_HINT, True
    if _NO_HOST.search(said):
        return Kind.REGISTRY_UNREACHABLE, f"the registry of {this} has no address: no such host", NAME_HINT, True
    if _TLS.search(said):
        hint = (
            "Give the nodes the registry's certificate authority; a registry without TLS must be set up on each node."
        )
        return Kind.REGISTRY_UNREACHABLE, f"the registry of {this} has no TLS that the node trusts", hint, True
    if _DISK.search(said):
        hint = "Free space on the node, or give it a bigger disk."
        return Kind.IMAGE_PULL, f"the node has no disk space left for {this}", hint, False
    if _UNREACHABLE.search(said):
        hint = "Check the way from the nodes to the registry."
        return Kind.REGISTRY_UNREACHABLE, f"the node cannot reach the registry of {this}", hint, False
    if _MISSING.search(said):
        return Kind.IMAGE_MISSING, f"{this} does not exist in its registry", MISSING_HINT, True
    tail = f": {shorten(said)}" if said and not said.startswith("Back-off pulling image") else ""
    return Kind.IMAGE_PULL, f"{this} cannot be pulled{tail}", None, bool(tail)


def shorten(message: str, limit: int = 300) -> str:
    """Return a message on one line, its middle left out if it is long: causes stand at the end of Go's errors."""
    line = " ".join(message.split())
    return line if len(line) <= limit else f"{line[: limit // 3]} … {line[-(limit - limit // 3) :]}"
