"""A bed for each test: an app in a folder of its own, and nothing of it left afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.beds import APPS, Bed
from flowerbed import processes


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Callable[[str], Bed]]:
    """Copy one of the tests' apps into a folder and give the command line in it; all is down afterwards."""
    made: list[Bed] = []

    def make(app: str) -> Bed:
        one = Bed(tmp_path / app)
        shutil.copytree(APPS / app, one.folder)
        made.append(one)
        return one

    yield make
    for one in made:
        one.clear()
        left = one.processes()
        processes.kill_all(one.processes)
        assert left == [], "these processes outlived `flowerbed down`"


@pytest.fixture
def federation_file() -> Callable[..., str]:
    """Write a federation file for a bed; return its text."""

    def write(
        bed: Bed, *, replicas: int = 2, flower: str | None = None, more: str = "", env: dict[str, object] | None = None
    ) -> str:
        variables = {name: str(value) for name, value in (env or {}).items()}
        text = "\n".join(
            [
                "apiVersion: flowerbed.dev/v1alpha1",
                "kind: Federation",
                "metadata: {name: test}",
                "spec:",
                *([f'  flower: "{flower}"'] if flower else []),
                f"  supernodes: [{{name: site, replicas: {replicas}, env: {json.dumps(variables)}}}]",
                *([more] if more else []),
                "",
            ]
        )
        (bed.folder / "federation.yaml").write_text(text, encoding="utf-8")
        return text

    return write
