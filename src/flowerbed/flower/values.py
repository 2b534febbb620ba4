"""Places that a program's arguments name before anyone knows where it will run.

A release contract says *which* address or file a flag wants; the runtime that starts the program says
what that is: ``127.0.0.1:40113`` and a folder here, a Service's DNS name and a volume in a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True)
class Listen:
    """The address on which a component itself listens, as ``host:port``.

    Parameters
    ----------
    port : str
        The name of one of the component's own ports (``runtime``, ``fleet``, ``control``).
    """

    port: str


@dataclass(frozen=True)
class ListenHost:
    """The host part of the address on which a component itself listens."""


@dataclass(frozen=True)
class ListenPort:
    """The number of one of the component's own ports."""

    port: str


@dataclass(frozen=True)
class Address:
    """The address at which another component is reached, as ``host:port``.

    Parameters
    ----------
    component : str
        The name of the component that listens.
    port : str
        The name of its port.
    """

    component: str
    port: str


@dataclass(frozen=True)
class DataFile:
    """A file or folder of a component's own that outlives it, relative to its data folder."""

    name: str


@dataclass(frozen=True)
class HomeFolder:
    """The component's own FLWR_HOME: writable, and of no use once the component is gone."""


@dataclass(frozen=True)
class ResultsFolder:
    """The folder below which each run of a ServerApp gets a folder for its results."""


@dataclass(frozen=True)
class ScratchFolder:
    """The folder below which each run of a SuperNode's ClientApps gets a working folder, removed after the run.

    Parameters
    ----------
    node : str
        The SuperNode's component.
    """

    node: str


class Trusted(Enum):
    """A file by which programs of a federation know each other."""

    AUTHORITY = "the certificates of whom clients of the SuperLink trust"
    SUPERLINK_CERTIFICATE = "the SuperLink's certificate"
    SUPERLINK_KEY = "the key of the SuperLink's certificate"
    LOOPBACK_AUTHORITY = "the certificate of whom clients of a SuperNode trust"
    LOOPBACK_CERTIFICATE = "a certificate for what is dialled on its own machine only"
    LOOPBACK_KEY = "the key of that certificate"
    SUPEREXEC_SECRET = "the secret with which SuperExecs sign"  # noqa: S105 - a description
    NODE_LIST = "the public keys of the SuperNodes that may join"
    NODE_KEY = "the component's own private key"
    NODE_PUBLIC_KEY = "the public half of the component's own key"


@dataclass(frozen=True)
class TrustFile:
    """The path of a file by which programs of a federation know each other.

    Parameters
    ----------
    what : Trusted
        Which one.
    """

    what: Trusted


Value: TypeAlias = (
    str | Listen | ListenHost | ListenPort | Address | DataFile | HomeFolder | ResultsFolder | ScratchFolder | TrustFile
)
"""One argument, or one environment variable's value."""
