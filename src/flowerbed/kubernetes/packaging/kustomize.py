"""A Kustomize base, which is rendered anew each time, and two overlays, which are the user's once they are there."""

from __future__ import annotations

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.packaging.files import Files, by_file
from flowerbed.kubernetes.yaml_text import dump, dump_all
from flowerbed.spec.model import Federation

OVERLAYS = "overlays/"
"""The folder of what is written only where it is not there yet."""

_KIND = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}

_DEVELOPMENT = """\
# For trying things out. This file is yours: `flowerbed render` never writes over it.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../base

# Beside another one on the same cluster, in a namespace of its own:
# namespace: NAME-development

labels:
- pairs:
    environment: development

# It asks for little, so that it fits onto a small cluster; the limits stay.
patches:
- target:
    group: apps
    kind: StatefulSet|Deployment
  patch: |
    - op: replace
      path: /spec/template/spec/containers/0/resources/requests/cpu
      value: 50m
"""

_PRODUCTION = """\
# For what must not fail. This file is yours: `flowerbed render` never writes over it.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../base

labels:
- pairs:
    environment: production

# Images by what they hold, from a registry of your own:
# images:
# - name: flwr/superlink
#   newName: registry.example.org/flwr/superlink
#   digest: sha256:…
"""

_PRODUCTION_CLAIMS = """\

# The StorageClass of the SuperLink's database (only before it is applied for the first time; afterwards a StatefulSet's
# claims cannot be changed), and nodes for the SuperNodes:
# patches:
# - target: {kind: StatefulSet, name: NAME-superlink}
#   patch: |
#     - op: add
#       path: /spec/volumeClaimTemplates/0/spec/storageClassName
#       value: fast
# - target: {kind: StatefulSet, labelSelector: app.kubernetes.io/component=supernode}
#   patch: |
#     - op: add
#       path: /spec/template/spec/nodeSelector
#       value: {example.org/pool: federated}
"""


def files(federation: Federation, objects: list[Object]) -> Files:
    """Return the base and the overlays."""
    found = by_file(federation, objects)
    name = federation.metadata.name
    production = _PRODUCTION
    if any(item["kind"] == "StatefulSet" for item in objects):
        production += _PRODUCTION_CLAIMS
    return {
        "base/kustomization.yaml": dump({**_KIND, "resources": list(found)}),
        **{f"base/{file}": dump_all(items) for file, items in found.items()},
        f"{OVERLAYS}development/kustomization.yaml": _DEVELOPMENT.replace("NAME", name),
        f"{OVERLAYS}production/kustomization.yaml": production.replace("NAME", name),
    }
