"""Which addresses a cluster uses. All but the cable to the host exist only inside its own network namespaces."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

PODS = IPv4Network("10.244.0.0/16")
SERVICES = IPv4Network("10.96.0.0/16")
NODES = IPv4Network("10.250.0.0/24")
API_SERVICE = SERVICES[1]
DNS_SERVICE = SERVICES[10]
GATEWAY = IPv4Address("192.0.2.1")
"""Where the nodes' default route leads: to nobody (RFC 5737)."""
REGISTRY_PORT = 5000
API_PORT = 6443

_CABLES = [IPv4Network(text) for text in ("10.251.0.0/20", "172.30.0.0/20", "192.168.240.0/20")]


def node_address(number: int) -> IPv4Address:
    """Return the address of a node, counted from 0."""
    return NODES[number + 1]


def node_pods(number: int) -> IPv4Network:
    """Return the subnet of a node's Pods."""
    return list(PODS.subnets(new_prefix=24))[number]


@dataclass(frozen=True)
class Cable:
    """The one connection between the host and a cluster: a pair of virtual Ethernet ends.

    Parameters
    ----------
    interface : str
        The host's end.
    network : IPv4Network
        Two addresses that no route of the host covers.
    """

    interface: str
    network: IPv4Network

    @property
    def host(self) -> IPv4Address:
        """The host's address."""
        return self.network[1]

    @property
    def cluster(self) -> IPv4Address:
        """The cluster's address: its API and its registry listen there."""
        return self.network[2]


def lay_cable(identity: str, peer_process: int) -> Cable:
    """Make a pair of ends, one here and one (``host``) in the network namespace of a process.

    Clusters that start at once start to look at different places; should two choose the same all the same, both see it.
    """
    interface = f"fb-{identity}"  # never used twice, so that whoever removes it removes the right one
    _ip("link", "add", interface, "type", "veth", "peer", "name", "host", "netns", str(peer_process))
    _ip("link", "set", interface, "up")
    networks = [network for range_ in _CABLES for network in range_.subnets(new_prefix=30)]
    random.Random(identity).shuffle(networks)  # noqa: S311 - not a secret
    for network in networks:
        if any(network.overlaps(other) for other in _used()):
            continue
        cable = Cable(interface, network)
        _ip("address", "add", f"{cable.host}/30", "dev", interface)
        if len(json.loads(_ip("-4", "-json", "address", "show", "to", str(network)))) == 1:
            return cable
        _ip("address", "delete", f"{cable.host}/30", "dev", interface)
    raise RuntimeError("no free subnet is left for another cluster (see `ip route` and `ip link`)")


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def _used() -> list[IPv4Network]:
    """Return every network that this host has an address in or a route to, the default route apart."""
    listed = _ip("-4", "-json", "route", "show", "table", "all")
    destinations = {str(route["dst"]) for route in json.loads(listed or "[]")} - {"default"}
    return [IPv4Network(destination, strict=False) for destination in destinations]
