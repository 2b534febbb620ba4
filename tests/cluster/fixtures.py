"""What a test asks for to have a Kubernetes: `cluster` and `namespace`; `cluster_here` to start clusters of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator

import pytest

from cluster import Cluster, build
from cluster.images import flower_images
from cluster.packages import missing

REQUIRED = "FLOWERBED_REQUIRE_CLUSTER"
"""Set to 1, it makes a failure of every test that would be skipped for want of a cluster."""

RELEASES = ("1.22.0", "1.41.0")
"""The Flower releases whose images the session's cluster offers."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the collected tests need before the first of them: no test's time limit has room for a compiler."""
    wanted = any("cluster_here" in getattr(item, "fixturenames", ()) for item in session.items)
    if not wanted or session.config.option.collectonly or missing():
        return
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    tell = terminal.write_line if terminal else print
    try:
        build.ensure(tell)
        for release in RELEASES:
            flower_images(release, tell)
    except build.BuildFailed as error:
        tell(str(error))  # tests that need no cluster go on; those that do try again, and fail with it


@pytest.fixture(scope="session")
def cluster_here() -> None:
    """Skip a test, with the reason, where no cluster can run; fail it where one is required."""
    if problem := missing():
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, and {problem}")
        pytest.skip(problem)


@pytest.fixture(scope="session")
def cluster(cluster_here: None) -> Iterator[Cluster]:
    """Give the session's cluster of one node, which starts when the first test asks for it."""
    with Cluster(images=[flower_images(release) for release in RELEASES]) as one:
        yield one


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a namespace of the test's own that refuses what Pod Security `restricted` refuses."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    name = f"{words[:40].strip('-')}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("create", "-f", "-", input=json.dumps(manifest))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
