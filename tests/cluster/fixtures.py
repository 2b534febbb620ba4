"""What a test asks for to have a Kubernetes: `cluster` and `namespace`; `cluster_here` to start clusters of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest

from cluster import Cluster, build
from cluster.images import flower_images
from cluster.packages import find, missing
from cluster.wanted import wants_cluster

REQUIRED = "FLOWERBED_REQUIRE_CLUSTER"
"""Set to 1, it makes a failure of every test that would be skipped for want of a cluster."""

RELEASES = ("1.22.0", "1.42.0")
"""The Flower releases whose images the session's cluster offers."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Build what a test needs before it begins, around its time limit: that has no room for a compiler."""
    if wants_cluster(item) and not item.session.stash.get(_BUILT, False) and not missing():
        item.session.stash[_BUILT] = True
        try:
            _build(item.config)
        except build.BuildFailed as error:
            _tell(item.config, str(error))  # the test tries again, and fails with it
    return (yield)


_BUILT = pytest.StashKey[bool]()


def _build(config: pytest.Config) -> None:
    build.ensure(partial(_tell, config))
    for release in RELEASES:
        flower_images(release, partial(_tell, config))


def _tell(config: pytest.Config, line: str) -> None:
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        print(f"\n{line}", file=sys.stderr, flush=True)  # a worker has no terminal, but this one


@pytest.fixture(scope="session")
def cluster_here() -> None:
    """Skip a test, with the reason, where no cluster can run; fail it where one is required."""
    _skip_for(missing())


@pytest.fixture(scope="session")
def registry_here() -> None:
    """Do the same for tests that want a registry alone (`cluster.registry.serving`)."""
    _skip_for(None if find("docker-registry") else "a registry needs docker-registry, a package of Debian's")


def _skip_for(problem: str | None) -> None:
    if problem and os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, and {problem}")
    if problem:
        pytest.skip(problem)


@pytest.fixture(scope="session")
def cluster(cluster_here: None) -> Iterator[Cluster]:
    """Give the session's cluster of one node, which starts when the first test asks for it."""
    with Cluster(images=[flower_images(release) for release in RELEASES]) as one:
        yield one


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Make a namespace of the test's own that refuses what Pod Security `restricted` refuses."""
    with new_namespace(cluster, request.node.name) as name:
        yield name


@contextmanager
def new_namespace(cluster: Cluster, title: str) -> Iterator[str]:
    """Make such a namespace, named after what it is for."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    name = f"{words[:40].strip('-')}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("create", "-f", "-", input=json.dumps(manifest))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")
