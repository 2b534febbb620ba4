"""From an app's folder to the folder of a recipe, and by a container engine to an image that is read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flowerbed.environments.app_lock import APP_LOCK
from flowerbed.environments.cache import Progress, scratch
from flowerbed.errors import ImageFailed, UsageError
from flowerbed.folders import OwnFolder
from flowerbed.image import bases, building, containerfile, engine
from flowerbed.image.app_files import IGNORE_FILE, app_files, leaves_out
from flowerbed.image.bases import BaseImage
from flowerbed.image.building import Built
from flowerbed.image.containerfile import Options
from flowerbed.image.engine import Engine
from flowerbed.image.manifest import CONFIG, Document
from flowerbed.image.recipe import APP_FOLDER, Recipe
from flowerbed.registry.client import Registries
from flowerbed.registry.reference import Reference

_FOLDER = OwnFolder(
    ".flowerbed-recipe",
    command="flowerbed build --containerfile",
    option="--containerfile",
    instead="Change what it is made from: the app, app.lock, federation.yaml",
)


def write(folder: Path, recipe: Recipe, base_name: str, base_digest: str, options: Options) -> list[Path]:
    """Make a folder a recipe; what is as it should be is not touched.

    Parameters
    ----------
    folder : Path
        The folder.
    recipe : Recipe
        What the image is made of.
    base_name, base_digest : str
        The image that it is built on.
    options : Options
        The rest.

    Returns
    -------
    list of Path
        What was written or deleted.

    Raises
    ------
    UsageError
        If the folder is somebody else's, a file in it was changed by hand, or it would itself go into the image.
    ImageFailed
        If a file of the app looks like a secret.
    """
    if not leaves_out(recipe.app, folder):
        raise UsageError(
            "lies in the app's folder, and would go into the image itself",
            where=str(folder),
            hint=f"Name one outside of it, one in its build/, which is left out, or name this one in {IGNORE_FILE}.",
        )
    texts = containerfile.texts(recipe, base_name, base_digest, options)
    copies = {f"{APP_FOLDER}/{path}": file for path, file in app_files(recipe.app)}
    return _FOLDER.write(folder, {**texts, **copies})


def build(made_by: Engine, recipe: Recipe, base: BaseImage, name: str, options: Options, progress: Progress) -> None:
    """Have an engine build an app's image; it is in the engine's storage then.

    Raises
    ------
    ImageFailed
        If the base does not do, a file looks like a secret, or the engine cannot build it.
    """
    building.check_base(recipe, base)
    secrets = engine.secrets(recipe.asked.wanted.settings)
    with scratch() as place:
        folder = place / "recipe"
        write(folder, recipe, base.name, base.digest, options)
        engine.build(made_by, folder, name, str(base.platform), base.name, secrets, progress)


def push(
    registries: Registries, made_by: Engine, recipe: Recipe, base: BaseImage, name: str, progress: Progress
) -> Built:
    """Have an engine push what it built, and read from the registry what that is.

    Raises
    ------
    ImageFailed
        If the engine cannot push it, or the image does not hold what the lock says.
    RegistryError
        If the registry does not give it.
    """
    engine.push(made_by, name, progress)
    place = Reference.parse(name)
    there = f"{place.host}/{place.repository}@{registries.digest(name)}"
    [image] = bases.find(registries, there, [base.platform], progress)
    needed = recipe.lock.of_the_app(image.holds.markers(image.platform.architecture), recipe.provided)
    held = {one.name: one.version for one in image.holds.packages.values()}
    locked = {**{one.name: one.version for one in needed}, "flwr": recipe.lock.flower}
    lacks = [f"{package}=={version}" for package, version in locked.items() if held.get(package) != version]
    if lacks:
        raise ImageFailed(
            f"the image that {made_by} pushed does not hold what {APP_LOCK} says: {', '.join(lacks)}", where=there
        )
    found = registries.raw_manifest(there, image.manifest_digest)
    if found is None:
        raise ImageFailed("is gone from the registry again", where=there)
    return Built(
        base=replace(base, holds=image.holds),
        config=Document.of(image.config, CONFIG),
        document=Document(*found),
        packages=tuple(building.to_install(recipe, base)),
        app_digest=building.app_digest(recipe, base),
        blobs={},
        untried=f"{made_by} built it",
    )
