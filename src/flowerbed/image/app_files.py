"""Which files of an app's folder go into its image: what a run needs, and nothing that is nobody's business."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from flowerbed.environments.app_lock import APP_LOCK
from flowerbed.errors import ImageFailed
from flowerbed.flower.missing import Packing
from flowerbed.image.layers import Entry

IGNORE_FILE = ".flowerbedignore"
NEVER = (
    ".*",
    *("__pycache__/", "*.pyc", "*.egg-info/", "/build/", "/dist/", "venv/", "env/", "node_modules/", "site-packages/"),
    *("/federation.yaml", "/federation.lock", f"/{APP_LOCK}"),  # what describes the image is no part of it
)
"""What no image gets, in the words of .gitignore."""

_SECRET_NAMES = re.compile(
    r"(?i)id_(rsa|dsa|ecdsa|ed25519)|.*\.(key|p12|pfx|kdbx|jks|keystore)|.*\.kubeconfig|kubeconfig"
    r"|(client_)?credentials(\.(json|ya?ml|toml|ini|txt))?|secrets?\.(json|ya?ml|toml|ini|txt|env)|.*\.env|service[-_]account.*\.json"
)
_SECRET_CONTENT = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")
_LOOKED_AT = 2**16  # bytes at the beginning of a file; keys are smaller


def app_files(app: Path) -> list[tuple[str, Path]]:
    """Return the files of an app's image: path below the app, and file; links to files become files.

    Raises
    ------
    ImageFailed
        If one looks like a secret.
    """
    ignored = _ignored(app)
    found = list(_walk(app, app.resolve(), ignored))
    secrets = [path for path, file in found if _is_secret(file)]
    if secrets:
        raise ImageFailed(
            f"looks like a secret, which everybody who can pull the image could read: {', '.join(secrets)}",
            where=str(app),
            hint=f"Move it out of the app's folder, or name it in {IGNORE_FILE}, which is read like a .gitignore.",
        )
    return found


def packing() -> Packing:
    """Return what decides which files of an app its image has. No .gitignore is among them, so that none counts."""
    return Packing("image", (), (IGNORE_FILE,), {"Flowerbed": NEVER})


def leaves_out(app: Path, folder: Path) -> bool:
    """Tell whether what lies in a folder is no part of an app's image."""
    inner, root = folder.resolve(), app.resolve()
    if not inner.is_relative_to(root):
        return True
    ignored, below = _ignored(app), inner.relative_to(root)
    return any(ignored.match_file(f"{one.as_posix()}/") for one in (below, *below.parents) if one.name)


def entries(files: list[tuple[str, Path]], at: str) -> Iterator[Entry]:
    """Yield the app's layer.

    Parameters
    ----------
    files : list
        What `app_files` returned.
    at : str
        The app's folder in the image, without a slash before it.
    """
    folders = set()
    for path, file in files:
        place = f"{at}/{path}"
        parent = place.rpartition("/")[0]
        while parent != at and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
        yield Entry(place, file, mode=0o755 if file.stat().st_mode & 0o100 else 0o644)
    for folder in folders:
        yield Entry(folder, folder=True)


def _ignored(app: Path) -> GitIgnoreSpec:
    try:
        own = (app / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        own = []
    except (OSError, UnicodeDecodeError) as error:
        raise ImageFailed(f"cannot be read: {error}", where=str(app / IGNORE_FILE)) from error
    return GitIgnoreSpec.from_lines([*own, *NEVER])


def _walk(app: Path, root: Path, ignored: GitIgnoreSpec) -> Iterator[tuple[str, Path]]:
    for at, folders, names in os.walk(app):
        below = Path(at).relative_to(app)
        folders[:] = sorted(name for name in folders if not ignored.match_file(f"{(below / name).as_posix()}/"))
        for name in sorted(names):
            path, file = (below / name).as_posix(), Path(at, name)
            if ignored.match_file(path) or not file.is_file():
                continue
            if not file.resolve().is_relative_to(root):
                raise ImageFailed(
                    f"{path} is a link to something outside of the app's folder, {file.resolve()}",
                    where=str(app),
                    hint=f"Copy it here, or name it in {IGNORE_FILE}.",
                )
            yield path, file


def _is_secret(file: Path) -> bool:
    if _SECRET_NAMES.fullmatch(file.name):
        return True
    with file.open("rb") as opened:
        return bool(_SECRET_CONTENT.search(opened.read(_LOOKED_AT)))
