"""The configuration of the proxy before a SuperLink, and of a forwarder before a stock client: nginx, from 1.22 on.

The proxy has a listener for each API, which passes that API's paths on and answers everything else itself; the one for
Control asks for a certificate that `flowerbed.trust.certificates.issue_client` made. The SuperLink listens on loopback
behind it, with the same protection as it would have before everyone.

Each directive is described at nginx.org/en/docs; those that are not obvious:

- ``ssl_certificate`` with a variable in it is read at each handshake, so that a renewed certificate needs no restart.
- ``$request_uri`` is what the SuperLink will see, while nginx chooses by the path as it understands it: both have to
  agree, so that no ``..`` or ``%2e`` in between means one thing here and another thing there.
- Bodies are passed on as they come. A model can have 2 GiB, the most that a message of Flower's can have, and nowhere
  in the Pod is room for several of them.
- An answer may be a log that is followed for hours, hence the long times towards the SuperLink. Towards clients they
  are short until a request is there: who dawdles or says nothing is gone after ten seconds, and keeps nobody else
  waiting meanwhile.
- A SuperLink that is away is 503 over HTTP, not nginx's 502: programs of Flower 1.35 to 1.37 give up at a 502, and ask
  again after a 503 (``flwr.supercore.retry.http_retry``). gRPC makes UNAVAILABLE of a 502, which is asked again.
- ``listen … http2`` is what 1.22 understands; newer ones do too, and say in a line of their log that there is a newer
  word for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

CLIENT_ORGANISATION = "Flowerbed Control client"
"""What the subject of a certificate has to say for Control, beside being the federation's authority's and a client's:
an authority that is not only the federation's own may have given others a client's certificate."""

CLIENT_NAME = "[a-z0-9.-]+"
"""What the common name of such a certificate is made of: nothing that has a meaning in a subject."""

MOST_BETWEEN = 10
"""How many authorities may stand between a root and the SuperLink's certificate. nginx' own default is one, Flower's
programs take as many as OpenSSL does, a hundred; an organisation often has two."""

HEALTH = "/live"

NAMES = {"grpc": "[A-Za-z]+", "http": "[a-z-]+"}
"""What the names of methods are made of."""

_CONNECTIONS = 4096
_WORKERS = 2  # "auto" counts the node's processors, not the container's
_LARGEST = "2049m"
_REFUSED = "flowerbed: this port is for other requests, or for holders of a certificate"


@dataclass(frozen=True)
class Tls:
    """Files for TLS.

    Parameters
    ----------
    certificate, key : str
        What is shown to clients.
    authority : str or None
        Who signed what the SuperLink shows; None where that is not looked at.
    clients : str
        Who signed what clients of Control show.
    """

    certificate: str
    key: str
    authority: str | None
    clients: str


@dataclass(frozen=True)
class Listener:
    """One API, passed on.

    Parameters
    ----------
    listen, behind : str
        Where the proxy listens, and where the SuperLink does: ``host:port``.
    protocol : {"grpc", "http"}
        What is spoken.
    prefix : str
        What the paths of the API's methods begin with.
    tls : Tls or None
        If it is spoken over TLS, on both sides.
    clients_only : bool
        Only who shows a client's certificate may call.
    """

    listen: str
    behind: str
    protocol: Literal["grpc", "http"]
    prefix: str
    tls: Tls | None
    clients_only: bool = False


@dataclass(frozen=True)
class Forwarder:
    """A way for a client without a certificate: it is spoken to on its own machine, and adds one.

    Parameters
    ----------
    listen, superlink : str
        Where it listens, and whom it calls: ``host:port``.
    name : str
        The name that the SuperLink's certificate has to be for.
    protocol : {"grpc", "http"}
        What is spoken.
    client : Tls
        The client's certificate and key, and the federation's authority.
    """

    listen: str
    superlink: str
    name: str
    protocol: Literal["grpc", "http"]
    client: Tls


def proxy(listeners: Iterable[Listener], *, health: str, scratch: str) -> str:
    """Return the proxy's configuration.

    Parameters
    ----------
    listeners : iterable of Listener
        What is passed on.
    health : str
        Where ``GET /live`` is answered: ``host:port``.
    scratch : str
        A folder that can be written to, for nginx's own.
    """
    listeners = tuple(listeners)
    maps = [*_certificate_maps(listeners), *_client_map(listeners)]
    servers = [_listener(one) for one in listeners]
    alive = _block("server", [f"listen {health};", _block(f"location = {HEALTH}", ['return 200 "ok\\n";'])])
    return _whole([*maps, *servers, alive], scratch)


def forwarder(one: Forwarder, *, scratch: str) -> str:
    """Return a forwarder's configuration."""
    where = [*_passing(one.protocol, one.superlink, one.client, name=one.name)]
    module = _module(one.protocol)
    own = [f"{module}_ssl_certificate {one.client.certificate};", f"{module}_ssl_certificate_key {one.client.key};"]
    listen = f"listen {one.listen}{' http2' if one.protocol == 'grpc' else ''};"
    return _whole([_block("server", [listen, _block("location /", [*where, *own])])], scratch)


def _whole(parts: list[str], scratch: str) -> str:
    temporary = [f"{name}_temp_path {scratch}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi")]
    http = [
        "access_log off;",
        "server_tokens off;",
        "default_type text/plain;",
        f"client_body_temp_path {scratch}/body;",
        *temporary,
        "client_header_timeout 10s;",
        "client_body_timeout 60s;",
        "send_timeout 60s;",
        "reset_timedout_connection on;",
        "keepalive_timeout 120s;",
        "keepalive_requests 1000000;",
        "keepalive_time 24h;",
        f"client_max_body_size {_LARGEST};",
        "large_client_header_buffers 4 32k;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        *parts,
    ]
    main = [
        "daemon off;",
        f"pid {scratch}/nginx.pid;",
        "error_log stderr warn;",
        f"worker_processes {_WORKERS};",
        "worker_shutdown_timeout 5s;",
        _block("events", [f"worker_connections {_CONNECTIONS};"]),
        _block("http", http),
    ]
    return "\n".join(main) + "\n"


def _certificate_maps(listeners: tuple[Listener, ...]) -> Iterator[str]:
    """Make variables of the certificate's files, so that they are read anew at each handshake."""
    for tls in dict.fromkeys(one.tls for one in listeners if one.tls is not None):
        yield _block("map $ssl_server_name $certificate", [f"default {tls.certificate};"])
        yield _block("map $ssl_server_name $certificate_key", [f"default {tls.key};"])


def _client_map(listeners: tuple[Listener, ...]) -> Iterator[str]:
    if any(one.clients_only for one in listeners):
        known = f'"~^CN={CLIENT_NAME},O={CLIENT_ORGANISATION}$" 1;'  # as RFC 2253 has it: the last comes first
        yield _block("map $ssl_client_s_dn $is_client", ["default 0;", known])


def _listener(one: Listener) -> str:
    words = [*(["ssl"] if one.tls else []), *(["http2"] if one.protocol == "grpc" else [])]
    lines = [f"listen {' '.join([one.listen, *words])};"]
    if one.tls:
        lines += ["ssl_certificate $certificate;", "ssl_certificate_key $certificate_key;"]
    may: list[str] = []
    if one.clients_only:
        if one.tls is None:
            raise ValueError("a client's certificate is asked for over TLS only")
        lines += [f"ssl_client_certificate {one.tls.clients};", "ssl_verify_client on;", "ssl_verify_depth 1;"]
        lines += ["error_page 495 496 = @refused;"]  # a certificate that is not good, and none
        may = [_block("if ($is_client = 0)", ["return 403;"])]
    lines += ["error_page 403 = @refused;"]
    exactly = f"^{re.escape(one.prefix)}{NAMES[one.protocol]}$"
    passed = _block(
        f"location {one.prefix}",
        [
            *may,
            _block(f'if ($request_uri !~ "{exactly}")', ["return 403;"]),
            *_passing(one.protocol, one.behind, one.tls, name="localhost"),
        ],
    )
    others = [_block("location /", ["return 403;"]), _refusing(one.protocol)]
    if one.protocol == "http":
        lines += ["error_page 502 504 = @away;"]
        others += [_block("location @away", ["return 503;"])]
    return _block("server", [*lines, passed, *others])


def _refusing(protocol: str) -> str:
    """Return the answer to what is not passed on: as gRPC has it, or as Flower's HTTP clients read it."""
    if protocol == "http":
        return _block("location @refused", [f'return 403 \'{{"detail": "{_REFUSED}"}}\';'])
    return _block(
        "location @refused",
        [
            "default_type application/grpc;",
            "add_header grpc-status 7 always;",
            f'add_header grpc-message "{_REFUSED}" always;',
            "return 200;",
        ],
    )


def _passing(protocol: str, behind: str, tls: Tls | None, *, name: str) -> Iterator[str]:
    module = _module(protocol)
    if protocol == "grpc":
        yield f"grpc_pass {'grpcs' if tls else 'grpc'}://{behind};"
    else:
        yield f"proxy_pass {'https' if tls else 'http'}://{behind};"
        yield "proxy_http_version 1.1;"
        yield "proxy_set_header Connection close;"  # an idle one keeps a SuperLink from ending
        yield "proxy_set_header Host $http_host;"
        yield "proxy_request_buffering off;"
        yield "proxy_buffering off;"
    yield f"{module}_connect_timeout 5s;"
    yield f"{module}_read_timeout 24h;"
    yield f"{module}_send_timeout 24h;"
    yield f"{module}_next_upstream off;"
    yield f"{module}_socket_keepalive on;"
    if tls and tls.authority:
        yield f"{module}_ssl_verify on;"
        yield f"{module}_ssl_trusted_certificate {tls.authority};"
        yield f"{module}_ssl_verify_depth {MOST_BETWEEN};"
        yield f"{module}_ssl_name {name};"
        yield f"{module}_ssl_server_name on;"


def _module(protocol: str) -> str:
    return "grpc" if protocol == "grpc" else "proxy"


def _block(head: str, lines: Iterable[str]) -> str:
    inner = "\n".join(lines)
    indented = "\n".join(f"  {line}" for line in inner.splitlines())
    return f"{head} {{\n{indented}\n}}"
