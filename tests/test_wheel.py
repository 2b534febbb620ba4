"""The wheel has both packages, whole, and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]


def test_the_wheel_has_every_file_of_both_packages(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    packed = zipfile.ZipFile(wheel).namelist()
    here = [path.relative_to(ROOT / "src") for name in ("flowerbed", "flowerbed_inside") for path in modules(name)]
    assert {str(path) for path in here} <= set(packed)
    assert {name.partition("/")[0] for name in packed if ".dist-info/" not in name} == {"flowerbed", "flowerbed_inside"}


def modules(package: str) -> list[Path]:
    """Return the modules of a package, and what marks it as typed."""
    found = (ROOT / "src" / package).rglob("*")
    return [path for path in found if path.suffix == ".py" or path.name == "py.typed"]
