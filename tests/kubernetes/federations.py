"""Federations that tests render, and what they make of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowerbed.flower.releases import find
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation

Object = dict[str, Any]

SMALL = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: demo}
spec:
  layout: LAYOUT
  app: {image: "ghcr.io/example/app:1.0"}
  supernodes: [{name: site, replicas: 2}]
"""

FULL = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata:
  name: chest-study
  namespace: research
  labels: {example.org/team: imaging}
spec:
  flower: "1.42"
  layout: LAYOUT
  app:
    image: ghcr.io/example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    imagePullPolicy: Always
    imagePullSecrets: [{name: registry}]
  supernodes:
    - name: hospital
      replicas: 2
      nodeConfig: {dataset: chest, country: NO, note: "$(HOME) costs 5$", braces: "{{ x }} {partition-id}"}
      env: {DATA_FOLDER: /srv/chest, HTTPS_PROXY: "http://proxy.example.org:3128", PRICE: "$(DATA_FOLDER)"}
      envFrom: [{secretRef: {name: hospital-keys}}]
      volumes:
        - {name: data, mountPath: /srv/chest, readOnly: true, persistentVolumeClaim: {claimName: chest}}
        - {name: shm, mountPath: /dev/shm, emptyDir: {medium: Memory, sizeLimit: 1Gi}}
      resources: {requests: {memory: 2Gi}, limits: {memory: 4Gi, nvidia.com/gpu: 1}}
    - name: clinic
      volumes:
        - {name: data, mountPath: /srv/chest, hostPath: {path: /mnt/chest, type: Directory}}
  superlink:
    image: registry.example.org:5000/flwr/superlink:1.42.0
    storage: {size: 10Gi, storageClassName: fast}
  serverapp:
    env: {OMP_NUM_THREADS: "4"}
    envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: tracking}}]
    volumes:
      - {name: models, mountPath: /models, configMap: {name: models}}
      - {name: certificates, mountPath: /etc/tracking, secret: {secretName: tracking-ca}}
    resources: {limits: {memory: 256Mi}}
    results: {size: 5Gi}
"""


EVERYWHERE = (
    FULL.replace("hostPath: {path: /mnt/chest, type: Directory}", "emptyDir: {}")
    + """\
  security: {tls: {mode: CertManager, issuerRef: {name: ca, kind: Issuer}}}
"""
).replace(
    "    image: registry.example.org:5000/flwr/superlink:1.42.0\n",
    "    image: registry.example.org:5000/flwr/superlink:1.42.0\n"
    "    expose: {fleetAddress: 'fleet.example.org:443', ingress: {tls: Reencrypt, secretName: outside}}\n",
)
"""A federation whose namespace is in more places than `metadata`."""


def names_with_namespace(made: dict[str, Object]) -> dict[str, list[str]]:
    """Return, by their kinds, the names that have the namespace in them."""
    ingress = made["Ingress/chest-study-superlink-fleet"]["metadata"]["annotations"]
    secret = made["ExternalSecret/chest-study-superexec"]["spec"]["data"]
    return {
        "ingress": [ingress["nginx.ingress.kubernetes.io/proxy-ssl-secret"]],
        "certificate": made["Certificate/chest-study-superlink-tls"]["spec"]["dnsNames"],
        "store": [one["remoteRef"]["key"] for one in secret],
    }


def names_with(namespace: str) -> dict[str, list[str]]:
    """Return what these names are in a namespace."""
    service = "chest-study-superlink"
    inside = [f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]
    return {
        "ingress": [f"{namespace}/{service}-tls"],
        "certificate": ["localhost", service, *inside, "fleet.example.org"],
        "store": [f"{namespace}/chest-study-superexec"],
    }


def federation(text: str, layout: str = "Colocated") -> Federation:
    return parse(text.replace("LAYOUT", layout), "federation.yaml").federation


def rendered(text: str, layout: str = "Colocated", flower: str = "1.42") -> list[Object]:
    return objects(federation(text, layout), find(flower))


def named(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def workloads(made: list[Object]) -> Iterator[Object]:
    return (item for item in made if item["kind"] in ("Deployment", "StatefulSet"))


def container(item: Object) -> Object:
    """Return the container with Flower's programs."""
    found, *beside = item["spec"]["template"]["spec"]["containers"]
    assert [other["name"] for other in beside] in ([], ["proxy"])
    assert isinstance(found, dict)
    return found


def containers(item: Object) -> list[Object]:
    """Return all containers of a workload."""
    found = item["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, list)
    return found
