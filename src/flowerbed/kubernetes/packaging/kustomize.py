"""A Kustomize base, which is rendered anew each time, and two overlays, which are the user's once they are there."""

from __future__ import annotations

import json

from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.expose import SSL_SECRET
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.packaging.files import Files, by_file
from flowerbed.kubernetes.yaml_text import dump, dump_all
from flowerbed.spec.model import Federation

OVERLAYS = "overlays/"
"""The folder of what is written only where it is not there yet."""

_BASE = """\
# Rendered by `flowerbed render`, which replaces this file the next time. Keep changes in an overlay.
#
# An overlay can set `namespace:`. It cannot set `namePrefix:` or `nameSuffix:`: the arguments of programs and the
# certificates name the SuperLink's Service, and Kustomize does not change names there: no program would find it.
# For a second federation write a second file, with another metadata.name.
"""

_NAMESPACE = """\

# With `namespace:`, these names have it in them too:
replacements:
- source: {kind: Service, name: NAME, fieldPath: metadata.namespace}
  targets:
TARGETS"""

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
    targets = _targets(objects)
    moved = _NAMESPACE.replace("NAME", names.superlink(name), 1).replace("TARGETS", targets) if targets else ""
    production = _PRODUCTION
    if any(item["kind"] == "StatefulSet" for item in objects):
        production += _PRODUCTION_CLAIMS
    return {
        "base/kustomization.yaml": _BASE + dump({**_KIND, "resources": list(found)}),
        **{f"base/{file}": dump_all(items) for file, items in found.items()},
        f"{OVERLAYS}development/kustomization.yaml": _DEVELOPMENT.replace("NAME", name) + moved,
        f"{OVERLAYS}production/kustomization.yaml": production.replace("NAME", name) + moved,
    }


def _targets(objects: list[Object]) -> str:
    """Return where Kustomize shall write the namespace beside `metadata`: as targets of a replacement."""
    made = []
    for item in objects:
        namespace = item["metadata"].get("namespace")
        if namespace is None:
            continue
        if item["kind"] == "Ingress" and SSL_SECRET in item["metadata"].get("annotations", {}):
            made.append((item, [f"metadata.annotations.[{SSL_SECRET}]"], "/", 0))
        if item["kind"] == "Certificate":
            called = item["spec"]["dnsNames"]
            paths = [f"spec.dnsNames.{index}" for index, one in enumerate(called) if f".{namespace}" in one]
            made.append((item, paths, ".", 1))
        if item["kind"] == "ExternalSecret":
            made.append((item, ["spec.data.*.remoteRef.key"], "/", 0))
    return "".join(
        f"  - select: {{kind: {item['kind']}, name: {item['metadata']['name']}}}\n"
        f"    fieldPaths: {json.dumps(paths)}\n"
        f'    options: {{delimiter: "{delimiter}", index: {index}}}\n'
        for item, paths, delimiter, index in made
    )
