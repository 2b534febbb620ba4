"""Programs that call a SuperLink's APIs from inside Flower's environment, here or in a Pod."""

from __future__ import annotations

CALL = """
import http.client, json, ssl, sys
kind, address, *own = sys.argv[1:]
asked = json.load(sys.stdin)
authority = asked["authority"]
found = {}
for path in asked["paths"]:
    if kind == "grpc":
        import grpc
        mine = [open(name, "rb").read() for name in reversed(own)]
        trusted = grpc.ssl_channel_credentials(authority.encode(), *mine) if authority else None
        opened = grpc.secure_channel(address, trusted) if trusted else grpc.insecure_channel(address)
        with opened as channel:
            try:
                list(channel.unary_stream(path)(b"", timeout=20))
                found[path] = "OK"
            except grpc.RpcError as error:
                found[path] = error.code().name
    else:
        trusted = ssl.create_default_context(cadata=authority)
        if own:
            trusted.load_cert_chain(*own)
        host, _, port = address.rpartition(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=trusted)
        try:
            connection.request("POST", path, b"", {"content-type": "application/protobuf"})
            found[path] = str(connection.getresponse().status)
        except OSError as error:
            found[path] = type(error).__name__
        connection.close()
json.dump(found, sys.stdout)
"""
"""Calls methods without an argument, and prints what came of each: ``python -c CALL PROTOCOL HOST:PORT [FILE FILE]``
with ``{"paths": […], "authority": "PEM, or nothing for no TLS"}`` on standard input."""

METHODS = """
import importlib, pkgutil, flwr.proto
for module in pkgutil.iter_modules(flwr.proto.__path__):
    if module.name.endswith("_pb2"):
        for service in importlib.import_module(f"flwr.proto.{module.name}").DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                print(f"/{service.full_name}/{method.name}")
try:
    from flwr.superlink.main import create_app
except ImportError:
    pass
else:
    print(*create_app().openapi()["paths"], sep="\\n")
"""
"""Prints the paths of all methods that a release knows of."""

REFUSED = {"grpc": "PERMISSION_DENIED", "http": "403"}
"""What somebody hears for whom a door is not, by what is spoken there."""
