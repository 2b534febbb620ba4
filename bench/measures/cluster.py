"""A cluster: from apply to observed ready, ours against the bundle of the seed, on one warm test cluster.

Ready is the same for both and seen from outside: the SuperLink's own log says that it has given every SuperNode a
node id. That every Deployment is Available, which is all that the seed's reader can look at, comes long before. Nobody
starts a kubectl for each look: that would take more of two cores than what is looked at.

In the same turns the seed's SuperLink is applied alone, until its log says that it listens: before that, no arrangement
of the other programs can be ready, so this is the least that any federation of that release takes on that machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import FLOWERBED, say

if TYPE_CHECKING:
    from cluster import Cluster
    from cluster.api import Api

RELEASE = "1.22.0"
IMAGE = "ghcr.io/thunderblok/flower-superexec:0.0.1"
SUPERNODES = 2
TARGET = 0.9
TIMES = 3
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.1
LISTENS = "Starting Fleet API"
"""What a SuperLink of that release writes when it has its port (flwr/server/app.py, `_run_fleet_api_grpc_rere`)."""

FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {{name: flower, namespace: {namespace}}}
spec:
  flower: "1.22"
  layout: {layout}
  app: {{image: "{image}"}}
  supernodes: [{{name: supernode, replicas: {count}}}]
  security: {{tls: {{mode: Disabled}}, nodeAuth: false}}
"""
"""Both without TLS, which the seed's bundle has not."""


def measure(task: Task) -> Iterator[Figure]:
    """Apply both in turn, each into a namespace of its own, on a node that has pulled the images before."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from cluster import Cluster
    from cluster.images import app_image, flower_images

    images = [flower_images(RELEASE, say), app_image(RELEASE, ["scikit-learn"], IMAGE, progress=say)]
    seconds: dict[str, list[float]] = {"Colocated": [], "Quickstart": []}
    available: list[float] = []
    alone: list[float] = []
    with Cluster(images=images, progress=say) as cluster:
        for number in range(task.times(TIMES) + 1):
            for layout in seconds:
                one, all_available = _apply(task, cluster, layout, number)
                if number:  # the first time pulls the images
                    seconds[layout].append(one)
                    if layout == "Quickstart":
                        available.append(all_available)
                say(f"{layout}, time {number}: observed ready after {one:.1f} s, Available after {all_available:.1f} s")
            listening = _apply_superlink(task, cluster, number)
            say(f"the seed's SuperLink alone, time {number}: listens after {listening:.1f} s")
            if number:
                alone.append(listening)
    yield Figure(
        "cluster: apply to observed ready",
        "s",
        Series.of(seconds["Colocated"]),
        Series.of(seconds["Quickstart"]),
        "the seed's bundle",
        comparison="ratio",
        target=f"at most {TARGET:g} × the seed's",
        limit=TARGET,
        judged="comparison",
        note=f"Flower {RELEASE}; the seed's Deployments were Available after {_span(available)} s",
    )
    yield Figure(
        "cluster: apply to a SuperLink alone that listens",
        "s",
        Series.of(alone),
        Series.of(seconds["Quickstart"]),
        "the seed's bundle",
        comparison="ratio",
        note="the least that any arrangement takes here",
    )


def _apply(task: Task, cluster: Cluster, layout: str, number: int) -> tuple[float, float]:
    """Apply once; return the seconds until every SuperNode has its node id, and until every workload is Available."""
    namespace = f"{layout.lower()}-{number}"
    manifests = _manifests(task, namespace, layout)
    began = time.monotonic()
    cluster.kubectl("apply", "--filename", "-", input=manifests)
    ready = all_available = 0.0
    while not (ready and all_available):
        now = time.monotonic() - began
        if not all_available and _available(cluster.api, namespace):
            all_available = now
        if not ready and _node_ids(cluster.api, namespace) >= SUPERNODES:
            ready = now
        if now > PATIENCE_SECONDS:
            raise TimeoutError(f"{layout} was not ready after {PATIENCE_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    cluster.kubectl("delete", "namespace", namespace, "--wait=true")
    return ready, all_available


def _apply_superlink(task: Task, cluster: Cluster, number: int) -> float:
    """Apply the seed's SuperLink and nothing else; return the seconds until it listens for SuperNodes."""
    namespace = f"alone-{number}"
    documents = _manifests(task, namespace, "Quickstart").split("\n---\n")
    wanted = [one for one in documents if "kind: Namespace\n" in one or "  name: flower-superlink\n" in one]
    began = time.monotonic()
    cluster.kubectl("apply", "--filename", "-", input="\n---\n".join(wanted))
    while LISTENS not in _log(cluster.api, namespace):
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"the SuperLink did not listen after {PATIENCE_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    listening = time.monotonic() - began
    cluster.kubectl("delete", "namespace", namespace, "--wait=true")
    return listening


def _manifests(task: Task, namespace: str, layout: str) -> str:
    file = task.place.root / f"{namespace}.yaml"
    text = FILE.format(namespace=namespace, layout=layout, image=IMAGE, count=SUPERNODES)
    file.write_text(text, encoding="utf-8")
    return timed([FLOWERBED, "render", "--file", str(file)], cwd=task.place.root).output


def _node_ids(api: Api, namespace: str) -> int:
    return _log(api, namespace).count("Created node_id=")


def _log(api: Api, namespace: str) -> str:
    """Return what the SuperLink wrote; nothing if it does not run yet."""
    pods = api.get(f"/api/v1/namespaces/{namespace}/pods") or {}
    names = [pod["metadata"]["name"] for pod in pods.get("items", [])]
    return "".join(api.log(namespace, name) for name in names if name.startswith("flower-superlink"))


def _available(api: Api, namespace: str) -> bool:
    lists = [api.get(f"/apis/apps/v1/namespaces/{namespace}/{kind}") or {} for kind in ("deployments", "statefulsets")]
    workloads = [item for found in lists for item in found.get("items", [])]
    return bool(workloads) and all(
        item["spec"]["replicas"] == item["status"].get("availableReplicas") for item in workloads
    )


def _span(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}"
