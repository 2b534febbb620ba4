"""What a user names on the command line: a federation file, or an app; and a copy of the app to build from.

The user's files are only read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flowerbed.errors import AppError, FlowerbedError, SpecError, UsageError
from flowerbed.flower.staging import stage
from flowerbed.local.layout import StateFolder
from flowerbed.spec.app import AppManifest, parse_app
from flowerbed.spec.defaults import default_federation
from flowerbed.spec.finding import Finding
from flowerbed.spec.load import Loaded, decoded, load
from flowerbed.spec.lock import LOCK_FILE
from flowerbed.spec.model import Federation
from flowerbed.spec.names import FEDERATION_FILE

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """What a user named.

    Parameters
    ----------
    loaded : Loaded or None
        The federation file; None for an app without one.
    federation : Federation
        What it says, or the default.
    app : Path
        The app's folder.
    manifest : AppManifest
        What its pyproject says.
    folder : StateFolder
        Where the federation's state lies.
    """

    loaded: Loaded | None
    federation: Federation
    app: Path
    manifest: AppManifest
    folder: StateFolder

    def problem(self, path: tuple[str | int, ...], message: str, hint: str | None) -> FlowerbedError:
        """Return what is wrong as an error with its place in the federation file, where there is one."""
        if self.loaded is None:
            return UsageError(message, hint=hint)
        return SpecError([self.loaded.problem(Finding(path, message, hint))])

    @property
    def lock(self) -> Path:
        """Where the exact release is locked: beside the federation file, or in the state folder without one."""
        return (self.folder.root if self.loaded is None else self.folder.root.parent) / LOCK_FILE


def find(place: Path, *, app: Path | None = None) -> Source:
    """Find the federation that a file, or a folder, stands for.

    Parameters
    ----------
    place : Path
        A federation file, a folder with a federation.yaml, or the folder of an app without one.
    app : Path or None
        Another app than the file names.

    Raises
    ------
    UsageError
        If there is no such place; `SpecError` and `AppError` if what is there is wrong.
    """
    if not place.exists():
        raise UsageError("there is no such file or folder", where=str(place))
    file = place / FEDERATION_FILE if place.is_dir() else place
    folder = StateFolder.beside(place)
    if not file.exists():
        manifest = _manifest(place, hint=f"Make one with `flowerbed new`, or name a folder with a {FEDERATION_FILE}.")
        return Source(None, default_federation(manifest.name), place, manifest, folder)
    loaded = load(file)
    where = app if app is not None else file.parent / loaded.federation.spec.app.path
    if app is None and not where.is_dir():
        path = ("spec", "app", "path")
        raise SpecError([loaded.problem(Finding(path, f"there is no folder {where}", "name the app's folder"))])
    manifest = _manifest(where, hint=f"{file} names it as spec.app.path." if app is None else None)
    return Source(loaded, loaded.federation, where, manifest, folder)


def _manifest(app: Path, *, hint: str | None) -> AppManifest:
    file = app / "pyproject.toml"
    try:
        return parse_app(decoded(file.read_bytes(), str(file)), str(file))
    except FileNotFoundError:
        what = "there is no pyproject.toml, so this is no Flower App" if app.is_dir() else "there is no such app folder"
        raise AppError(what, where=str(app), hint=hint) from None
    except OSError as error:
        raise AppError(f"cannot be read: {error.strerror}", where=str(file)) from None


@contextmanager
def staged(source: Source) -> Iterator[Path]:
    """Give a copy of the app from which a FAB can be built; gone afterwards."""
    source.folder.create()
    parent = Path(tempfile.mkdtemp(dir=source.folder.staging))
    try:
        target = parent / "app"
        stage(source.app, target)
        yield target
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def content_hash(folder: Path, *more: str) -> str:
    """Return a hash over all files of a folder, and more text."""
    digest = hashlib.sha256(json.dumps(more).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
