"""From what a user names on the command line to what shall be in the cluster: the file, the release, the objects.

Only reads. An app's folder is not needed to look at a federation or to bring it up from an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowerbed.errors import ReleaseError, SpecError, UsageError
from flowerbed.flower.releases import Row, choose_locked
from flowerbed.kubernetes.applying import owned
from flowerbed.kubernetes.manifests import expose, programs
from flowerbed.kubernetes.manifests.identity import Identity
from flowerbed.kubernetes.manifests.images import image_missing, image_problems, pinned
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.spec.app import AppManifest, parse_app
from flowerbed.spec.finding import Finding
from flowerbed.spec.load import Loaded, load
from flowerbed.spec.lock import LOCK_FILE, Lock, lock_at
from flowerbed.spec.model import Federation, Layout
from flowerbed.spec.names import FEDERATION_FILE

Object = dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """A federation file, and the app beside it if there is one.

    Parameters
    ----------
    loaded : Loaded
        The file.
    app : Path
        The app's folder, there or not.
    manifest : AppManifest or None
        What its pyproject says.
    """

    loaded: Loaded
    app: Path
    manifest: AppManifest | None

    @property
    def federation(self) -> Federation:
        """What the file says."""
        return self.loaded.federation

    @property
    def name(self) -> str:
        """The federation's name."""
        return self.federation.metadata.name

    def row(self, flower: str | None = None) -> Row:
        """Choose the release, as on the local runtime: the command line's, the lock's, the file's, the newest."""
        wanted = self.federation.spec.flower
        requirement = self.manifest.flwr_requirement if self.manifest else None
        try:
            lock = self.locked() if flower is None else None
            allowed = requirement.specifier if requirement else None
            place = self.manifest.flwr_place if self.manifest else None
            return choose_locked(flower or wanted, lock.flower if lock else None, allowed, place=place)
        except ReleaseError as error:
            if flower is not None or wanted is None:
                raise
            finding = Finding(("spec", "flower"), error.message, error.hint)
            raise SpecError([self.loaded.problem(finding)]) from None

    @property
    def lock(self) -> Path:
        """Where the lock is, or would be."""
        return self.loaded.path.parent / LOCK_FILE

    def locked(self) -> Lock | None:
        """Return what the lock beside the file says; None if there is none."""
        return lock_at(self.lock)

    def pinned(self, row: Row) -> Opened:
        """Return the same with the lock's digests for the images of a release."""
        lock = self.locked()
        if lock is None:
            return self
        federation = pinned(self.federation, row, lock.images)
        return replace(self, loaded=replace(self.loaded, federation=federation))

    def moved(self, to: Callable[[Federation], Federation]) -> Opened:
        """Return the same with another federation made of the file's."""
        return replace(self, loaded=replace(self.loaded, federation=to(self.federation)))

    def check_image(self) -> None:
        """Refuse a file that names no image.

        Raises
        ------
        SpecError
            If it names none.
        """
        for finding in image_missing(self.federation):
            raise SpecError([self.loaded.problem(finding)])

    def check_images(self, row: Row) -> None:
        """Refuse images that cannot be used.

        Raises
        ------
        SpecError
            With each of them, at its place in the file.
        """
        found = image_problems(self.federation, row)
        if found:
            raise SpecError([self.loaded.problem(finding) for finding in found])

    def rendered(self, row: Row, *, namespace: str | None = None) -> list[Object]:
        """Return the objects as `render` shows them.

        Raises
        ------
        SpecError
            If images cannot be used, or more would be shown outside than the Fleet API.
        """
        self.check_images(row)
        made = objects(self.federation, row, namespace=namespace)
        if found := expose.problems(self.federation, made):
            raise SpecError([self.loaded.problem(finding) for finding in found])
        return made

    def objects(self, row: Row, namespace: str) -> list[Object]:
        """Return the objects as `up` applies them; a Namespace among them is for where there is none yet."""
        made = self.rendered(row, namespace=namespace)
        if self.federation.spec.layout is Layout.QUICKSTART:  # its Pods have none; the Jobs of runs need them
            made = [*programs.config_maps(Identity.of(self.federation, row, namespace)), *made]
        return [
            item if item["kind"] == "Namespace" else owned(item, self.name, namespace, str(row.release))
            for item in made
        ]


def open_file(place: Path, *, app: Path | None = None) -> Opened:
    """Open the federation that a file, or a folder with a federation.yaml, stands for.

    Parameters
    ----------
    place : Path
        The file or folder.
    app : Path or None
        Another app than the file names.

    Raises
    ------
    UsageError
        If there is no such file: on Kubernetes the image has to be named in one.
    """
    file = place / FEDERATION_FILE if place.is_dir() else place
    if not file.exists():
        raise UsageError(
            f"there is no {FEDERATION_FILE}",
            where=str(place),
            hint="On Kubernetes it names at least the app's image: spec.app.image. `flowerbed new` writes one.",
        )
    loaded = load(file)
    where = app if app is not None else file.parent / loaded.federation.spec.app.path
    pyproject = where / "pyproject.toml"
    manifest = None
    if pyproject.is_file():
        try:
            manifest = parse_app(pyproject.read_text(encoding="utf-8"), str(pyproject))
        except UnicodeDecodeError:
            raise UsageError("is not UTF-8", where=str(pyproject)) from None
    elif app is not None:
        raise UsageError("there is no pyproject.toml, so this is no Flower App", where=str(where))
    return Opened(loaded, where, manifest)
