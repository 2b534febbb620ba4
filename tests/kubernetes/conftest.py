"""A bed in a cluster for each test: an app, a federation file, and the command line with ``--on kubernetes``."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import Cluster
from cluster.images import app_image
from federation.beds import APPS
from flowerbed import templates
from kubernetes.beds import DIGITS, ClusterBed, Make


@pytest.fixture(scope="session")
def digits_image(cluster: Cluster) -> Callable[[str], None]:
    """Have the cluster offer the digits app's image for a release."""
    offered: set[str] = set()

    def offer(release: str) -> None:
        if release not in offered:
            cluster.offer(app_image(release, ["scikit-learn"], f"{DIGITS}:{release}"))
            offered.add(release)

    return offer


@pytest.fixture
def cluster_bed(tmp_path: Path, cluster: Cluster, namespace: str) -> Iterator[Make]:
    """Make beds in a namespace with Pod Security `restricted`, or with ``bare=True`` in one that `up` makes."""
    made: list[ClusterBed] = []

    def make(app: str, *, bare: bool = False) -> ClusterBed:
        where = f"bare-{secrets.token_hex(3)}" if bare else namespace
        on = ("--on", "kubernetes")
        bed = ClusterBed(tmp_path / app, cluster.environment(), on, cluster=cluster, namespace=where)
        if app == "digits":
            templates.write("sklearn", bed.folder, "digits", None)
        else:
            shutil.copytree(APPS / app, bed.folder)
        made.append(bed)
        return bed

    yield make
    for bed in made:
        bed.clear()
