"""What `flowerbed build` does with --containerfile and with --engine."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from flowerbed.cli.output import Output
from flowerbed.counting import counted
from flowerbed.image import bases, by_recipe, containerfile, sharing, signing, store
from flowerbed.image.bases import Platform
from flowerbed.image.containerfile import Options
from flowerbed.image.engine import Engine
from flowerbed.image.recipe import Recipe
from flowerbed.registry.client import Registries


def write(out: Output, recipe: Recipe, base: str, folder: Path, options: Options) -> int:
    """Write a recipe; of the base no more is asked than its digest."""
    out.step(f"asking for {base}")
    with closing(Registries()) as registries:
        digest = registries.digest(base)
    changed = by_recipe.write(folder, recipe, base, digest, options)
    packages = containerfile.packages(recipe, options.pythons)
    out.data(
        "recipe",
        {
            "folder": str(folder),
            "changed": sorted(path.relative_to(folder).as_posix() for path in changed),
            "base": base,
            "base_digest": digest,
            "packages": [f"{one.name}=={one.version}" for one in packages],
        },
    )
    said = f"{counted(len(changed), 'file is', 'files are')} new or changed" if changed else "nothing to change"
    out.say(f"{folder}: {said}.")
    out.say(f"Its {containerfile.CONTAINERFILE} says at its top how engines build it.")
    return 0


def build(
    out: Output,
    engine: Engine,
    recipe: Recipe,
    base: str,
    platform: Platform,
    name: str,
    options: Options,
    *,
    push: bool,
    sign: str | None,
) -> tuple[str, dict[str, str]]:
    """Have an engine build an image; return its digest and the versions of Debian's packages, if it was pushed."""
    attached: list[str] = []
    apt: dict[str, str] = {}
    digest, packages = "", []
    with store.in_use(), closing(Registries()) as registries, out.working("building"):
        [found] = bases.find(registries, base, [platform], out.step)
        by_recipe.build(engine, recipe, found, name, options, out.step)
        if push:
            made = by_recipe.push(registries, engine, recipe, found, name, out.step)
            digest, packages = made.document.digest, [f"{one.name}=={one.version}" for one in made.packages]
            apt = containerfile.versions(options.apt_packages, made.base.holds.debian)
            attached = sharing.describe(registries, name, recipe, [made])
            if sign is not None:
                signing.sign(name, digest, sign, os.environ, out.step)
    out.data(
        "built",
        {
            "image": name,
            "digest": digest or None,
            "base": found.name,
            "base_digest": found.digest,
            "engine": engine.value,
            "packages": packages,
            "apt_packages": apt,
            "yanked": None,
            "tried": False,
            "pushed": push,
            "pushed_bytes": None,
            "attached": attached,
            "signed": sign is not None,
        },
    )
    out.say(f"{name}@{digest}" if digest else f"{name} is in {engine}'s storage; --push pushes it.")
    out.say("Flowerbed did not try it: whether its ServerApp and ClientApp can be imported is not known.")
    return digest, apt
