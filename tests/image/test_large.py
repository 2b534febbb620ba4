"""What a large dependency costs in memory: as good as nothing, however large it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from image.beds import PYPROJECT, Place
from image.index import large_wheel
from image.made import FOREIGN
from image.own_memory import measured, megabytes

pytestmark = [pytest.mark.usefixtures("registry_here"), pytest.mark.timeout(300)]

MEGABYTES = 150


def _megabytes(app: Path, *more: str) -> float:
    """Build an app and push it; return the most memory that the command itself had."""
    command = measured("build", str(app), "--platform", f"linux/{FOREIGN}", "--push", *more)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return megabytes(done.stderr)


def test_memory_does_not_grow_with_a_dependency(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.base()
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    large_wheel(wheels, "large_thing", "1.0", MEGABYTES * 10**6)
    without = _megabytes(place.app)
    text = PYPROJECT.replace('"iterators"', '"iterators", "large-thing"')
    (place.app / "pyproject.toml").write_text(text)
    with_it = _megabytes(place.app, "--output", str(tmp_path / "image.tar"))
    assert (tmp_path / "image.tar").stat().st_size > MEGABYTES * 10**6  # it does not compress
    assert with_it < without + MEGABYTES / 3
