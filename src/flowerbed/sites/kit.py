"""A kit: the files with which a site starts one SuperNode, as processes or in a cluster of its own. Pure.

::

    FEDERATION-NAME/
    ├── README.md             what to type
    ├── start                 one command to start it; see `flowerbed_inside.site.start`
    ├── site.json             what it runs
    ├── requirements.txt      what the environment needs
    ├── ca.crt                whom it trusts
    ├── keys/                 the SuperNode's own keys, and that by which its two programs know each other
    ├── programs/             our programs that run them
    └── kustomization.yaml, kubernetes/     the same for ``kubectl apply -k``, where the file names an image

No other SuperNode's key is in it, no key of an authority, and nothing of the ServerApp's side. What its two programs
know each other by is made for the kit, under an authority of its own whose key is thrown away: it is of no use anywhere
else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files as resource_files

from packaging.utils import canonicalize_name

from flowerbed.errors import UsageError
from flowerbed.flower.families.protection import NOT_LET_IN
from flowerbed.flower.releases import Row
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
from flowerbed.kubernetes.manifests import programs
from flowerbed.kubernetes.manifests.pod import work_options
from flowerbed.sites import manifests
from flowerbed.spec.app import AppManifest
from flowerbed.spec.expose import Expose
from flowerbed.spec.model import Federation, SuperNodePool
from flowerbed.topology.build import external_unit
from flowerbed.topology.model import SUPERLINK, Component
from flowerbed.trust import keys
from flowerbed.trust.certificates import issue, new_authority
from flowerbed.trust.keys import Random
from flowerbed.trust.servers import LOOPBACK
from flowerbed_inside import bundles
from flowerbed_inside.site.start import FORMAT, SCRATCH

AUTHORITY = "ca.crt"
KEYS = "keys/node"
CERTIFICATE, KEY, SECRET = "keys/loopback.crt", "keys/loopback.key", "keys/superexec.secret"

LAUNCHED = ("flower-superexec", "flower-supernode", "flwr-clientapp")
_BIN = "programs/bin"
_STARTED_BY_NAME = "programs/bin/flwr-clientapp"
"""Flower's SuperExec finds it on PATH; `start` runs the others by their path."""

_KIT_FILES = {
    Trusted.AUTHORITY: AUTHORITY,
    Trusted.LOOPBACK_AUTHORITY: AUTHORITY,
    Trusted.LOOPBACK_CERTIFICATE: CERTIFICATE,
    Trusted.LOOPBACK_KEY: KEY,
    Trusted.SUPEREXEC_SECRET: SECRET,
}
_WORK_FILES = {Trusted.NODE_KEY: "node/key", Trusted.NODE_PUBLIC_KEY: "node/key.pub"}
"""Where the unit puts the key whose turn it is."""


@dataclass(frozen=True)
class File:
    """A file of a kit.

    Parameters
    ----------
    content : bytes
        What it holds.
    executable : bool
        Whether it is a program that is typed.
    """

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a kit is for.

    Parameters
    ----------
    federation : Federation
        What the file says.
    row : Row
        The Flower release.
    node : str
        The SuperNode, of an external pool.
    keys : bytes
        Its keys, as `flowerbed_inside.unit.node_keys` reads them.
    authorities : tuple of bytes
        Whom it trusts to be the SuperLink, in PEM: the federation's authority, and that of an Ingress in front of it.
    requirements : tuple of str
        What the app needs beside Flower.
    """

    federation: Federation
    row: Row
    node: str
    keys: bytes
    authorities: tuple[bytes, ...]
    requirements: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kit's folder, and how its objects in a cluster are called."""
        return f"{self.federation.metadata.name}-{self.node}"

    @property
    def expose(self) -> Expose:
        """Where the SuperLink is reached."""
        found = self.federation.spec.superlink.expose
        assert found is not None  # noqa: S101 - the file is refused otherwise
        return found

    @property
    def pool(self) -> SuperNodePool:
        """The SuperNode's pool."""
        return next(pool for pool in self.federation.spec.supernodes if self.node in pool.nodes)

    @property
    def components(self) -> tuple[Component, Component]:
        """The SuperNode and its SuperExec."""
        contract, minor = self.row.contract, self.row.minor
        supernode, superexec = external_unit(self.federation, self.node, contract, minor).components
        return supernode, superexec


def require_external(federation: Federation, node: str, where: str) -> None:
    """Check that a SuperNode runs elsewhere.

    Raises
    ------
    UsageError
        If it does not, or there is none of that name.
    """
    spec = federation.spec
    if node in spec.external_nodes:
        return
    what = f"{node} runs here" if node in spec.own_nodes else f"there is no SuperNode {node!r}"
    known = f"There is {', '.join(spec.external_nodes)}. " if spec.external_nodes else ""
    raise UsageError(
        f"{what}, and kits are for those that run elsewhere",
        where=where,
        hint=f"{known}A pool whose SuperNodes run elsewhere has external: true.",
    )


def files(wanted: Wanted, *, now: datetime, random: Random) -> dict[str, File]:
    """Return the files of a kit by their paths in its folder."""
    own = new_authority(f"{wanted.name} on its own machine", now=now, random=random)
    loopback = issue(own, LOOPBACK, now=now, until=None, random=random)
    secrets = {
        AUTHORITY: b"".join(pem.rstrip() + b"\n" for pem in (*wanted.authorities, own.certificate)),
        KEYS: wanted.keys,
        CERTIFICATE: loopback.certificate,
        KEY: loopback.key,
        SECRET: random(keys.SECRET_BYTES),
    }
    launchers = {f"{_BIN}/{name}": programs.launcher("python3") for name in LAUNCHED}
    modules = bundles.bundle(*programs.AT_SITES)
    in_cluster = manifests.files(
        wanted.federation,
        wanted.row,
        wanted.name,
        wanted.components,
        wanted.pool,
        secrets={path.rpartition("/")[2]: path for path in secrets},
        trusted={what: path.rpartition("/")[2] for what, path in _KIT_FILES.items()},
        programs={
            room: {key: f"programs/{path}" if path in modules else next(iter(launchers)) for key, path in keys.items()}
            for room, keys in programs.rooms(programs.AT_SITES).items()
        },
    )
    plain = {
        "README.md": _readme(wanted, in_cluster),
        "site.json": json.dumps(site(wanted), indent=1) + "\n",
        "requirements.txt": "".join(f"{line}\n" for line in (f"flwr=={wanted.row.release}", *wanted.requirements)),
        **{f"programs/{path}": file.read_text(encoding="utf-8") for path, file in modules.items()},
        **launchers,
        **in_cluster,
    }
    start = File(f"#!/usr/bin/env python3\n{bundles.START.read_text(encoding='utf-8')}".encode(), executable=True)
    found = {"start": start, **{path: File(content) for path, content in secrets.items()}}
    found |= {path: File(text.encode(), executable=path == _STARTED_BY_NAME) for path, text in plain.items()}
    return dict(sorted(found.items()))


def site(wanted: Wanted) -> dict[str, object]:
    """Return what ``site.json`` says: places are named there, and become paths and ports where it is started."""
    supernode, superexec = wanted.components
    return {
        "format": FORMAT,
        "federation": wanted.federation.metadata.name,
        "node": wanted.node,
        "flower": str(wanted.row.release),
        "dials": wanted.expose.fleet_address,
        "finish": wanted.pool.finish,
        "unit": [*work_options(wanted.row.contract.work_marks), "--refused", NOT_LET_IN],
        "programs": [_program("supernode", supernode, wanted), _program("superexec", superexec, wanted)],
    }


def _program(name: str, component: Component, wanted: Wanted) -> dict[str, object]:
    def place(value: Value) -> str | Mapping[str, str]:
        return _place(value, name, wanted)

    return {
        "name": name,
        "executable": component.executable,
        "arguments": [place(value) for value in component.arguments],
        "environment": {variable: place(value) for variable, value in component.environment.items()},
    }


def _place(value: Value, name: str, wanted: Wanted) -> str | Mapping[str, str]:
    match value:
        case str():
            return value
        case Address(component, _) if component == SUPERLINK:
            return wanted.expose.fleet_address
        case Address() | Listen():
            return {"here": "address"}
        case ListenHost():
            return {"here": "host"}
        case ListenPort():
            return {"here": "port"}
        case HomeFolder():
            return {"work": f"home-{name}"}
        case DataFile(file):
            return {"work": f"data-{name}/{file}"}
        case ResultsFolder():
            return {"work": "results"}
        case ScratchFolder():
            return {"work": SCRATCH}
        case TrustFile(what):
            return {"kit": _KIT_FILES[what]} if what in _KIT_FILES else {"work": _WORK_FILES[what]}


def _readme(wanted: Wanted, in_cluster: Mapping[str, str]) -> str:
    text = (resource_files("flowerbed.sites") / "kit.md").read_text(encoding="utf-8")
    plain, _, kubernetes = text.partition("<!-- kubernetes -->\n")
    python = wanted.federation.spec.python or wanted.row.pythons[-1]
    whole = plain + (kubernetes if in_cluster else "")
    for word, meaning in {
        "NAME": wanted.name,
        "NODE": wanted.node,
        "FEDERATION": wanted.federation.metadata.name,
        "RELEASE": str(wanted.row.release),
        "PYTHON": python,
        "ADDRESS": wanted.expose.fleet_address,
        "FINISH": _finish(wanted.pool.finish),
    }.items():
        whole = whole.replace(f"@{word}@", meaning)
    return whole


def _finish(seconds: int) -> str:
    if seconds:
        return f"its SuperNode has {seconds} seconds to reply to what it works on, or `start --finish SECONDS`"
    return "a run may lack what it was working on. With `start --finish 600` its SuperNode has ten minutes to reply"


def requirements(manifest: AppManifest | None) -> tuple[str, ...]:
    """Return what an app needs beside Flower; what it has from an address of its own is for the site to bring."""
    found = manifest.requirements if manifest is not None else ()
    return tuple(str(one) for one in found if one.url is None and canonicalize_name(one.name) != "flwr")
