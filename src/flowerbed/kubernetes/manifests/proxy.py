"""The proxy before the SuperLink: a container beside it, in the same Pod, and its configuration.

Nobody reaches the SuperLink itself, which listens on the Pod's loopback; the proxy has the ports that it would have.
They are two containers, because either can be started again without the other: SuperNodes and SuperExecs ask again.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import images, names, nginx, trust
from flowerbed.kubernetes.manifests.edges import door
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.nginx import Listener, Tls
from flowerbed.kubernetes.manifests.places import ANYWHERE, LOOPBACK, SCRATCH
from flowerbed.kubernetes.manifests.pod import Beside, container_security, pull_policy
from flowerbed.kubernetes.manifests.trust_sources import BUNDLE, CERTIFICATE, KEY, trust_sources
from flowerbed.spec.model import Federation
from flowerbed.topology.build import protection

CONTAINER = "proxy"
HEALTH_PORT = 9991
FILE = "nginx.conf"
ANNOTATION = "flowerbed.dev/proxy"
"""A hash of the configuration on the Pod template, so that another one rolls the Pod."""

_FOLDER = "/flowerbed-proxy"
_BEHIND = 10000  # a Pod has each port once
_RESOURCES: Object = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}


def behind(number: int) -> int:
    """Return the port at which the SuperLink listens behind the proxy, in place of its own."""
    return number + _BEHIND


def config_map(federation: Federation, row: Row, identity: Identity) -> Object:
    """Return the ConfigMap with the configuration."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": identity.metadata(names.proxy(identity.federation)),
        "data": {FILE: configuration(federation, row)},
    }


def configuration(federation: Federation, row: Row) -> str:
    """Return the configuration."""
    tls = Tls(trust.SUPERLINK_CERTIFICATE, trust.SUPERLINK_KEY, trust.AUTHORITY, trust.AUTHORITY)
    if trust_sources(federation.metadata.name, federation.spec).foreign:
        # Whom others trust can change at any time, and nginx reads it only when it starts; on loopback is no other.
        tls = replace(tls, authority=None, clients=trust.LOOPBACK_AUTHORITY)
    listeners = []
    for api in Api:
        own, (_, number) = apis.port(row, api), door(federation.spec, row, api)
        spoken = tls if apis.has_tls(row, api, protection(federation)) else None
        addresses = f"{ANYWHERE}:{number}", f"{LOOPBACK}:{behind(own.default)}"
        prefix = apis.prefix(row, api)
        listeners.append(Listener(*addresses, own.protocol, prefix, spoken, clients_only=api is Api.CONTROL))
    return nginx.proxy(listeners, health=f"{ANYWHERE}:{HEALTH_PORT}", scratch=SCRATCH)


def forwarder(federation: Federation, row: Row, identity: Identity) -> str:
    """Return the configuration of a forwarder to Control, for a folder with the client's certificate beside it."""
    _, number = door(federation.spec, row, Api.CONTROL)
    host = f"{names.superlink(identity.federation)}.{identity.namespace}.svc"
    # Somebody else's certificate is for the short name at least.
    called = (
        names.superlink(identity.federation) if trust_sources(identity.federation, federation.spec).foreign else host
    )
    client = Tls(CERTIFICATE, KEY, BUNDLE, BUNDLE)
    spoken = apis.port(row, Api.CONTROL).protocol
    made = nginx.Forwarder(f"{LOOPBACK}:{number}", f"{host}:{number}", called, spoken, client)
    return nginx.forwarder(made, scratch=SCRATCH)


def beside(federation: Federation, row: Row, brought: trust.PodTrust) -> Beside:
    """Return the container, with what it needs of its own; `brought` is what the SuperLink's Pod gets."""
    foreign = trust_sources(federation.metadata.name, federation.spec).foreign
    shown = {trust.FOLDER_OF_SUPERLINK, trust.FOLDER_OF_LOOPBACK if foreign else trust.FOLDER_OF_AUTHORITY}
    ports = dict(door(federation.spec, row, api) for api in Api)
    probe = {"httpGet": {"path": nginx.HEALTH, "port": "proxy-health"}, "timeoutSeconds": 5}
    container = {
        "name": CONTAINER,
        "image": images.proxy(federation.spec),
        **pull_policy(federation.spec.app),
        "command": ["nginx"],
        "args": ["-e", "stderr", "-c", f"{_FOLDER}/{FILE}"],
        "ports": [
            *({"name": name, "containerPort": number} for name, number in ports.items()),
            {"name": "proxy-health", "containerPort": HEALTH_PORT},
        ],
        "readinessProbe": {**probe, "periodSeconds": 1},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
        "resources": _RESOURCES,
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "flowerbed-proxy", "mountPath": _FOLDER, "readOnly": True},
            {"name": "flowerbed-proxy-scratch", "mountPath": SCRATCH},
            *(mount for mount in brought.mounts if mount["mountPath"] in shown),
        ],
    }
    volumes = (
        {"name": "flowerbed-proxy", "configMap": {"name": names.proxy(federation.metadata.name)}},
        {"name": "flowerbed-proxy-scratch", "emptyDir": {"sizeLimit": "64Mi"}},
    )
    digest = hashlib.sha256(configuration(federation, row).encode()).hexdigest()[:16]
    return Beside(container, volumes, {ANNOTATION: digest})
