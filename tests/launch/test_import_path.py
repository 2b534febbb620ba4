"""What a program that a launcher starts finds when it imports: nothing of ours by a name that an app could use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowerbed_inside import bundles

PROGRAM = """\
import importlib.util, json, sys
def main():
    import flowerbed_inside.proc  # what is imported of ours later on is still found
    print(json.dumps([sys.path, [name for name in sys.argv[1:] if importlib.util.find_spec(name)]]))
"""


@pytest.fixture
def distribution(tmp_path: Path) -> Path:
    """Give a folder for the import path with a program of the name of one of Flower's."""
    folder = tmp_path / "installed"
    info = folder / "stand_in-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[console_scripts]\nflwr-serverapp = stand_in:main\n")
    (folder / "stand_in.py").write_text(PROGRAM)
    return folder


def test_nothing_of_ours_is_on_an_apps_import_path_or_hides_its_modules(distribution: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    for name, path in bundles.bundle(bundles.LAUNCH, "proc").items():
        (mounted / name).parent.mkdir(parents=True, exist_ok=True)
        (mounted / name).write_text(path.read_text())
    launcher = mounted / "bin" / "flwr-serverapp"
    launcher.parent.mkdir()
    launcher.write_text(bundles.LAUNCHER.read_text())
    ours = {path.stem for path in bundles.PACKAGE.rglob("*.py")} | {
        path.parent.name for path in bundles.PACKAGE.rglob("*.py")
    }
    usual = ours - set(sys.stdlib_module_names) - {"__init__", "__main__", bundles.NAME}
    done = subprocess.run(
        [sys.executable, "-S", launcher, *sorted(usual)],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(distribution),
            "FLOWERBED_LEVERS": "none",
        },  # there is no Flower here
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    import_path, found = json.loads(done.stdout)
    assert [entry for entry in import_path if entry.startswith(str(mounted))] == [str(launcher.parent)]
    assert found == []
