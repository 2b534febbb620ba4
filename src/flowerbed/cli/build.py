"""`flowerbed build`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli import build_by_recipe
from flowerbed.cli.options import FlowerVersion, Json
from flowerbed.cli.output import Output
from flowerbed.environments.app_lock import APP_LOCK
from flowerbed.environments.asking import read_asked
from flowerbed.environments.cache import write_durably
from flowerbed.errors import UsageError
from flowerbed.flower.releases import Row
from flowerbed.image import bases, building, sharing, signing, store, trying
from flowerbed.image.bases import Platform
from flowerbed.image.containerfile import Options, with_versions
from flowerbed.image.engine import Engine
from flowerbed.image.engine import check as check_engine
from flowerbed.image.recipe import Recipe
from flowerbed.kubernetes.manifests import images
from flowerbed.local.preflight import choose_interpreter, choose_release
from flowerbed.local.source import Source, find
from flowerbed.registry.client import Registries
from flowerbed.spec.kubernetes_values import IMAGE
from flowerbed.spec.lock import Lock, lock_at
from flowerbed.spec.run_config_check import run_config


def build(
    app: Path = Path(),
    /,
    *,
    tag: Annotated[str | None, Parameter(name=["--tag", "-t"])] = None,
    push: Annotated[bool, Parameter(negative="")] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    platform: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    base: str | None = None,
    locked: Annotated[bool, Parameter(negative="")] = False,
    upgrade: Annotated[bool, Parameter(negative="")] = False,
    sign: str | None = None,
    containerfile: Path | None = None,
    engine: Engine | None = None,
    compiler: Annotated[bool, Parameter(negative="")] = False,
    flower: FlowerVersion = None,
    json: Json = False,
) -> int:
    """Bake a Flower App into an image, on top of the Flower release's SuperExec.

    No container engine is needed. The app's packages are locked with hashes in app.lock, beside its pyproject.toml, and
    the same lock, base and files give an image with the same digest everywhere. The ServerApp and the ClientApp are
    imported in the image before anybody gets it.

    Parameters
    ----------
    app
        The app's folder, or the federation file that names it.
    tag
        What the image is called, instead of the file's spec.app.image.
    push
        Push it, with its bill of materials and its provenance, and write its digest into federation.lock.
    output
        Write it into this file, an OCI archive that `docker load`, `podman load` and `skopeo copy` take.
    platform
        For which machines: linux/amd64, linux/arm64. Given more than once, the image is for all of them.
    base
        The image to build on, instead of the file's spec.app.build.base, or flwr/superexec of the release.
    locked
        Refuse an app.lock that is missing or stale, instead of writing it: for CI.
    upgrade
        Take the newest versions of all packages, instead of those that are locked.
    sign
        With --push: have cosign sign it, with this key, or with your identity if this is `keyless`.
    containerfile
        Build nothing, and write a recipe for container engines into this folder: a Containerfile, and all it needs.
    engine
        Have this container engine build that recipe: buildah, podman or docker.
    compiler
        With --containerfile or --engine: packages that are not there as wheels are compiled; no compiler gets into the
        image.
    """
    out = Output(as_json=json)
    if locked and upgrade:
        raise UsageError("--locked and --upgrade exclude each other", where="build")
    if sign is not None:
        if not push:
            raise UsageError("what is not pushed cannot be signed", where="--sign", hint="Say --push as well.")
        signing.check(sign)
    _check_ways(containerfile, engine, platform, output, compiler=compiler, makes_image=push or tag is not None)
    source = find(app)
    run_config(source.loaded, source.manifest)
    row = choose_release(source, flower)
    name = _name(source, tag, needed=push)
    own = source.federation.spec.app.build
    start = base or own.base or images.superexec(source.federation.spec, row)
    platforms = [_platform(text) for text in platform or [f"linux/{trying.here()}"]]
    known = {} if upgrade else _lock_of(source, row).apt_packages
    apt_packages = with_versions(own.apt_packages, known, str(platforms[0]) if engine else None)
    options = Options(tuple(sorted(row.pythons)), apt_packages, compiler)
    if engine is not None:
        check_engine(engine)
    elif containerfile is None:
        building.check_without_engine(own.apt_packages)
    recipe = _recipe(out, source, row, locked=locked, upgrade=upgrade)
    if containerfile is not None:
        return build_by_recipe.write(out, recipe, start, containerfile, options)
    if engine is not None:
        digest, apt = build_by_recipe.build(
            out, engine, recipe, start, platforms[0], name, options, push=push, sign=sign
        )
    else:
        digest, apt = _build(out, recipe, start, platforms, name, output, push=push, sign=sign), {}
    if digest and source.loaded is not None and flower is None and name == source.federation.spec.app.image:
        _write_lock(source, row, name, digest, {str(one): apt for one in platforms})
    return 0


def _build(
    out: Output,
    recipe: Recipe,
    start: str,
    platforms: list[Platform],
    name: str,
    output: Path | None,
    *,
    push: bool,
    sign: str | None,
) -> str:
    """Build an image without an engine; return its digest if it was pushed."""
    with store.in_use(), closing(Registries()) as registries, out.working("building"), ExitStack() as trials:
        found = bases.find(registries, start, platforms, out.step)
        built = [building.build(registries, recipe, one, trials, progress=out.progress) for one in found]
        for one in built:
            if one.untried:
                out.say(f"The image for {one.base.platform} was not tried: {one.untried}.")
        yanked = sorted({package for one in built for package in one.yanked})
        for package in yanked:
            out.say(
                f"! Taken back by its publisher (yanked): {package}. --upgrade takes another where the app lets it."
            )
        root = building.root_document(built)
        if output is not None or not push:
            building.finish(built)
        if output is not None:
            sharing.save(registries, name, built, output, out.step)
        pushed = sharing.push(registries, name, built, out.step) if push else None
        attached = sharing.describe(registries, name, recipe, built) if push else []
        if sign is not None:
            signing.sign(name, root.digest, sign, os.environ, out.step)
    out.data(
        "built",
        {
            "image": name,
            "digest": root.digest,
            "base": found[0].name,
            "base_digest": found[0].digest,
            "packages": [f"{one.name}=={one.version}" for one in built[0].packages],
            "apt_packages": {},
            "yanked": yanked,
            "tried": all(not one.untried for one in built),
            "pushed": pushed is not None,
            "pushed_bytes": pushed.size if pushed else 0,
            "engine": None,
            "attached": attached,
            "signed": sign is not None,
        },
    )
    out.say(f"{name}@{root.digest}")
    if pushed is not None:
        out.say(f"Pushed: {pushed.size / 1e6:.2f} MB were new." if pushed.changed else "It was there already.")
    elif output is None:
        out.say("It is made of what is in Flowerbed's cache now; --push pushes it, --output writes it into a file.")
    if output is not None:
        out.say(f"It is in {output}.")
    return root.digest if push else ""


def _check_ways(
    containerfile: Path | None,
    engine: Engine | None,
    platform: list[str] | None,
    output: Path | None,
    *,
    compiler: bool,
    makes_image: bool,
) -> None:
    """Refuse what makes no sense with one way to an image or the other."""
    if containerfile is not None and (engine or platform or output or makes_image):
        raise UsageError(
            "--containerfile writes a recipe and makes no image",
            where="build",
            hint="Leave out --engine, --platform, --output, --tag and --push; the recipe is for all platforms.",
        )
    if engine is not None and output is not None:
        raise UsageError(
            f"with --engine {engine} the image is in its storage",
            where="--output",
            hint=f"Leave it out, and let {engine} write it into a file.",
        )
    if engine is not None and len(platform or ()) > 1:
        raise UsageError("with --engine an image is for one platform", where="--platform", hint="Name one.")
    if compiler and engine is None and containerfile is None:
        raise UsageError(
            "nothing is compiled without a container engine",
            where="--compiler",
            hint="Say --engine or --containerfile as well.",
        )


def _recipe(out: Output, source: Source, row: Row, *, locked: bool, upgrade: bool) -> Recipe:
    python = choose_interpreter(source, row)
    asked = read_asked(source.app, release=str(row.release), python=python, progress=out.progress)
    lock, written = building.bring_lock_up_to_date(
        source.app, asked, sorted(row.pythons), locked=locked, upgrade=upgrade, progress=out.progress
    )
    if written:
        out.say(f"{source.app / APP_LOCK} is written. Commit it with the app.")
    return Recipe(source.app, source.manifest, asked, lock, source.federation.spec.app.build.provided_by_base)


def _name(source: Source, tag: str | None, *, needed: bool) -> str:
    """Return what the image is called: the command line's, the file's, or the app's own name where nobody asks."""
    if tag is not None:
        if not IMAGE.fullmatch(tag) or "@" in tag:
            raise UsageError(
                f"{tag!r} is not an image's name", where="--tag", hint="For example ghcr.io/example/app:1.0"
            )
        return tag
    named = source.federation.spec.app.image
    if named is not None:
        return named.partition("@")[0]
    if needed:
        raise UsageError(
            "nothing says what the image is called",
            where="build --push",
            hint="Name it in federation.yaml as spec.app.image, or with --tag: ghcr.io/example/app:1.0, for example.",
        )
    return f"{source.manifest.name.lower()}:{source.manifest.version}".replace("+", "-")


def _platform(text: str) -> Platform:
    found = Platform.parse(text)
    if found.os != "linux" or found.architecture not in ("amd64", "arm64"):
        raise UsageError(f"{text!r} is no platform that is known", where="--platform", hint="linux/amd64, linux/arm64")
    return found


def _lock_of(source: Source, row: Row) -> Lock:
    """Return federation.lock, or an empty one where there is none of this release."""
    before = lock_at(source.lock) if source.loaded is not None else None
    return before if before is not None and before.flower == str(row.release) else Lock(str(row.release))


def _write_lock(source: Source, row: Row, name: str, digest: str, apt: Mapping[str, Mapping[str, str]]) -> None:
    before = _lock_of(source, row)
    packages = {platform: found for platform, found in {**before.apt_packages, **apt}.items() if found}
    after = replace(before, images={**before.images, name: digest}, apt_packages=packages)
    if after != before:
        write_durably(source.lock, after.render())
