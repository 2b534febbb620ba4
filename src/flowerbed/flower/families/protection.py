"""How each release is told to protect itself: TLS, SuperNodes' keys, and the secret of SuperExecs.

=========================================== ==================================================================
Releases                                    What they can
=========================================== ==================================================================
1.22                                        TLS for Fleet and Control; SuperNodes' keys from a list, read when
                                            the SuperLink starts; SuperNodes name both halves of their key
from 1.23                                   SuperNodes' keys are registered by the Control API
from 1.29                                   a secret with which SuperExecs sign their requests for work
from 1.30                                   TLS for what SuperExecs and apps dial, with flags of its own
from 1.37                                   one set of flags for all of a program's APIs
=========================================== ==================================================================

Before 1.30 SuperExecs and apps speak plainly, and up to 1.28 nothing but the address keeps others from asking for work.
An app process gets the authority, and its token, from its SuperExec: up to 1.42 the token is in the command line.
"""

from __future__ import annotations

from flowerbed.flower.contract import Protection
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Trusted, TrustFile, Value

NO_TLS = "--insecure"
"""Said by every program of every release that is not told of certificates; it leaves nothing open but on loopback."""

NOT_LET_IN = "not recognized|not registered|No SuperNode|Public key already in use|PERMISSION_DENIED|UNAUTHENTICATED"
"""How a SuperNode of any release says that its SuperLink does not let it in; on some, it then hangs instead of ending
(seen on 1.31, 1.36 and 1.37)."""

_REGISTERED_FROM = Minor(1, 23)
_SECRET_FROM = Minor(1, 29)
_RUNTIME_TLS_FROM = Minor(1, 30)
_ONE_SET_FROM = Minor(1, 37)

_AUTHORITY = TrustFile(Trusted.AUTHORITY)
_LOOPBACK_AUTHORITY = TrustFile(Trusted.LOOPBACK_AUTHORITY)


def superlink(minor: Minor, protection: Protection) -> tuple[Value, ...]:
    """Return how a SuperLink is told."""
    if not protection.tls:
        return (NO_TLS,)
    own = (TrustFile(Trusted.SUPERLINK_CERTIFICATE), TrustFile(Trusted.SUPERLINK_KEY))
    runtime = _server("--appio-ssl", _AUTHORITY, *own) if _RUNTIME_TLS_FROM <= minor < _ONE_SET_FROM else ()
    return (*_server("--ssl", _AUTHORITY, *own), *runtime, *_secret(minor), *_nodes(minor, protection))


def supernode(minor: Minor, protection: Protection) -> tuple[Value, ...]:
    """Return how a SuperNode is told."""
    if not protection.tls:
        return (NO_TLS,)
    own = (TrustFile(Trusted.LOOPBACK_CERTIFICATE), TrustFile(Trusted.LOOPBACK_KEY))
    prefix = "--ssl" if minor >= _ONE_SET_FROM else "--appio-ssl"
    serving = _server(prefix, _LOOPBACK_AUTHORITY, *own) if has_runtime_tls(minor) else ()
    return ("--root-certificates", _AUTHORITY, *serving, *_secret(minor), *_key(minor, protection))


def serverapp_superexec(minor: Minor, protection: Protection) -> tuple[Value, ...]:
    """Return how the SuperExec of ServerApps is told; it dials the SuperLink."""
    return _superexec(minor, protection, _AUTHORITY)


def clientapp_superexec(minor: Minor, protection: Protection) -> tuple[Value, ...]:
    """Return how a SuperExec of ClientApps is told; it dials its SuperNode."""
    return _superexec(minor, protection, _LOOPBACK_AUTHORITY)


def has_runtime_tls(minor: Minor) -> bool:
    """Tell whether what SuperExecs and apps dial can have TLS."""
    return minor >= _RUNTIME_TLS_FROM


def has_secret(minor: Minor) -> bool:
    """Tell whether SuperExecs can sign with a secret."""
    return minor >= _SECRET_FROM


def _superexec(minor: Minor, protection: Protection, authority: TrustFile) -> tuple[Value, ...]:
    if not protection.tls:
        return (NO_TLS,)
    dialling: tuple[Value, ...] = ("--root-certificates", authority) if has_runtime_tls(minor) else (NO_TLS,)
    return (*dialling, *_secret(minor))


def _server(prefix: str, authority: TrustFile, certificate: TrustFile, key: TrustFile) -> tuple[Value, ...]:
    return (f"{prefix}-ca-certfile", authority, f"{prefix}-certfile", certificate, f"{prefix}-keyfile", key)


def _secret(minor: Minor) -> tuple[Value, ...]:
    return ("--superexec-auth-secret-file", TrustFile(Trusted.SUPEREXEC_SECRET)) if has_secret(minor) else ()


def _nodes(minor: Minor, protection: Protection) -> tuple[Value, ...]:
    if not protection.node_auth:
        return ()
    if minor >= _REGISTERED_FROM:
        return ("--enable-supernode-auth",)
    return ("--auth-list-public-keys", TrustFile(Trusted.NODE_LIST))


def _key(minor: Minor, protection: Protection) -> tuple[Value, ...]:
    if not protection.node_auth:
        return ()
    private: tuple[Value, ...] = ("--auth-supernode-private-key", TrustFile(Trusted.NODE_KEY))
    if minor >= _REGISTERED_FROM:
        return private
    return (*private, "--auth-supernode-public-key", TrustFile(Trusted.NODE_PUBLIC_KEY))
