"""Where SuperNodes outside reach the SuperLink: its Fleet API, and nothing else of it."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from flowerbed.spec.kubernetes_values import LabelKey, NetworkPort, ObjectName
from flowerbed.spec.network import Peer
from flowerbed.spec.section import Borrowed, Section
from flowerbed.spec.values import fault, is_host
from flowerbed.spec.words import found

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:\s]+):([0-9]{1,5})")


def _address(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    if match is None or not is_host(match[1].strip("[]")) or not 0 < int(match[2]) < 2**16:
        raise fault(f"{found(text)} is not HOST:PORT: {_what_is_wrong(text)}", 'for example "fl.example.org:9092"')
    return text


def _what_is_wrong(text: str) -> str:
    """Say which part of an address is wrong."""
    if "://" in text:
        return f"leave out {text.partition('://')[0]}://"
    if "/" in text:
        return f"leave out the path, /{text.partition('/')[2]}"
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return "there is no port"
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return "an IPv6 address stands in brackets: [2001:db8::1]:9092"
    if not host:
        return "there is no host"
    if not is_host(host.strip("[]")):
        return f"{found(host)} is neither a host name nor an IP address"
    return f"{found(port)} is not a port from 1 to 65535"


NetworkAddress: TypeAlias = Annotated[
    str, AfterValidator(_address), WithJsonSchema({"type": "string", "pattern": f"^{_ADDRESS.pattern}$"})
]
Annotations: TypeAlias = dict[LabelKey, str]


class Listening(StrEnum):
    """On which addresses of this machine."""

    LOOPBACK = "Loopback"
    ALL_INTERFACES = "AllInterfaces"


class ExposedType(StrEnum):
    """What a Service gives an address to."""

    LOAD_BALANCER = "LoadBalancer"
    NODE_PORT = "NodePort"


class ExposedService(Section):
    """A Service that has an address outside of the cluster."""

    type: Annotated[ExposedType, Field(strict=False)] = ExposedType.LOAD_BALANCER
    """LoadBalancer: the cloud's, or whatever gives such Services an address. NodePort: a port of every node."""

    node_port: NetworkPort | None = None
    """The port of every node; for NodePort. Default: the one of fleetAddress, if it is from 30000 to 32767."""

    load_balancer_class: LabelKey | None = None
    """Who makes the load balancer, if not the cluster's default."""

    annotations: Annotations = Field(default_factory=dict)
    """Annotations of the Service, by which clouds are told more."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.type is ExposedType.NODE_PORT and self.load_balancer_class is not None:
            raise fault("has a loadBalancerClass, which is for type: LoadBalancer")
        if self.type is ExposedType.LOAD_BALANCER and self.node_port is not None:
            raise fault("has a nodePort, which is for type: NodePort")
        return self


class IngressTls(StrEnum):
    """Where TLS ends."""

    PASSTHROUGH = "Passthrough"
    REENCRYPT = "Reencrypt"


class ExposedIngress(Section):
    """An Ingress, of ingress-nginx unless annotations say otherwise."""

    class_name: ObjectName | None = None
    """The IngressClass, if not the cluster's default."""

    tls: Annotated[IngressTls, Field(strict=False)] = IngressTls.PASSTHROUGH
    """Passthrough: TLS ends at the SuperLink. Reencrypt: at the Ingress, which speaks TLS to the SuperLink again."""

    secret_name: ObjectName | None = None
    """The Secret with the Ingress' own certificate; for Reencrypt."""

    annotations: Annotations = Field(default_factory=dict)
    """More annotations, or others than those for ingress-nginx."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.secret_name is not None) != (self.tls is IngressTls.REENCRYPT):
            raise fault(
                "has a secretName, which is for tls: Reencrypt"
                if self.secret_name is not None
                else "has no secretName, and tls: Reencrypt needs a certificate"
            )
        return self


class ParentRef(Borrowed):
    """A Gateway, or a listener of one, whose TLS mode is Passthrough."""

    name: ObjectName
    """The Gateway's name."""

    namespace: ObjectName | None = None
    """Its namespace, if it is not the federation's."""

    section_name: ObjectName | None = None
    """The listener's name."""

    port: NetworkPort | None = None
    """The listener's port."""


class RouteVersion(StrEnum):
    """Versions of the API's TLSRoute."""

    V1 = "v1"
    V1ALPHA3 = "v1alpha3"
    V1ALPHA2 = "v1alpha2"


class ExposedGateway(Section):
    """A TLSRoute of the Gateway API; TLS ends at the SuperLink."""

    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, strict=False)]
    """The Gateways."""

    version: Annotated[RouteVersion, Field(strict=False)] = RouteVersion.V1
    """The version of TLSRoute that the cluster has: v1 from Gateway API 1.5 on."""


class Expose(Section):
    """Where SuperNodes outside reach the SuperLink."""

    fleet_address: NetworkAddress
    """What they dial: HOST:PORT. The host becomes one of the SuperLink's names in its certificate."""

    listen: Annotated[Listening, Field(strict=False)] = Listening.LOOPBACK
    """Where the SuperLink listens for SuperNodes on this machine; not on Kubernetes. Loopback: something else brings
    them there, such as a tunnel or a proxy of your own. AllInterfaces: everybody who reaches this machine can dial."""

    accept_open_control_api: bool = False
    """Whether listen: AllInterfaces may show the Control API too, as it does from Flower 1.40 on. Whoever reaches that
    can run code here."""

    service: ExposedService | None = None
    """A Service with an address of its own; Kubernetes only."""

    ingress: ExposedIngress | None = None
    """An Ingress; Kubernetes only."""

    gateway: ExposedGateway | None = None
    """A route from a Gateway; Kubernetes only."""

    sources: Annotated[tuple[Peer, ...], Field(min_length=1, strict=False)] | None = Field(
        default=None, alias="from", title="from"
    )
    """Who may reach it, where NetworkPolicies are enforced; Kubernetes only. Default: everybody."""

    @property
    def host(self) -> str:
        """The host that sites dial."""
        return self.fleet_address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that they dial."""
        return int(self.fleet_address.rpartition(":")[2])

    @property
    def is_shown(self) -> bool:
        """Whether somebody outside of a cluster's federation is let in: there is a way, or who is said."""
        return any(way is not None for way in (self.service, self.ingress, self.gateway, self.sources))

    @property
    def node_port(self) -> int | None:
        """The port of every node, for a Service of that type; None where none is said that can be one."""
        if self.service is not None and self.service.node_port is not None:
            return self.service.node_port
        return self.port if self.port in NODE_PORTS else None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ways = [name for name in ("service", "ingress", "gateway") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise fault(f"has {' and '.join(ways)}", "keep one of them")
        if (self.ingress or self.gateway) and _is_address(self.host):
            raise fault(
                f"has {ways[0]}, which tells federations apart by name, and {self.host} is an address",
                "dial a host name, or use a service",
            )
        if self.accept_open_control_api and self.listen is Listening.LOOPBACK:
            raise fault("has acceptOpenControlApi, and listen: Loopback shows nothing", "leave it out")
        by_node = self.service is not None and self.service.type is ExposedType.NODE_PORT
        if by_node and self.node_port is None:
            raise fault(
                f"has a service of type: NodePort, and {self.port} cannot be a port of every node",
                "say which with nodePort, if something brings one to the other; else dial one from 30000 to 32767",
            )
        return self


NODE_PORTS = range(30000, 32768)
"""kube-apiserver's default ``--service-node-port-range``."""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
