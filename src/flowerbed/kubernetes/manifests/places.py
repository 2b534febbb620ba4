"""Where in a cluster the places are that a program's arguments name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowerbed.flower.contract import Port
from flowerbed.flower.values import (
    Address,
    DataFile,
    HomeFolder,
    Listen,
    ListenHost,
    ListenPort,
    ResultsFolder,
    ScratchFolder,
    Trusted,
    TrustFile,
    Value,
)

ANYWHERE = "0.0.0.0"  # noqa: S104 - inside a Pod; who reaches it is up to the network
LOOPBACK = "127.0.0.1"
SCRATCH = "/tmp"  # noqa: S108 - a folder of the Pod's own
DATA = "/data"
RESULTS = "/results"
CLIENTAPPS = f"{SCRATCH}/flowerbed-clientapps"
"""Where the ClientApps of a Pod's one SuperNode work."""


@dataclass(frozen=True)
class Places:
    """The places of one program.

    Parameters
    ----------
    listen : str
        The host part of the address on which it listens.
    ports : dict of str to int
        Its own ports.
    peers : dict of str to (str, dict of str to int)
        For each component that it dials: the host at which it is reached, and its ports.
    data : str
        The folder for what outlives it.
    home : str
        Its FLWR_HOME.
    trust : dict of Trusted to str
        The files by which it knows others, and others know it.
    """

    listen: str
    ports: dict[str, int]
    peers: dict[str, tuple[str, dict[str, int]]]
    data: str
    home: str
    trust: Mapping[Trusted, str] = field(default_factory=dict)

    def text(self, value: Value) -> str:
        """Return what a value is here."""
        match value:
            case str():
                return value
            case Listen(port):
                return f"{self.listen}:{self.ports[port]}"
            case ListenHost():
                return self.listen
            case ListenPort(port):
                return str(self.ports[port])
            case Address(component, port):
                return self.address(component, port)
            case DataFile(name):
                return f"{self.data}/{name}"
            case HomeFolder():
                return self.home
            case ResultsFolder():
                return RESULTS
            case ScratchFolder():
                return CLIENTAPPS
            case TrustFile(what):
                return self.trust[what]

    def address(self, component: str, port: str) -> str:
        """Return where another component is reached, as ``host:port``."""
        host, ports = self.peers[component]
        return f"{host}:{ports[port]}"


def numbers(ports: tuple[Port, ...]) -> dict[str, int]:
    """Return ports by name: in a Pod of its own each program has Flower's own numbers."""
    return {port.name: port.default for port in ports}
