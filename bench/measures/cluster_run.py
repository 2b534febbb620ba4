"""`cluster-run`: a run of three rounds on a test cluster, ours and with the seed's bundle in turn.

The seed's bundle (``layout: Quickstart``) starts Flower's programs as they are, so it is the stock baseline here. The
image holds the app's libraries, and the folder is submitted, as a user does who works on an app.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import FLOWERBED, last, say

TIMES = 5
IMAGE = "registry.example/digits:bench"
FLOWER_SECONDS = 8.0
TYPING_TO_PROMPT_SECONDS = 15.0
LAYOUTS = ("Colocated", "Quickstart")

FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {{name: bench, namespace: {namespace}}}
spec:
  flower: "{minor}"
  layout: {layout}
  app: {{image: "{image}"}}
  supernodes: [{{name: site, replicas: 2}}]
"""


def measure(task: Task) -> Iterator[Figure]:
    """Run on both in turn; each has been up, and has run once, before the first that counts."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from cluster import Cluster
    from cluster.images import app_image, flower_images

    release = str(task.place.row.release)
    images = [flower_images(release, say), app_image(release, ["scikit-learn"], IMAGE, progress=say)]
    flower: dict[str, list[float]] = defaultdict(list)
    whole: dict[str, list[float]] = defaultdict(list)
    before: list[float] = []
    verdicts: list[str] = []
    with Cluster(images=images, progress=say) as cluster:
        env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        apps = {layout: _app(task, layout) for layout in LAYOUTS}
        for app in apps.values():
            timed([FLOWERBED, "up", "--on", "kubernetes", "--json"], cwd=app, env=env)
        for number in range(task.times(TIMES) + 1):
            for layout, app in apps.items():
                done = timed([FLOWERBED, "run", "--on", "kubernetes", "--json"], cwd=app, env=env)
                record = last(done, "run")
                say(f"{layout}, run {number}: {done.seconds:.1f} s, of which Flower {_flower(record):.1f} s")
                if not number:
                    continue
                whole[layout].append(done.seconds)
                flower[layout].append(_flower(record))
                if layout == "Colocated":
                    verdicts.append(str(record["verdict"]))
                    before.append(record["submitted_at"] - done.began)
        for app in apps.values():
            timed([FLOWERBED, "down", "--on", "kubernetes", "--json"], cwd=app, env=env)
    yield Figure(
        "cluster: run, from the SuperLink's acceptance to the verdict",
        "s",
        Series.of(flower["Colocated"]),
        Series.of(flower["Quickstart"]),
        "the seed's bundle",
        comparison="ratio",
        target=f"ours at most {FLOWER_SECONDS:g} s",
        limit=FLOWER_SECONDS,
        note=f"Flower {release}, 3 rounds, 2 SuperNodes; verdicts: {', '.join(verdicts)}",
    )
    yield Figure(
        "cluster: run, from typing to prompt",
        "s",
        Series.of(whole["Colocated"]),
        Series.of(whole["Quickstart"]),
        "the seed's bundle",
        comparison="ratio",
        target=f"ours at most {TYPING_TO_PROMPT_SECONDS:g} s",
        limit=TYPING_TO_PROMPT_SECONDS,
    )
    yield Figure(
        "cluster: run, from typing to the SuperLink's acceptance",
        "s",
        Series.of(before),
        note="the command's start, and the Job that submits the app",
    )


def _app(task: Task, layout: str) -> Path:
    namespace = f"bench-{layout.lower()}"
    app = task.place.app(namespace)
    minor = task.place.row.minor
    text = FILE.format(namespace=namespace, minor=minor, layout=layout, image=IMAGE)
    (app / "federation.yaml").write_text(text, encoding="utf-8")
    return app


def _flower(record: dict[str, Any]) -> float:
    return float(record["finished_at"]) - float(record["submitted_at"])
