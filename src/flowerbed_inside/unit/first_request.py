"""Sends one request to a SuperLink that speaks gRPC, and prints `ANSWERED` if it answered.

::

    python FOLDER unit.first_request HOST:PORT [FILE]

With a file of authorities to trust it speaks TLS. It asks for the runs, which every release answers and which has an
older one make its database. An empty message is a request for all of them, so that neither Flower nor a message class
need be imported: that takes longer than the answer (measured on 1.22: 0.1 s for gRPC alone, 0.6 s with Flower's client,
beside a SuperLink that is importing too).
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

METHOD = "/flwr.proto.Control/ListRuns"
"""Of every release that speaks gRPC, 1.22 to 1.36."""

ANSWERED = "answered"
PATIENCE = 20.0


def ask(address: str, authority: Path | None = None) -> str:
    """Return why a SuperLink did not answer; empty if it did."""
    grpc: Any = import_module("grpc")
    options = [("grpc.enable_http_proxy", 0)]
    if authority is None:
        opened = grpc.insecure_channel(address, options=options)
    else:
        opened = grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.read_bytes()), options=options)
    with opened as channel:
        try:
            channel.unary_unary(METHOD)(b"", timeout=PATIENCE)
        except grpc.RpcError as error:
            return f"{error.code().name.lower()}: {error.details()}"
    return ""


def main() -> None:
    """Ask it."""
    if why := ask(sys.argv[1], *map(Path, sys.argv[2:])):
        sys.exit(f"[flowerbed: asking the SuperLink failed: {why}]")
    print(ANSWERED)
