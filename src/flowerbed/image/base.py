"""What a base image holds, as far as an app's packages on top of it depend on that. Pure.

A base has Flower: the folder of packages in which its ``flwr`` lies is where the app's packages go. Everything else
follows from files: the Python from that folder's name, the C library from what the system's packages say, the versions
that are there already from their ``METADATA``.
"""

from __future__ import annotations

import csv
import email
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from packaging.utils import canonicalize_name

from flowerbed.errors import ImageFailed
from flowerbed.image.layers import OPAQUE, WHITEOUT

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""How Linux and Python call what images call an architecture."""

_SITE_PACKAGES = re.compile(r"(?P<prefix>.+)/lib/python(?P<minor>3\.\d+)/site-packages")
_METADATA = re.compile(r"(?P<folder>.+)/(?P<info>[^/]+\.(dist-info/METADATA|egg-info(/PKG-INFO)?))")
"""Debian's packages still say in the older form what they are."""

_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_DPKG, _DPKG_PARTS, _APK = "var/lib/dpkg/status", "var/lib/dpkg/status.d/", "lib/apk/db/installed"
LARGEST = 32 * 2**20
"""Bytes of a file that is looked at; the lists of installed packages are the largest."""


@dataclass(frozen=True)
class Found:
    """A file of interest, as it is in the image.

    Parameters
    ----------
    content : bytes
        What it holds.
    owner : tuple of int
        Its user and group.
    """

    content: bytes
    owner: tuple[int, int]


@dataclass(frozen=True)
class Distribution:
    """A Python package of a base.

    Parameters
    ----------
    name, version : str
        Its normalised name, and its version.
    files : tuple of str
        Where its files lie in the image; empty if it does not say.
    """

    name: str
    version: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Base:
    """A base image, for one platform.

    Parameters
    ----------
    flwr : str
        The version of its Flower.
    python : str
        The minor version of the Python of its Flower, such as ``3.11``.
    prefix : str
        The folder above ``lib/python3.11/site-packages``, without a slash before it.
    owner : tuple of int
        User and group of the files there.
    packages : dict of str to Distribution
        What lies beside its Flower.
    elsewhere : dict of str to str
        Python packages in other folders: name → version.
    libc : str
        ``glibc 2.36``, ``musl``.
    system : dict of str to str
        ``/etc/os-release``.
    debian : list of tuple
        Name, version and architecture of each package of Debian; of Alpine's, where that is the system.
    """

    flwr: str
    python: str
    prefix: str
    owner: tuple[int, int]
    packages: dict[str, Distribution] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    libc: str = ""
    system: dict[str, str] = field(default_factory=dict)
    debian: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def site_packages(self) -> str:
        """Where packages lie, without a slash before it."""
        return f"{self.prefix}/lib/python{self.python}/site-packages"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Base:
        """Return what `as_dict` made."""
        packages = {
            name: Distribution(one["name"], one["version"], tuple(one["files"]))
            for name, one in data["packages"].items()
        }
        debian = [(str(name), str(version), str(kind)) for name, version, kind in data["debian"]]
        uid, gid = data["owner"]
        return cls(**{**data, "packages": packages, "debian": debian, "owner": (uid, gid)})

    def markers(self, architecture: str) -> dict[str, str]:
        """Return the marker variables of its Python (PEP 508)."""
        return markers(self.python, architecture)

    def wheels_for(self, architecture: str) -> str:
        """Return how uv names the platform whose wheels run on it.

        Raises
        ------
        ImageFailed
            If there is no such platform.
        """
        machine = MACHINES.get(architecture)
        if machine is None:
            raise ImageFailed(f"nothing is known of wheels for {architecture}", hint="linux/amd64 and linux/arm64 are.")
        if self.libc == "musl":
            return f"{machine}-unknown-linux-musl"
        found = re.fullmatch(r"glibc 2\.(\d+)", self.libc)
        known = [minor for minor in _MANYLINUX if found and minor <= int(found[1])]
        return f"{machine}-manylinux_2_{known[-1]}" if known else f"{machine}-unknown-linux-gnu"


_MANYLINUX = (17, 28, *range(31, 41))
"""The minor versions of glibc that uv has platforms of."""


def markers(python: str, architecture: str) -> dict[str, str]:
    """Return the marker variables of a minor version of CPython on Linux (PEP 508)."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": MACHINES.get(architecture, architecture),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def interesting(path: str) -> bool:
    """Tell whether a file of an image says something that is looked at."""
    return (
        path in (*_OS_RELEASE, _DPKG, _APK)
        or path.startswith(_DPKG_PARTS)
        or path.endswith((".dist-info/METADATA", ".dist-info/RECORD", ".egg-info", ".egg-info/PKG-INFO"))
        or bool(re.match(r"(usr/)?lib/ld-musl-", path))
    )


def gather(layers: Iterable[Iterable[tuple[str, Found | None]]]) -> dict[str, Found]:
    """Return the files that are there once all layers lie on each other.

    Parameters
    ----------
    layers : iterable
        From the lowest on, each one's paths, with the file where it is of interest: removals count as well.
    """
    seen: dict[str, Found] = {}
    for layer in layers:
        new: dict[str, Found] = {}
        for path, found in layer:
            parent, _, name = path.rpartition("/")
            if name == OPAQUE:
                gone = f"{parent}/"
                seen = {known: file for known, file in seen.items() if not known.startswith(gone)}
            elif name.startswith(WHITEOUT):
                gone = f"{parent}/{name.removeprefix(WHITEOUT)}".lstrip("/")
                seen = {known: f for known, f in seen.items() if known != gone and not known.startswith(f"{gone}/")}
            elif found is not None:
                new[path] = found
        seen |= new
    return seen


def read(files: Mapping[str, Found], where: str) -> Base:
    """Return what an image is, from its files of interest.

    Raises
    ------
    ImageFailed
        If it has no Flower, or its Python cannot be told.
    """
    homes = sorted(
        (match["folder"], path)
        for path in files
        if (match := _METADATA.fullmatch(path)) and match["info"].startswith("flwr-")
    )
    if not homes:
        raise ImageFailed(
            "the base image has no Flower",
            where=where,
            hint="Take flwr/superexec of the release, or an image that is built on it.",
        )
    folder, flwr = homes[-1]
    place = _SITE_PACKAGES.fullmatch(folder)
    if place is None:
        raise ImageFailed(f"Flower lies in /{folder} of the base image, which is no site-packages", where=where)
    found = [(_METADATA.fullmatch(path), path) for path in sorted(files)]
    beside: dict[str, Distribution] = {}
    elsewhere: dict[str, str] = {}
    for match, path in found:
        if match is None:
            continue
        name, version = _name_and_version(files[path].content)
        if not name:
            continue
        if match["folder"] == folder:
            record = files.get(f"{folder}/{match['info'].partition('/')[0]}/RECORD")
            beside[name] = Distribution(name, version, _files(folder, record))
        else:
            elsewhere[name] = version
    system = _system(files)
    debian = _debian(files) or _alpine(files)
    return Base(
        flwr=_name_and_version(files[flwr].content)[1],
        python=place["minor"],
        prefix=place["prefix"],
        owner=files[flwr].owner,
        packages=beside,
        elsewhere=elsewhere,
        libc=_libc(files, debian),
        system=system,
        debian=debian,
    )


def _name_and_version(metadata: bytes) -> tuple[str, str]:
    head = email.message_from_bytes(metadata.split(b"\n\n")[0])
    return canonicalize_name(str(head["Name"] or "")), str(head["Version"])


def _files(folder: str, record: Found | None) -> tuple[str, ...]:
    lines = [] if record is None else record.content.decode(errors="replace").splitlines()
    return tuple(sorted({_joined(folder, row[0]) for row in csv.reader(lines) if row and not row[0].startswith("/")}))


def _joined(folder: str, path: str) -> str:
    parts = list(PurePosixPath(folder).parts)
    for part in PurePosixPath(path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _system(files: Mapping[str, Found]) -> dict[str, str]:
    for path in _OS_RELEASE:
        if path in files:
            lines = files[path].content.decode(errors="replace").splitlines()
            pairs = [line.partition("=") for line in lines if "=" in line]
            return {key: value.strip("\"'") for key, _, value in pairs}
    return {}


def _debian(files: Mapping[str, Found]) -> list[tuple[str, str, str]]:
    texts = [file.content for path, file in sorted(files.items()) if path == _DPKG or path.startswith(_DPKG_PARTS)]
    packages = set()
    for block in b"\n\n".join(texts).decode(errors="replace").split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", block, re.MULTILINE))
        installed = fields.get("Status", "install ok installed").endswith(" installed")
        if installed and "Package" in fields and "Version" in fields:
            packages.add((fields["Package"], fields["Version"], fields.get("Architecture", "")))
    return sorted(packages)


def _alpine(files: Mapping[str, Found]) -> list[tuple[str, str, str]]:
    text = files[_APK].content.decode(errors="replace") if _APK in files else ""
    blocks = [dict(re.findall(r"^([PVA]):(.*)$", block, re.MULTILINE)) for block in text.split("\n\n")]
    return sorted((block["P"], block["V"], block.get("A", "")) for block in blocks if {"P", "V"} <= block.keys())


def _libc(files: Mapping[str, Found], debian: list[tuple[str, str, str]]) -> str:
    if any(re.match(r"(usr/)?lib/ld-musl-", path) for path in files):
        return "musl"
    versions = [version for name, version, _ in debian if name == "libc6"]
    found = re.match(r"(?:\d+:)?(2\.\d+)", versions[0]) if versions else None
    return f"glibc {found[1]}" if found else ""
