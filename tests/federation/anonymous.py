"""Sends an empty request, unsigned, to every path of a SuperLink's APIs; runs in Flower's own environment.

::

    ENV/bin/python anonymous.py AUTHORITY FLEET CONTROL RUNTIME [PUBLIC_KEY]

with the ``HOST:PORT`` of each API. Prints one JSON object: for each path what came back (an HTTP status, or a gRPC
code). With a public key (in PEM), that is given to ``register-node``.
"""

from __future__ import annotations

import http.client
import importlib
import json
import ssl
import sys
from pathlib import Path
from typing import Any

SECONDS = 5.0
STREAMS = "stream open"


def over_http(authority: str, address: str, key: str) -> dict[str, str]:
    """Ask every path of releases that speak HTTP."""
    translation = importlib.import_module("flwr.supercore.protobuf.translation")
    tables = [value for value in vars(translation).values() if isinstance(value, dict)]
    paths = {path[1]: kind for table in tables for path, kind in table.items() if isinstance(path, tuple)}
    host, _, port = address.rpartition(":")
    found = {}
    for path, kind in paths.items():
        request = kind(public_key=key.encode()) if path == "/v1/control/register-node" and key else kind()
        trusted = ssl.create_default_context(cafile=authority)
        connection = http.client.HTTPSConnection(host, int(port), timeout=SECONDS, context=trusted)
        try:
            headers = {"Content-Type": "application/protobuf", "Connection": "close"}
            connection.request("POST", path, body=request.SerializeToString(), headers=headers)
            found[path.removeprefix("/v1/")] = str(connection.getresponse().status)
        except TimeoutError:
            found[path.removeprefix("/v1/")] = STREAMS
        finally:
            connection.close()
    return found


def over_grpc(authority: str, addresses: dict[str, str]) -> dict[str, str]:
    """Ask every path of 1.22."""
    grpc = importlib.import_module("grpc")
    trusted = grpc.ssl_channel_credentials(Path(authority).read_bytes())
    found = {}
    for name, address in addresses.items():
        module = importlib.import_module(f"flwr.proto.{name}_pb2")
        [service] = module.DESCRIPTOR.services_by_name.values()
        secure = name != "serverappio"
        channel = grpc.secure_channel(address, trusted) if secure else grpc.insecure_channel(address)
        stub = getattr(importlib.import_module(f"flwr.proto.{name}_pb2_grpc"), f"{service.name}Stub")(channel)
        for method in service.methods:
            found[f"{name}/{method.name}"] = _code(grpc, stub, method)
        channel.close()
    return found


def _code(grpc: Any, stub: Any, method: Any) -> str:
    request = importlib.import_module("google.protobuf.message_factory").GetMessageClass(method.input_type)()
    try:
        answer = getattr(stub, method.name)(request, timeout=SECONDS)
        if method.server_streaming:
            list(answer)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def main(authority: str, fleet: str, control: str, runtime: str, key: str = "") -> None:
    """Ask, and print what came back."""
    if fleet == control:
        print(json.dumps(over_http(authority, control, key)))
    else:
        print(json.dumps(over_grpc(authority, {"control": control, "fleet": fleet, "serverappio": runtime})))


if __name__ == "__main__":
    main(*sys.argv[1:])
