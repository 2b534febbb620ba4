"""A dependency of three gigabytes: what a build and a push of it take of the tool's own memory, and of time.

The baseline is the same build without that dependency. The programs that the command starts (uv) are not counted; the
registry and the index are on this machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.measures.image import RELEASE, TESTS, baking
from bench.workplace import last, say
from flowerbed import templates

GIGABYTES = 3
LARGEST_MB = 300.0


def measure(task: Task) -> Iterator[Figure]:
    """Build and push once without, once with it; both from empty caches but for the base."""
    sys.path.insert(0, str(TESTS))
    from cluster.images import flower_images
    from cluster.packages import SEARCH_PATH
    from cluster.registry import add_images, serving
    from image.index import large_wheel

    os.environ["PATH"] = SEARCH_PATH
    root = task.place.root / "large"
    app, work, wheels = root / "app", root / "work", root / "wheels"
    for folder in (work, wheels):
        folder.mkdir(parents=True)
    templates.write("sklearn", app, "bench", None)
    add_images(flower_images(RELEASE, say), root / "registry")
    say(f"writing a wheel of {GIGABYTES} GB")
    large_wheel(wheels, "large_thing", "1.0", GIGABYTES * 10**9)
    env = {
        **os.environ,
        "FLOWERBED_CACHE_DIR": str(root / "cache"),
        "UV_FIND_LINKS": str(wheels),
        "UV_CACHE_DIR": str(root / "uv"),
    }
    with serving(root / "registry", work) as registry:
        without, first, _ = _build(app, registry, env)
        project = app / "pyproject.toml"
        text = project.read_text(encoding="utf-8")
        project.write_text(text.replace("dependencies = [", 'dependencies = ["large-thing", ', 1), encoding="utf-8")
        with_it, seconds, pushed = _build(app, registry, env)
    if pushed < GIGABYTES * 10**9:
        raise RuntimeError(f"only {pushed} bytes were pushed")
    yield Figure(
        "image: memory of a build with a dependency of 3 GB",
        "MB",
        Series((with_it,)),
        Series((without,)),
        "without that dependency",
        comparison="difference",
        target=f"under {LARGEST_MB:g} MB",
        limit=LARGEST_MB,
        note=f"the command's own at most (VmHWM); {seconds:.0f} s with it, {first:.0f} s without, push included",
    )


def _build(app: Path, registry: str, env: dict[str, str]) -> tuple[float, float, int]:
    """Build and push; return the command's most memory in MB, its seconds, and the bytes that it pushed."""
    from image.own_memory import measured, megabytes

    done = timed(measured(*baking(registry)), cwd=app, env=env)
    return megabytes(done.output), done.seconds, int(last(done, "built")["pushed_bytes"])
