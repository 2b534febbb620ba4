"""A federation as Kubernetes objects."""

from __future__ import annotations

from flowerbed.errors import UsageError
from flowerbed.flower.releases import Row
from flowerbed.kubernetes import labels
from flowerbed.kubernetes.manifests import colocated, quickstart
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.images import NO_IMAGE
from flowerbed.spec.model import Federation, Layout

POD_SECURITY = "pod-security.kubernetes.io/enforce"


def objects(federation: Federation, row: Row, *, namespace: str | None = None) -> list[Object]:
    """Return the objects of a federation, in the order in which they are applied.

    Parameters
    ----------
    federation : Federation
        What shall run.
    row : Row
        The Flower release.
    namespace : str or None
        Where, instead of what the file says. Without either, objects name no namespace.

    Raises
    ------
    UsageError
        If the file names no image; `images.image_problems` tells before.
    """
    image = federation.spec.app.image
    if image is None:
        raise UsageError("spec.app.image is needed on Kubernetes", hint=NO_IMAGE.hint)
    identity = Identity.of(federation, row, namespace)
    layout = colocated if federation.spec.layout is Layout.COLOCATED else quickstart
    made = layout.objects(federation, row, identity, image)
    return [*_namespace(federation, identity), *made]


def _namespace(federation: Federation, identity: Identity) -> list[Object]:
    """Return the Namespace, where the file names it.

    It enforces what all Pods of ours keep to, unless the file has them mount paths of the node, which nothing but the
    cluster's own rules can allow.
    """
    spec = federation.spec
    if federation.metadata.namespace is None or federation.metadata.namespace != identity.namespace:
        return []
    ours = {labels.MANAGED_BY: labels.MANAGER}
    volumes = [*spec.serverapp.volumes, *(volume for pool in spec.supernodes for volume in pool.volumes)]
    if all(volume.host_path is None for volume in volumes):
        ours[POD_SECURITY] = "restricted"
    said = {**identity.more, **({} if spec.layout is Layout.QUICKSTART else ours)}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": identity.namespace, **({"labels": said} if said else {})},
        }
    ]
