"""Where SuperNodes outside of the cluster reach the SuperLink: a Service for the Fleet API, and what leads there.

Its port is the container's ``fleet``, by name: that of the proxy, which shows the Fleet API alone there, or where there
is no proxy the SuperLink's own. Where no container has one, nobody is reached, rather than whatever else is served at
that number.
"""

from __future__ import annotations

from collections.abc import Iterable

from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.edges import FLEET
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.nginx import MOST_BETWEEN
from flowerbed.kubernetes.manifests.said import said
from flowerbed.spec.expose import Expose, ExposedService, ExposedType, IngressTls
from flowerbed.spec.finding import Finding
from flowerbed.spec.model import Federation
from flowerbed.topology.model import Role

NGINX = "nginx.ingress.kubernetes.io"
SSL_SECRET = f"{NGINX}/proxy-ssl-secret"
GATEWAY = "gateway.networking.k8s.io"

_NUMBER = 9092
"""The port of the Service for what leads there, with every release."""


def objects(federation: Federation, row: Row, identity: Identity) -> list[Object]:
    """Return what exposes the Fleet API; nothing where the file names no way there."""
    expose = federation.spec.superlink.expose
    if expose is None:
        return []
    made = _Exposed(row, identity, expose)
    if expose.service is not None:
        return [made.service(expose.service)]
    if expose.ingress is not None:
        return [made.backend(), made.ingress()]
    if expose.gateway is not None:
        return [made.backend(), made.route()]
    return []


def problems(federation: Federation, objects: Iterable[Object]) -> list[Finding]:
    """Return what is wrong with exposing the Fleet API: that there is no port at which it is alone.

    Parameters
    ----------
    federation : Federation
        What the file says.
    objects : iterable of dict
        What is made of it.
    """
    expose = federation.spec.superlink.expose
    if expose is None or not expose.is_shown:
        return []
    superlink = names.superlink(federation.metadata.name)
    containers = [
        container
        for item in objects
        if item["kind"] == "StatefulSet" and item["metadata"]["name"] == superlink
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    if any(port["name"] == FLEET for container in containers for port in container.get("ports", [])):
        return []
    message = "the Fleet API has no port of its own here: whoever reached it would reach the Control API, and run code"
    hint = "leave out security.controlApi: Open, or take a Flower release before 1.40"
    return [Finding(("spec", "superlink", "expose"), message, hint)]


class _Exposed:
    def __init__(self, row: Row, identity: Identity, expose: Expose) -> None:
        self._row = row
        self._identity = identity
        self._expose = expose
        self._name = names.fleet(identity.federation)

    def service(self, given: ExposedService) -> Object:
        """Return a Service with an address outside."""
        cidrs = [peer for peer in self._expose.sources or () if peer.cidr is not None]
        balanced = given.type is ExposedType.LOAD_BALANCER
        ranges = [str(peer.cidr) for peer in cidrs] if len(cidrs) == len(self._expose.sources or ()) else []
        port = {"port": self._expose.port} if balanced else {"port": _NUMBER, "nodePort": self._expose.node_port}
        more = {
            "type": given.type.value,
            # Else a node stands for whoever dials, and no network could be told from another.
            **({"externalTrafficPolicy": "Local"} if cidrs else {}),
            **({"loadBalancerClass": given.load_balancer_class} if given.load_balancer_class else {}),
            **({"loadBalancerSourceRanges": ranges} if balanced and ranges else {}),
        }
        return self._service(port, more, given.annotations)

    def backend(self) -> Object:
        """Return a Service for what leads there from outside."""
        return self._service({"port": _NUMBER}, {}, {})

    def ingress(self) -> Object:
        given = self._expose.ingress
        assert given is not None  # noqa: S101 - asked for only then
        reencrypt = given.tls is IngressTls.REENCRYPT
        path = apis.prefix(self._row, Api.FLEET) if reencrypt else "/"
        backend = {"service": {"name": self._name, "port": {"name": FLEET}}}
        rule = {"path": path, "pathType": "Prefix", "backend": backend}
        hosts = {"hosts": [self._expose.host], **({"secretName": given.secret_name} if given.secret_name else {})}
        annotations = {**(self._reencrypting() if reencrypt else _PASSTHROUGH), **given.annotations}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {**self._identity.metadata(self._name, Role.SUPERLINK), "annotations": annotations},
            "spec": {
                **({"ingressClassName": given.class_name} if given.class_name else {}),
                "tls": [hosts],
                "rules": [{"host": self._expose.host, "http": {"paths": [rule]}}],
            },
        }

    def route(self) -> Object:
        given = self._expose.gateway
        assert given is not None  # noqa: S101 - asked for only then
        return {
            "apiVersion": f"{GATEWAY}/{given.version.value}",
            "kind": "TLSRoute",
            "metadata": self._identity.metadata(self._name, Role.SUPERLINK),
            "spec": {
                "parentRefs": [said(parent) for parent in given.parent_refs],
                "hostnames": [self._expose.host],
                "rules": [{"backendRefs": [{"name": self._name, "port": _NUMBER}]}],
            },
        }

    def _reencrypting(self) -> dict[str, str]:
        """Return how ingress-nginx is told to speak TLS to the SuperLink, and to know it by the federation's authority.

        The Secret is named with its namespace; it is sent the certificate in it too, which nobody asks for.
        """
        federation = self._identity.federation
        secret = f"{self._identity.namespace}/{names.superlink_tls(federation)}"
        return {
            f"{NGINX}/backend-protocol": "GRPCS" if apis.port(self._row, Api.FLEET).protocol == "grpc" else "HTTPS",
            SSL_SECRET: secret,  # which has the authority too
            f"{NGINX}/proxy-ssl-verify": "on",
            f"{NGINX}/proxy-ssl-verify-depth": str(MOST_BETWEEN),
            f"{NGINX}/proxy-ssl-name": names.superlink(federation),
            f"{NGINX}/proxy-ssl-server-name": "on",
            f"{NGINX}/proxy-body-size": "0",  # models are large
            f"{NGINX}/proxy-read-timeout": "3600",
            f"{NGINX}/proxy-send-timeout": "3600",
        }

    def _service(self, port: Object, more: Object, annotations: dict[str, str]) -> Object:
        meta = self._identity.metadata(self._name, Role.SUPERLINK)
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**meta, **({"annotations": dict(annotations)} if annotations else {})},
            "spec": {
                **more,
                "selector": self._identity.selector(Role.SUPERLINK),
                "ports": [{"name": FLEET, **port, "targetPort": FLEET}],
            },
        }


_PASSTHROUGH = {f"{NGINX}/ssl-passthrough": "true"}
"""The controller has to be started with ``--enable-ssl-passthrough`` (kubernetes.github.io/ingress-nginx)."""
