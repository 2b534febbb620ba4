"""Policies by which a cluster itself refuses Pods whose images nobody has signed whom the file names. Pure.

Kyverno's is a Policy of kyverno.io/v1, which holds for the Pods of its namespace (kyverno.io, "Verify Images"). That of
sigstore's policy-controller is a ClusterImagePolicy of policy.sigstore.dev/v1beta1, which is the cluster's, so it is
for the repositories of the federation's images only, and in namespaces that are opted in (docs.sigstore.dev, "Policy
Controller").
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.registry.reference import HUB, Reference


class Admission(StrEnum):
    """Who is to refuse Pods."""

    KYVERNO = "Kyverno"
    POLICY_CONTROLLER = "PolicyController"


def policies(who: Admission, images: Sequence[str], keys: Sequence[str], identity: Identity) -> list[Object]:
    """Return the policies.

    Parameters
    ----------
    who : Admission
        For whom.
    images : sequence of str
        The federation's images.
    keys : sequence of str
        Public keys, in PEM; the signature by one of them is enough.
    identity : Identity
        Who the federation is.
    """
    made = _kyverno(keys, identity) if who is Admission.KYVERNO else _policy_controller(images, keys, identity)
    return [made]


def _kyverno(keys: Sequence[str], identity: Identity) -> Object:
    no_logs = {"rekor": {"ignoreTlog": True}, "ctlog": {"ignoreSCT": True}}
    entries = [{"keys": {"publicKeys": key, **no_logs}} for key in keys]
    return {
        "apiVersion": "kyverno.io/v1",
        "kind": "Policy",
        "metadata": identity.metadata(f"{identity.federation}-signed-images"),
        "spec": {
            "background": False,
            "rules": [
                {
                    "name": "signed-images",
                    "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
                    "verifyImages": [
                        {
                            "imageReferences": ["*"],
                            "failureAction": "Enforce",
                            "attestors": [{"count": 1, "entries": entries}],
                        }
                    ],
                }
            ],
        },
    }


def _policy_controller(images: Sequence[str], keys: Sequence[str], identity: Identity) -> Object:
    place = f"{identity.namespace}-{identity.federation}" if identity.namespace else identity.federation
    globs = list(dict.fromkeys(f"{_repository(image)}{rest}" for image in images for rest in (":*", "@sha256:*")))
    authorities = [
        {"name": f"key-{number}", "key": {"data": key, "hashAlgorithm": "sha256"}} for number, key in enumerate(keys)
    ]
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": f"{place}-signed-images", "labels": identity.labels()},
        "spec": {"mode": "enforce", "images": [{"glob": glob} for glob in globs], "authorities": authorities},
    }


def _repository(image: str) -> str:
    place = Reference.parse(image)
    return f"{'index.docker.io' if place.host == HUB else place.host}/{place.repository}"
