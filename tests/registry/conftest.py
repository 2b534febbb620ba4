"""A registry for the tests of one file, and what asks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster import registry as real
from flowerbed.registry import patience
from flowerbed.registry.client import Registries


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, registry_here: None) -> Iterator[str]:
    """The address of a real one; each test takes repositories of its own."""
    folder = tmp_path_factory.mktemp("registry")
    with real.serving(folder / "images", folder) as address:
        yield address


@pytest.fixture
def nobody() -> Iterator[Registries]:
    """Asks registries without a login."""
    with closing(Registries({})) as made:
        yield made


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again as often as ever, and wait for nothing."""
    monkeypatch.setattr(patience, "PAUSES", (0.0,) * len(patience.PAUSES))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of 40 MiB that no two pieces of are alike: three chunks, the last a part of one."""
    import random

    file = tmp_path / "large"
    file.write_bytes(random.Random(1).randbytes(40 * 2**20))  # noqa: S311 - bytes, not secrets
    return file
