"""`flowerbed rbac`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flowerbed.cli.manifests import print_objects
from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.errors import UsageError
from flowerbed.kubernetes import permissions
from flowerbed.kubernetes.access import ROLE
from flowerbed.kubernetes.opening import open_file
from flowerbed.spec.kubernetes_values import LABEL_PATTERN
from flowerbed.spec.tls import TlsMode

ROLES = {"up": (ROLE, permissions.RULES), "run": (f"{ROLE}-runs", permissions.RUN_RULES)}
"""For each kind of user the name and the rules of their Role."""

_BIND_HINT = "user:NAME, group:NAME or serviceaccount:NAMESPACE:NAME"


def rbac(
    *,
    file: Where = Path(),
    namespace: str | None = None,
    to: Annotated[Literal["up", "run"] | None, Parameter(name="--for")] = None,
    bind: Annotated[list[str] | None, Parameter(name="--bind", negative="", consume_multiple=False)] = None,
    json: Json = False,
) -> int:
    """Print the Roles that users need with `--on kubernetes`: one for who runs `up`, one for who only runs apps.

    The first has every verb; the second `run`, `runs`, `logs`, `status`, `results` and `stop`, in a federation that is
    up. No cluster is touched: whoever runs the cluster applies them.

    Parameters
    ----------
    namespace
        The federation's namespace, instead of what the file says; then no file is needed, and what only some files need
        is left out: with tls: {mode: CertManager}, name the file.
    to
        Only the Role of this kind of user: up, or run.
    bind
        Also a RoleBinding that gives it to user:NAME, group:NAME or serviceaccount:NAMESPACE:NAME; with --for, and more
        than once for several.
    """
    out = Output(as_json=json)
    more: tuple[permissions.Rule, ...] = ()
    if namespace is None:
        federation = open_file(file).federation
        namespace = federation.metadata.namespace
        more = permissions.CERT_MANAGER_RULES if federation.spec.tls_mode is TlsMode.CERT_MANAGER else ()
    elif not re.fullmatch(LABEL_PATTERN, namespace):
        raise UsageError(f"{namespace!r} is not a namespace's name", where="--namespace")
    subjects = [subject(text) for text in bind or []]
    if subjects and to is None:
        raise UsageError("there are two Roles to bind", where="--bind", hint="Say which: --for up, or --for run.")
    made: list[dict[str, Any]] = []
    for kind, (name, rules) in ROLES.items():
        if to in (None, kind):
            made.append(permissions.only_role(name, namespace, (*rules, *(more if kind == "up" else ()))))
    if to is not None and subjects:
        made.append(permissions.role_binding(ROLES[to][0], namespace, subjects))
    print_objects(out, made)
    return 0


def subject(text: str) -> dict[str, Any]:
    """Return who a word of the command line means.

    Raises
    ------
    UsageError
        If it means nobody.
    """
    kind, _, name = text.partition(":")
    if kind == "user" and name:
        return permissions.subject_of_user(name)
    if kind == "group" and name:
        return permissions.group(name)
    if kind == "serviceaccount" and re.fullmatch(r"[^:]+:[^:]+", name):
        return permissions.service_account(*name.split(":"))
    raise UsageError(f"{text!r} names nobody", where="--bind", hint=_BIND_HINT)
