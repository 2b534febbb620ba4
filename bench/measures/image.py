"""Baking: what a changed line of code costs, with `flowerbed build --push` and by the seed's way, in the same run.

The seed's way is its recipe as buildah carries it out: the base, a copy of the app, pip for the app's dependencies
(without Flower's own line, as its recipe has it), a commit and a push. Both start from the same base.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import FLOWERBED, last, say
from flowerbed import templates

RELEASE = "1.42.0"
TIMES = 3
LARGEST_PUSH = 100_000
LONGEST_SECONDS = 3.0
TESTS = Path(__file__).parents[2] / "tests"


def measure(task: Task) -> Iterator[Figure]:
    """Change a line, bake and push, in turn; both have done so once before."""
    sys.path.insert(0, str(TESTS))
    from cluster.images import flower_images
    from cluster.packages import SEARCH_PATH
    from cluster.registry import add_images, serving

    os.environ["PATH"] = SEARCH_PATH
    root = task.place.root / "image"
    app, work, seeds = root / "app", root / "work", root / "seeds"
    for folder in (work, seeds):
        folder.mkdir(parents=True)
    templates.write("sklearn", app, "bench", None)
    base = flower_images(RELEASE, say)
    add_images(base, root / "registry")
    add_images(base, seeds / "images")
    seconds: dict[str, list[float]] = {"ours": [], "seed": []}
    pushed: dict[str, list[float]] = {"ours": [], "seed": []}
    first: dict[str, float] = {}
    with serving(root / "registry", work) as registry:
        for number in range(task.times(TIMES) + 1):
            _change(app, number)
            ours, ours_pushed = _ours(app, registry, task.place.root / "cache")
            seed, seed_pushed = _seed(app, seeds)
            if number == 0:
                first = {"ours": ours, "seed": seed}
                continue
            for name, took, bytes_pushed in (("ours", ours, ours_pushed), ("seed", seed, seed_pushed)):
                seconds[name].append(took)
                pushed[name].append(bytes_pushed / 1e6)
            say(f"change {number}: ours {ours:.2f} s, {ours_pushed} bytes; seed {seed:.2f} s, {seed_pushed} bytes")
    yield Figure(
        "image: a changed line, baked and pushed",
        "s",
        Series.of(seconds["ours"]),
        Series.of(seconds["seed"]),
        "the seed's recipe",
        comparison="ratio",
        target=f"less than {LONGEST_SECONDS:g} s",
        limit=LONGEST_SECONDS,
        note=f"Flower {RELEASE}, scikit-learn; ours is tried in the image, too;"
        f" the first time {first['ours']:.1f} s and {first['seed']:.1f} s",
    )
    yield Figure(
        "image: what a changed line pushes",
        "MB",
        Series.of(pushed["ours"]),
        Series.of(pushed["seed"]),
        "the seed's recipe",
        comparison="ratio",
        target=f"less than {LARGEST_PUSH / 1e6:g} MB",
        limit=LARGEST_PUSH / 1e6,
        note="layers and configurations that the registry did not have",
    )


def _change(app: Path, number: int) -> None:
    file = app / "bench" / "client_app.py"
    file.write_text(file.read_text(encoding="utf-8") + f"# {number}\n", encoding="utf-8")


def baking(registry: str) -> list[str]:
    """Return the words that bake the app of a folder on a registry's base, and push it there."""
    words = ["--flower", RELEASE.rpartition(".")[0], "--base", f"{registry}/flwr/superexec:{RELEASE}"]
    return ["build", ".", "--push", *words, "--tag", f"{registry}/bench/app:1", "--json"]


def _ours(app: Path, registry: str, cache: Path) -> tuple[float, int]:
    command = [FLOWERBED, *baking(registry)]
    done = timed(command, cwd=app, env={**os.environ, "FLOWERBED_CACHE_DIR": str(cache)})
    return done.seconds, int(last(done, "built")["pushed_bytes"])


def _seed(app: Path, folder: Path) -> tuple[float, int]:
    """Run the recipe of the tests' images, which is the seed's; its registry starts and ends with it."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    before = _size(folder / "images")
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    recipe = [sys.executable, "-m", "cluster.recipes", "app", str(folder), RELEASE, "registry.example/bench:1"]
    arguments = [json.dumps(["scikit-learn>=1.3"]), str(app), "/workspace/app"]
    began = time.monotonic()
    subprocess.run(
        [*namespaces, *recipe, *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    return time.monotonic() - began, _size(folder / "images") - before


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("data") if file.is_file())
