"""A place to bake in, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.registry import serving
from image.beds import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving(tmp_path / "images", tmp_path) as address:
        yield Place(tmp_path, address)
