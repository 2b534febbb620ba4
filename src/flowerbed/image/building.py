"""From an app's folder to an image: what was made before is taken from the cache, and nothing leaves this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from flowerbed.counting import counted
from flowerbed.environments.app_lock import APP_LOCK, AppLock, Asked, Package, app_lock_at
from flowerbed.environments.app_locking import lock as solve_lock
from flowerbed.environments.cache import Progress, scratch, silent, writable, write_durably
from flowerbed.environments.python import allows
from flowerbed.errors import AppError, ImageFailed
from flowerbed.image import app_files, layers, manifest, packages, sandbox, store, trying
from flowerbed.image.bases import BaseImage
from flowerbed.image.layers import Layer
from flowerbed.image.manifest import Added, Document
from flowerbed.image.recipe import APP_FOLDER, Recipe, annotations_of, labels_of
from flowerbed.image.trying import Trial
from flowerbed.registry.client import Registries

_FORMAT = 2
_NOTE = "layer.json"
_BLOB = "layer.tar.zst"
_FILES = "files"


@dataclass(frozen=True)
class Built:
    """An image for one platform.

    Parameters
    ----------
    base : BaseImage
        What it stands on.
    config, document : Document
        Its configuration and its manifest.
    packages : tuple of Package
        What was installed.
    app_digest : str
        ``sha256:…`` of the app's files in it.
    blobs : dict of str to Path
        Digest of each layer that was added → its file.
    untried : str
        Why it was not tried; empty if it was.
    yanked : tuple of str
        Packages among them whose publishers took that version back, with their reasons, as known when it was installed.
    trial : Trial or None
        How it is being tried.
    """

    base: BaseImage
    config: Document
    document: Document
    packages: tuple[Package, ...]
    app_digest: str
    blobs: dict[str, Path]
    untried: str = ""
    yanked: tuple[str, ...] = ()
    trial: Trial | None = None


def bring_lock_up_to_date(
    app: Path, asked: Asked, pythons: Sequence[str], *, locked: bool, upgrade: bool, progress: Progress = silent
) -> tuple[AppLock, bool]:
    """Return the lock of an app, and whether it had to be written.

    Parameters
    ----------
    app : Path
        The app's folder.
    asked : Asked
        What the app asks for.
    pythons : sequence of str
        The minor versions of Python that the Flower release is offered on.
    locked : bool
        Refuse a lock that is missing or stale, instead of writing it.
    upgrade : bool
        Take the newest versions, instead of those that are locked.
    progress : callable
        Is told what happens.

    Raises
    ------
    AppError
        If it is missing or stale and may not be written.
    EnvironmentFailed
        If it cannot be solved.
    """
    before = app_lock_at(app)
    if before is not None and asked.is_answered_by(before) and not upgrade:
        return before, False
    if locked:
        state = "is not there" if before is None else "is not of what the app asks for now"
        raise AppError(
            f"{APP_LOCK} {state}",
            where=str(app / APP_LOCK),
            hint="`flowerbed build` without --locked writes it; commit it.",
        )
    found = solve_lock(asked, pythons, None if upgrade else before, progress=progress)
    if found == before:
        return found, False
    write_durably(app / APP_LOCK, found.render())
    return found, True


def check_without_engine(apt_packages: Sequence[str]) -> None:
    """Refuse what takes a container engine.

    Raises
    ------
    ImageFailed
        If packages of Debian are asked for: their scripts want to run in the image, as root and with a network.
    """
    if apt_packages:
        raise ImageFailed(
            f"only a container engine can install packages of Debian: {', '.join(apt_packages)}",
            where="spec.app.build.aptPackages",
            hint="Say --engine buildah, podman or docker, or write a recipe for one with --containerfile.",
        )


def build(
    registries: Registries, recipe: Recipe, base: BaseImage, trials: ExitStack, *, progress: Progress = silent
) -> Built:
    """Make the image of an app for one platform, and begin to try it: `finish` waits for what comes of that.

    Parameters
    ----------
    registries : Registries
        Where the base comes from.
    recipe : Recipe
        What it is made of.
    base : BaseImage
        What it stands on.
    trials : ExitStack
        With which the trial ends, however that comes.
    progress : callable
        Is told what happens.

    Raises
    ------
    EnvironmentFailed
        If its packages cannot be installed.
    ImageFailed
        If the base does not do, or a file looks like a secret.
    """
    check_base(recipe, base)
    wanted = to_install(recipe, base)
    files = app_files.app_files(recipe.app)
    with writable(store.root()):
        why_not = _why_not_tried(base)
        root = None if why_not else base.files(registries, progress)
        layer_of_packages = _layer_of_packages(recipe, base, wanted, root, progress)
        layer_of_app = _layer_of_app(files, base)
        trial = None
        if root is not None:
            progress("trying the image")
            trial = trials.enter_context(_trying(recipe, base, root, layer_of_packages, files, wanted))
    added = [Added(layer_of_packages.layer, f"{counted(len(wanted), 'package')} of {APP_LOCK}")] if wanted else []
    added.append(Added(layer_of_app.layer, f"the app {recipe.says}"))
    config = manifest.configuration(base.config, added, labels_of(recipe, base.name, base.digest))
    document = manifest.manifest(base.manifest, config, added, annotations_of(recipe, base.name, base.digest))
    blobs = {one.layer.digest: one.file for one in (layer_of_packages, layer_of_app) if one.layer.digest}
    return Built(
        base=base,
        config=config,
        document=document,
        packages=tuple(wanted),
        app_digest=layer_of_app.layer.diff_id,
        blobs=blobs,
        untried=why_not,
        yanked=layer_of_packages.yanked,
        trial=trial,
    )


def finish(built: Sequence[Built]) -> None:
    """Wait until images have been tried.

    Raises
    ------
    AppError
        If the app's ServerApp or ClientApp cannot be imported in one.
    ImageFailed
        If nothing can be run in one.
    """
    for one in built:
        if one.trial is not None:
            one.trial.finish()


@dataclass(frozen=True)
class _Made:
    layer: Layer
    file: Path
    files: Path
    yanked: tuple[str, ...] = ()


def check_base(recipe: Recipe, base: BaseImage) -> None:
    """Make sure that an app's image can be made on a base.

    Raises
    ------
    ImageFailed
        If its Flower or its Python is another, or it does not bring what it shall.
    """
    holds = base.holds
    if holds.flwr != recipe.lock.flower:
        raise ImageFailed(
            f"the base image has Flower {holds.flwr}, and the federation runs Flower {recipe.lock.flower}",
            where=base.name,
            hint=f"Take a base of {recipe.lock.flower}, or set spec.flower to {holds.flwr}.",
        )
    if not allows(recipe.asked.requires_python, holds.python):
        raise ImageFailed(
            f"the base image has Python {holds.python}, and the app needs Python {recipe.asked.requires_python}",
            where=base.name,
            hint="Flower's images are there for several Pythons: their tags end with -py3.12-…, for example.",
        )
    if not allows(f">={recipe.lock.python}", holds.python):
        raise ImageFailed(
            f"the base image has Python {holds.python}, and {APP_LOCK} is for {recipe.lock.python} and newer",
            where=base.name,
        )
    there = {**holds.elsewhere, **{one.name: one.version for one in holds.packages.values()}}
    missing = [name for name in recipe.provided if canonicalize_name(name) not in there]
    if missing:
        raise ImageFailed(
            f"the base image does not bring {', '.join(missing)}, which spec.app.build.providedByBase says",
            where=base.name,
        )


def to_install(recipe: Recipe, base: BaseImage) -> list[Package]:
    """Return what has to be installed: what the app needs, and the base does not have in just that version."""
    needed = recipe.lock.of_the_app(base.holds.markers(base.platform.architecture), recipe.provided)
    there = {one.name: one.version for one in base.holds.packages.values()}
    return [one for one in needed if there.get(one.name) != one.version]


def _why_not_tried(base: BaseImage) -> str:
    if not trying.may_run(base.platform.architecture, base.platform.os):
        return f"this machine does not run {base.platform}"
    why = sandbox.works(store.root())
    return f"nothing can be run in an image here: {why}" if why else ""


def _layer_of_packages(
    recipe: Recipe, base: BaseImage, wanted: list[Package], root: Path | None, progress: Progress
) -> _Made:
    """Return the layer with an app's packages; they are compiled where the base's files are given, to do it with."""
    asked = [_FORMAT, base.manifest_digest, [asdict(one) for one in wanted], layers.WRITER, root is not None]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    place = store.packages(key)
    with store.filling(place) as folder:
        if folder is not None:
            files = folder / _FILES
            files.mkdir()
            gone: list[str] = []
            yanked: list[str] = []
            if wanted:
                settings = recipe.asked.wanted.settings
                yanked = packages.install(
                    wanted,
                    base.holds,
                    base.platform.architecture,
                    settings,
                    files,
                    where=recipe.asked.where,
                    progress=progress,
                )
                gone = packages.removed(wanted, base.holds, files)
                if root is not None:
                    progress(f"compiling {counted(len(wanted), 'package')} in the image")
                    trying.compile_packages(root, base.holds, files, gone, trying.of_image(base.config))
            progress("writing the layer of packages")
            layer = layers.write(packages.entries(files, base.holds, gone), folder / _BLOB, owner=base.holds.owner)
            (folder / _NOTE).write_text(json.dumps({"layer": asdict(layer), "yanked": yanked}), encoding="utf-8")
    store.mark_used(place)
    note = json.loads((place / _NOTE).read_text("utf-8"))
    return _Made(Layer(**note["layer"]), place / _BLOB, place / _FILES, tuple(note["yanked"]))


def app_digest(recipe: Recipe, base: BaseImage) -> str:
    """Return ``sha256:…`` of an app's files, as they are in its image; the same, whoever makes it.

    Raises
    ------
    ImageFailed
        If a file looks like a secret.
    """
    with writable(store.root()):
        return _layer_of_app(app_files.app_files(recipe.app), base).layer.diff_id


def _layer_of_app(files: list[tuple[str, Path]], base: BaseImage) -> _Made:
    with scratch() as folder:
        beside = folder / _BLOB
        layer = layers.write(app_files.entries(files, APP_FOLDER), beside, owner=base.holds.owner)
        place = store.blob(layer.digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        beside.replace(place)
    return _Made(layer, place, place)


@contextmanager
def _trying(
    recipe: Recipe, base: BaseImage, root: Path, made: _Made, files: list[tuple[str, Path]], wanted: Sequence[Package]
) -> Iterator[Trial]:
    with scratch() as folder:
        app = folder / APP_FOLDER
        for path, file in files:
            copy = app / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        gone = packages.removed(wanted, base.holds, made.files)
        env, where = trying.of_image(base.config), str(recipe.app.resolve())
        parts = [root, made.files, folder]
        with trying.begun(parts, base.holds, gone, env, APP_FOLDER, where=where) as trial:
            yield trial


def root_document(built: Sequence[Built]) -> Document:
    """Return what the image's name stands for: its manifest, or the index of several platforms."""
    if len(built) == 1:
        return built[0].document
    images: list[tuple[Document, dict[str, Any]]] = [(one.document, one.base.platform.as_dict()) for one in built]
    return manifest.index(images, {})
