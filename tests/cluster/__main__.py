"""``python -m cluster up`` and ``down``: one cluster in the background, for developers.

``build`` makes what clusters are made of.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, ClusterFailed, build
from cluster.build import BuildFailed
from cluster.images import flower_images
from cluster.packages import cluster_cache, missing
from flowerbed.environments.cache import locked, try_lock, write_durably

RELEASES = ("1.22.0", "1.42.0")
"""The Flower releases whose images the cluster offers."""


def main() -> int:
    """Do what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "serve"):
        words = verbs.add_parser(
            verb, help="start the cluster" if verb == "up" else "stay with the cluster (used by up)"
        )
        words.add_argument("--nodes", type=int, default=1, help="how many nodes")
    verbs.add_parser("down", help="end the cluster")
    verbs.add_parser("build", help="build all that clusters are made of, before one is wanted")
    asked = parser.parse_args()
    if asked.verb == "build":
        return _build()
    if asked.verb == "down":
        return _down()
    return _up(asked.nodes) if asked.verb == "up" else _serve(asked.nodes)


def _build() -> int:
    if problem := missing():
        print(problem, file=sys.stderr)
        return 1
    try:
        build.ensure(print)
        for release in RELEASES:
            flower_images(release, print)
    except BuildFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _up(nodes: int) -> int:
    if _running():
        print("a cluster is up already; `python -m cluster down` ends it\n")
        print(_state().read_text(encoding="utf-8"))
        return 0
    command = [sys.executable, "-m", "cluster", "serve", "--nodes", str(nodes)]
    log = cluster_cache() / "developer.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Its stdout is for us, its stderr for whoever looks later; when the cluster is up it stays alone.
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
        if process.poll() is None and _state().exists():
            return 0
    except KeyboardInterrupt:
        process.terminate()
    process.wait()
    print(log.read_text(errors="replace"), file=sys.stderr, end="")
    return 1


def _serve(nodes: int) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if problem := missing():
        print(problem, file=sys.stderr)
        return 1

    def tell(line: str) -> None:
        print(line, flush=True)

    try:
        with locked(_lock(), waiting=lambda: tell("waiting for another cluster of yours")):
            write_durably(_pid(), str(os.getpid()))
            images = [flower_images(release, tell) for release in RELEASES]
            with Cluster(nodes, images=images, progress=tell) as cluster, cluster.door() as door:
                try:
                    _write_state(cluster, door)
                    tell("\n" + _state().read_text(encoding="utf-8"))
                    _let_go_of_stdout()
                    while True:
                        signal.pause()
                finally:
                    _state().unlink(missing_ok=True)
    except KeyboardInterrupt:
        return 0
    except (ClusterFailed, BuildFailed) as error:
        print(error, file=sys.stderr)
        return 1


def _down() -> int:
    if not _running():
        print("no cluster is up")
        return 0
    with _lock().open("rb") as file:
        holder = int(_pid().read_text())
        os.kill(holder, signal.SIGTERM)
        while not try_lock(file.fileno()):
            time.sleep(0.05)
    print("the cluster is down")
    return 0


def _write_state(cluster: Cluster, door: str) -> None:
    lines = [
        f"export KUBECONFIG={cluster.kubeconfig}",
        f'export PATH="{cluster.kubectl_program.parent}:$PATH"   # kubectl',
        "",
        f"its registry, for images from this host (http): {door}",
        f"an app for it: flowerbed build --push --base {door}/flwr/superexec:{RELEASES[-1]} --tag {door}/my-app",
        f"the logs of its parts: {cluster.folder / 'logs'}",
        "its end: make cluster-down",
    ]
    write_durably(_state(), "\n".join(lines) + "\n")


def _let_go_of_stdout() -> None:
    """Whoever started us reads until our stdout closes."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)


def _running() -> bool:
    """Tell whether some process of this user stays with a cluster."""
    _lock().parent.mkdir(parents=True, exist_ok=True)
    with _lock().open("ab") as file:
        return not try_lock(file.fileno())


def _lock() -> Path:
    return cluster_cache() / "developer.lock"


def _pid() -> Path:
    return cluster_cache() / "developer.pid"


def _state() -> Path:
    return cluster_cache() / "developer.txt"


if __name__ == "__main__":
    sys.exit(main())
