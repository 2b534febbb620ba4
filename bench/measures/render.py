"""`flowerbed render`: how long the manifests of 1,000 SuperNodes take."""

from __future__ import annotations

from collections.abc import Iterator

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import FLOWERBED

SUPERNODES = 1000
TARGET_SECONDS = 2.0
TIMES = 5

FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {{name: bench}}
spec:
  layout: {layout}
  app: {{image: example/app}}
  supernodes: [{pools}]
"""


def measure(task: Task) -> Iterator[Figure]:
    """Render both layouts: four pools of 250, and 1,000 SuperNodes with all their Deployments."""
    for layout, pools in (("Colocated", 4), ("Quickstart", 1)):
        path = task.place.root / f"{layout.lower()}.yaml"
        listed = ", ".join(f"{{name: pool{number}, replicas: {SUPERNODES // pools}}}" for number in range(pools))
        path.write_text(FILE.format(layout=layout, pools=listed), encoding="utf-8")
        command = [FLOWERBED, "render", "--file", str(path)]
        done = [timed(command, cwd=task.place.root) for _ in range(task.times(TIMES) + 1)][1:]
        text = done[0].output
        yield Figure(
            f"render {SUPERNODES:,} SuperNodes, {layout}",
            "s",
            Series.of(one.seconds for one in done),
            target=f"under {TARGET_SECONDS:g} s",
            limit=TARGET_SECONDS,
            note=f"{text.count(chr(10) + 'apiVersion: ') + 1:,} objects, {len(text) / 1e6:.1f} MB",
        )
