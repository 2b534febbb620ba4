"""Where an image comes from: an in-toto statement with SLSA's provenance, version 1 (slsa.dev/spec/v1.0). Pure.

It has no time in it, so that the same image, made again from the same revision, has the same statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flowerbed import __version__
from flowerbed.environments.app_lock import Package

MEDIA_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://flowerbed.dev/build/v1"


@dataclass(frozen=True)
class Revision:
    """What Git says of an app's folder.

    Parameters
    ----------
    commit : str
        The commit, in hexadecimal digits.
    clean : bool
        Whether the folder is as that commit has it.
    """

    commit: str
    clean: bool


def statement(
    *,
    image: str,
    digest: str,
    app: str,
    app_digest: str,
    base: str,
    base_digest: str,
    lock_digest: str,
    added: Iterable[Package],
    revision: Revision | None,
    platform: str,
) -> dict[str, Any]:
    """Return the statement about one image.

    Parameters
    ----------
    image, digest : str
        The image's repository and its digest.
    app : str
        The app as Flower names it, ``publisher/name==version``.
    app_digest : str
        ``sha256:…`` of the app's files as they are in the image.
    base, base_digest : str
        The base image.
    lock_digest : str
        ``sha256:…`` of app.lock.
    added : iterable of Package
        What was installed.
    revision : Revision or None
        None outside of a Git repository.
    platform : str
        ``linux/amd64``.
    """
    used: list[dict[str, Any]] = [
        {"name": base, "uri": f"oci://{base}", "digest": _digest(base_digest)},
        {"name": "app.lock", "digest": _digest(lock_digest)},
        {"name": "app", "digest": _digest(app_digest)},
    ]
    if revision is not None:
        used.append({"name": "git", "digest": {"gitCommit": revision.commit}, "annotations": {"clean": revision.clean}})
    used += [{"uri": f"pkg:pypi/{one.name}@{one.version}"} for one in added]
    return {
        "_type": STATEMENT,
        "subject": [{"name": image, "digest": _digest(digest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"app": app, "base": base, "platform": platform},
                "resolvedDependencies": used,
            },
            "runDetails": {"builder": {"id": BUILD_TYPE, "version": {"flowerbed": __version__}}},
        },
    }


def _digest(text: str) -> dict[str, str]:
    kind, _, value = text.partition(":")
    return {kind: value}
