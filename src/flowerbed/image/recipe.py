"""What an image is made of, and what is written on it, whoever makes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowerbed.environments.app_lock import AppLock, Asked
from flowerbed.spec.app import AppManifest

APP_FOLDER = "app"
"""Where an app lies in its image, without a slash before it: where Flower's own recipe has it, too."""


@dataclass(frozen=True)
class Recipe:
    """What an image is made of.

    Parameters
    ----------
    app : Path
        The app's folder.
    says : AppManifest
        What its pyproject says.
    asked : Asked
        What it asks to have installed.
    lock : AppLock
        What that comes to.
    provided : tuple of str
        Packages that the base brings, and that are left to it.
    """

    app: Path
    says: AppManifest
    asked: Asked
    lock: AppLock
    provided: tuple[str, ...] = ()


def labels_of(recipe: Recipe, base_name: str, base_digest: str) -> dict[str, str]:
    """Return what an image says of itself."""
    return {
        **annotations_of(recipe, base_name, base_digest),
        "dev.flowerbed.app": str(recipe.says),
        "dev.flowerbed.app-lock": recipe.lock.digest,
        "dev.flowerbed.flower": recipe.lock.flower,
    }


def annotations_of(recipe: Recipe, base_name: str, base_digest: str) -> dict[str, str]:
    """Return what tools look for (image-spec, annotations.md); nothing that differs from machine to machine."""
    return {
        "org.opencontainers.image.title": recipe.says.name,
        "org.opencontainers.image.version": recipe.says.version,
        "org.opencontainers.image.base.name": base_name,
        "org.opencontainers.image.base.digest": base_digest,
    }
