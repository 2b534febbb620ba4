"""How large the tool's own installation is, without extras and without uv's own binary."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.memory import MEGABYTE

TARGET_MB = 60.0
LARGEST = 6
REPOSITORY = Path(__file__).parents[2]
UV = str(Path(sys.executable).parent / "uv")
UV_BINARIES = ("bin/uv", "bin/uvx", "bin/uvw")


def measure(task: Task) -> Iterator[Figure]:
    """Install the tool with what it needs, in the locked versions, into an empty folder, and weigh it."""
    target = task.place.root / "installation"
    timed(
        [
            *(UV, "pip", "install", "--quiet", "--python", sys.executable, "--no-build-isolation"),
            *("--compile-bytecode", "--link-mode", "copy", "--target", str(target)),
            *("--constraint", str(REPOSITORY / "requirements" / "runtime.txt"), str(REPOSITORY)),
        ],
        cwd=task.place.root,
    )
    parts: Counter[str] = Counter()
    binaries = bytecode = 0
    for folder, _, names in os.walk(target):
        for name in names:
            path = Path(folder, name)
            relative, size = path.relative_to(target), path.lstat().st_size
            if str(relative) in UV_BINARIES:
                binaries += size
                continue
            parts[_part(relative)] += size
            bytecode += size if path.suffix == ".pyc" else 0
    shutil.rmtree(target)
    whole = sum(parts.values())
    largest = ", ".join(f"{name} {size / MEGABYTE:.1f}" for name, size in parts.most_common(LARGEST))
    yield Figure(
        "installation without uv's binary",
        "MB",
        Series((whole / MEGABYTE,)),
        target=f"under {TARGET_MB:g} MB",
        limit=TARGET_MB,
        note=f"of it bytecode {bytecode / MEGABYTE:.1f}; largest: {largest}; beside it uv's binaries"
        f" {binaries / MEGABYTE:.1f}",
        extra={"parts": {name: size / MEGABYTE for name, size in parts.most_common()}},
    )


def _part(path: Path) -> str:
    """Return the package that a file belongs to, roughly: its top folder."""
    return path.parts[0] if len(path.parts) > 1 else "single modules"
