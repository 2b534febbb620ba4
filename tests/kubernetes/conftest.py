"""A bed in a cluster for each test: an app, a federation file, and the command line with ``--on kubernetes``."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import Cluster
from federation.beds import APPS
from flowerbed import templates
from flowerbed.kubernetes.cluster import Cluster as Connection
from kubernetes.beds import DIGITS, Baking, ClusterBed, Connect, Make

TEMPLATES = {"digits": "sklearn", "torch-app": "pytorch"}
"""Which template an app's name stands for; others are tests' own apps."""


@pytest.fixture(scope="session")
def baking(cluster: Cluster) -> Iterator[Baking]:
    """Give a way to bake apps for the cluster."""
    with cluster.door() as address:
        yield Baking(address)


@pytest.fixture(scope="session")
def digits_image(baking: Baking, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Have the cluster offer the bundled app's image for a release."""
    offered: set[str] = set()

    def offer(release: str) -> None:
        if release not in offered:
            app = tmp_path_factory.mktemp("digits") / "digits"
            templates.write("sklearn", app, "digits", None)
            assert baking.bake(app, f"{DIGITS}:{release}", release)["tried"]
            offered.add(release)

    return offer


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connect with a kubeconfig, as the commands do."""
    opened: list[Connection] = []
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def make(kubeconfig: Path) -> Connection:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        opened.append(Connection.connect())
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def admin(cluster: Cluster, connect: Connect) -> Connection:
    """Connect as who may do everything."""
    return connect(cluster.kubeconfig)


@pytest.fixture
def cluster_bed(tmp_path: Path, cluster: Cluster, namespace: str) -> Iterator[Make]:
    """Make beds in a namespace with Pod Security `restricted`, or with ``bare=True`` in one that `up` makes."""
    made: list[ClusterBed] = []

    def make(app: str, *, bare: bool = False) -> ClusterBed:
        where = f"bare-{secrets.token_hex(3)}" if bare else namespace
        on = ("--on", "kubernetes")
        bed = ClusterBed(tmp_path / app, cluster.environment(), on, cluster=cluster, namespace=where)
        if app in TEMPLATES:
            templates.write(TEMPLATES[app], bed.folder, app, None)
        else:
            shutil.copytree(APPS / app, bed.folder)
        made.append(bed)
        return bed

    yield make
    for bed in made:
        bed.clear()
