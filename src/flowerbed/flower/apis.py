"""The SuperLink's APIs, one by one: on which of its ports each is, and by which paths its methods are called.

Several APIs can share a port, so a port alone does not tell who asks for what; the paths do.

=========== ======================================== =================== ============ ============
Releases    Runtime                                  Fleet               Control      Shared ports
=========== ======================================== =================== ============ ============
to 1.33     ``/flwr.proto.ServerAppIo/…`` (gRPC)     gRPC                gRPC         none
1.34        ``/flwr.proto.Runtime/…`` (gRPC)         gRPC                gRPC         none
1.35, 1.36  ``/v1/runtime/…`` (HTTP)                 gRPC                gRPC         Runtime's port answers
                                                                                      ``/v1/control/…`` too
1.37 - 1.39 HTTP                                     gRPC                HTTP         Runtime and Control
from 1.40   HTTP                                     ``/v1/fleet/…``     HTTP         all
=========== ======================================== =================== ============ ============

Read in the installed releases; ``tests/flower/test_drift.py`` asks them again.
"""

from __future__ import annotations

from enum import StrEnum

from flowerbed.flower.contract import Port, Protection
from flowerbed.flower.families.protection import has_runtime_tls
from flowerbed.flower.release import Minor
from flowerbed.flower.releases import Row


class Api(StrEnum):
    """An API of the SuperLink."""

    RUNTIME = "runtime"
    """For SuperExecs, and the app processes that they start."""

    FLEET = "fleet"
    """For SuperNodes."""

    CONTROL = "control"
    """For users: it takes code, and has it executed. Flower's open-source SuperLink asks nobody who they are."""


_RUNTIME_FROM = Minor(1, 34)
_SERVICES = {Api.RUNTIME: "Runtime", Api.FLEET: "Fleet", Api.CONTROL: "Control"}


def port(row: Row, api: Api) -> Port:
    """Return the SuperLink's port that carries an API."""
    contract = row.contract
    name = {
        Api.RUNTIME: contract.runtime_port,
        Api.FLEET: contract.fleet_port,
        Api.CONTROL: contract.control_port,
    }[api]()
    return next(one for one in contract.superlink(row.minor).ports if one.name == name)


def prefix(row: Row, api: Api) -> str:
    """Return what the path of each of an API's methods begins with; a name without a further slash follows."""
    if port(row, api).protocol == "http":
        return f"/v1/{api.value}/"
    service = "ServerAppIo" if api is Api.RUNTIME and row.minor < _RUNTIME_FROM else _SERVICES[api]
    return f"/flwr.proto.{service}/"


def has_tls(row: Row, api: Api, protection: Protection) -> bool:
    """Tell whether an API is spoken over TLS."""
    return protection.tls and (api is not Api.RUNTIME or has_runtime_tls(row.minor))
