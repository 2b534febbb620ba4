"""``python -m cluster up`` and ``down``, as ``make cluster`` and ``make cluster-down`` call them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from cluster import Cluster
from cluster.packages import cluster_cache
from flowerbed.registry.client import Registries

_TESTS = Path(__file__).parents[1]


def test_up_and_down_twice(cluster: Cluster, tmp_path: Path) -> None:
    # A cache of its own, which has what is built, so that a developer's cluster of this machine stays what it is.
    (tmp_path / "cluster").mkdir()
    for folder in cluster_cache().glob("*-*"):
        (tmp_path / "cluster" / folder.name).symlink_to(folder)
    environment = {**os.environ, "FLOWERBED_CACHE_DIR": str(tmp_path)}

    def say(verb: str) -> str:
        command = [sys.executable, "-m", "cluster", verb]
        done = subprocess.run(command, cwd=_TESTS, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "no cluster is up" in say("down")
    try:
        said = say("up")
        exports = re.findall(r"^export .*", said, re.MULTILINE)
        ask = "\n".join([*exports, "kubectl get nodes -o name"])
        nodes = subprocess.run(["sh", "-c", ask], env=environment, capture_output=True, text=True, check=True).stdout
        assert nodes == "node/node-0\n"
        (door,) = re.findall(r"^its registry, .*: (127\.0\.0\.1:\d+)$", said, re.MULTILINE)
        with closing(Registries()) as registries:
            assert registries.digest(f"{door}/flwr/superexec:1.42.0").startswith("sha256:")
        assert exports[0] in say("up")  # still the same one
    finally:
        say("down")
    assert "no cluster is up" in say("down")
    assert list((tmp_path / "cluster" / "running").iterdir()) == []
