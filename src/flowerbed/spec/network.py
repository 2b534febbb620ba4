"""Who may reach a federation in a cluster, and what its programs may reach: peers by labels, networks by address."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Self

from pydantic import Field, model_validator

from flowerbed.spec.kubernetes_values import Cidr, NetworkPort
from flowerbed.spec.section import Section
from flowerbed.spec.selectors import LabelSelector
from flowerbed.spec.values import fault


class Switch(StrEnum):
    """Whether something is made."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class ControlApi(StrEnum):
    """Who is let to Flower's Control API."""

    CLOSED = "Closed"
    OPEN = "Open"


class Api(StrEnum):
    """An API of the SuperLink that others than the federation's own programs can have a use for."""

    CONTROL = "Control"
    FLEET = "Fleet"


class AccessPreset(StrEnum):
    """Pods that are known by a convention; `manifests.network` has what each means."""

    THUNDERLINE = "Thunderline"


class Access(Section):
    """Pods that may reach the SuperLink: those that both selectors select."""

    preset: Annotated[AccessPreset, Field(strict=False)] | None = None
    """Thunderline: its web and worker Pods, in the namespaces that it is known to be in unless others are selected."""

    namespace_selector: LabelSelector | None = None
    """The labels of their namespaces; {} is every namespace. Without it: the federation's own."""

    pod_selector: LabelSelector | None = None
    """Their labels. Without it: all Pods of those namespaces."""

    apis: Annotated[tuple[Annotated[Api, Field(strict=False)], ...], Field(min_length=1, strict=False)] = (Api.CONTROL,)
    """What they may reach. For Control they need a certificate too, unless controlApi is Open; then, on releases with
    one port for all, who reaches one reaches both."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.preset is None and self.namespace_selector is None and self.pod_selector is None:
            raise fault("names nobody", "give it a namespaceSelector, a podSelector or a preset")
        return self


class Protocol(StrEnum):
    """How is spoken below."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class PortRange(Section):
    """A port, or a range of them."""

    port: NetworkPort
    """Its number, or the first of the range."""

    end_port: NetworkPort | None = None
    """The last of the range."""

    protocol: Annotated[Protocol, Field(strict=False)] = Protocol.TCP
    """What is spoken there."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end_port is not None and self.end_port < self.port:
            raise fault(f"endPort {self.end_port} is below port {self.port}")
        return self


class Peer(Section):
    """A network, or Pods."""

    cidr: Cidr | None = None
    """A network, such as 0.0.0.0/0 for everything or 192.0.2.7/32 for one address."""

    excluded: Annotated[tuple[Cidr, ...], Field(strict=False)] = Field(default=(), alias="except", title="except")
    """Networks in it that are not meant."""

    namespace_selector: LabelSelector | None = None
    """Pods in namespaces with these labels. Without it: in the federation's own."""

    pod_selector: LabelSelector | None = None
    """Pods with these labels. Without it: all of those namespaces."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        pods = self.namespace_selector is not None or self.pod_selector is not None
        if self.cidr is None and not pods:
            raise fault("names nothing", "a cidr, or a namespaceSelector and a podSelector")
        if self.cidr is not None and pods:
            raise fault("names a network and Pods", "make it two items: one with cidr, one with the selectors")
        if self.cidr is None and self.excluded:
            raise fault("has except, which is for a cidr")
        for one in self.excluded:
            if not _within(ip_network(one), ip_network(str(self.cidr))):
                raise fault(f"except {one} is not within {self.cidr}")
        return self


class Egress(Peer):
    """What may be reached: a network, or Pods; and at which ports."""

    ports: Annotated[tuple[PortRange, ...], Field(min_length=1, strict=False)]
    """At which ports."""


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner != outer and inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner != outer and inner.subnet_of(outer)
    return False
