"""The bill of materials of an image, in CycloneDX 1.6 (cyclonedx.org/docs/1.6/json). Pure.

Everything is in it that an image's packages say of themselves: those of the lock with their hashes, the base's Python
packages, and the system's. It has no time and no random number, so the same image has the same bill.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from flowerbed import __version__
from flowerbed.environments.app_lock import Package
from flowerbed.image.base import Base

MEDIA_TYPE = "application/vnd.cyclonedx+json"


def bill(
    base: Base, added: Iterable[Package], *, name: str, version: str, digest: str, base_name: str, base_digest: str
) -> dict[str, Any]:
    """Return the bill of one image.

    Parameters
    ----------
    base : Base
        What was there.
    added : iterable of Package
        What was installed on top.
    name, version : str
        The app's.
    digest : str
        The image's, ``sha256:…``.
    base_name, base_digest : str
        The base image.
    """
    new = {package.name: package for package in added}
    kept = [(one.name, one.version) for one in base.packages.values() if one.name not in new]
    kept += [(other, known) for other, known in base.elsewhere.items() if other not in new]
    components = [_python(one.name, one.version, one.hashes) for one in new.values()]
    components += [_python(known, its_version, ()) for known, its_version in sorted(set(kept))]
    components += [_system(base.system, *one) for one in base.debian]
    image = _purl("oci", name.lower(), digest, {})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "flowerbed", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": name,
                "version": version,
                "purl": image,
                "properties": [
                    {"name": "flowerbed:image", "value": digest},
                    {"name": "flowerbed:base", "value": f"{base_name}@{base_digest}"},
                ],
            },
        },
        "components": sorted(components, key=lambda one: one["bom-ref"]),
        "dependencies": [{"ref": image, "dependsOn": sorted(one["bom-ref"] for one in components)}],
    }


def _python(name: str, version: str, hashes: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "library", "name": name, "version": version}
    found["purl"] = found["bom-ref"] = _purl("pypi", name, version, {})
    # A lock has the hashes of all files of a version, of which one was installed: the bill says which they may be.
    digests = [{"alg": "SHA-256", "content": one.removeprefix("sha256:")} for one in hashes]
    if digests:
        found["externalReferences"] = [
            {"type": "distribution", "url": f"{found['purl']}#{one['content'][:12]}", "hashes": [one]}
            for one in digests
        ]
    return found


def _system(system: Mapping[str, str], name: str, version: str, architecture: str) -> dict[str, Any]:
    alpine = system.get("ID") == "alpine"
    kind, vendor = ("apk", "alpine") if alpine else ("deb", system.get("ID") or "debian")
    qualifiers = {"arch": architecture} if architecture else {}
    if release := system.get("VERSION_ID"):
        qualifiers["distro"] = f"{vendor}-{release}"
    found: dict[str, Any] = {"type": "library", "name": name, "version": version}
    found["purl"] = found["bom-ref"] = _purl(kind, f"{vendor}/{name}", version, qualifiers)
    return found


def _purl(kind: str, name: str, version: str, qualifiers: Mapping[str, str]) -> str:
    """Return a package URL (github.com/package-url/purl-spec)."""
    place = "/".join(quote(part, safe="") for part in name.split("/"))
    told = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(qualifiers.items()))
    return f"pkg:{kind}/{place}@{quote(version, safe=':')}" + (f"?{told}" if told else "")
