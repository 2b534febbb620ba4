"""Which tests want a cluster, and who of pytest-xdist's workers has them: most of them one, as it has one cluster.

That worker would be the last to end. So tests that only want the same programs and images, or start clusters of their
own, are for the others, and come late: by then all of it is built. A part of the rest comes last of all, for whichever
worker is free then, with a cluster of that worker's.

Workers find the tests, and another process shares them out, which knows nothing of them but their names: so it is the
name of a file that says it. (pytest-xdist's own groups come to nothing with pytest 9.2, without a word.)
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

_APART = {
    ("cluster", "test_build"),
    ("cluster", "test_leftovers"),
    ("image", "test_engine_on_cluster"),
    ("image", "test_trying_on_cluster"),
}
"""The files whose tests leave a worker's cluster alone."""

_LATE = {
    ("kubernetes", "test_sites_on_cluster"),
    ("kubernetes", "test_foreign_trust_on_cluster"),
    ("kubernetes", "test_reasons_on_cluster"),
}
"""The files whose tests come last."""

_LONG = ("federation", "releases", "templates")
"""The folders whose tests wait for real federations: they come early, so that no worker is left alone with them."""


class Turn(IntEnum):
    """When a file's tests have their turn."""

    CLUSTER = 0
    LONG = 1
    OTHER = 2
    APART = 3
    LATE_CLUSTER = 4


class ClusterFirst(LoadScopeScheduling):  # type: ignore[misc]
    """Gives tests that share a cluster to one worker, and every other test to whoever is free, in their turns."""

    def _split_scope(self, nodeid: str) -> str:
        turn = turn_of(nodeid.partition("::")[0])
        return turn.name if turn in (Turn.CLUSTER, Turn.LATE_CLUSTER) else nodeid


def says_cluster(file: str) -> bool:
    """Tell whether a file's name says that its tests want a cluster.

    Examples
    --------
    >>> says_cluster("tests/kubernetes/test_faults_on_cluster.py"), says_cluster("tests/cluster/test_leftovers.py")
    (True, True)
    >>> says_cluster("tests/kubernetes/test_render.py")
    False
    """
    path = PurePath(file)
    return path.stem.endswith("_on_cluster") or path.parent.name == "cluster"


def turn_of(file: str) -> Turn:
    """Return when a file's tests have their turn.

    Examples
    --------
    >>> [turn_of(f"tests/{file}.py").name for file in ("cluster/test_harness", "kubernetes/test_runs_on_cluster")]
    ['CLUSTER', 'CLUSTER']
    >>> turn_of("tests/cluster/test_leftovers.py").name, turn_of("tests/kubernetes/test_sites_on_cluster.py").name
    ('APART', 'LATE_CLUSTER')
    >>> turn_of("tests/federation/test_up.py").name, turn_of("tests/spec/test_load.py").name
    ('LONG', 'OTHER')
    """
    path = PurePath(file)
    name = path.parent.name, path.stem
    if not says_cluster(file):
        return Turn.LONG if set(path.parts) & set(_LONG) else Turn.OTHER
    return Turn.APART if name in _APART else Turn.LATE_CLUSTER if name in _LATE else Turn.CLUSTER


def wants_cluster(item: pytest.Item) -> bool:
    """Tell whether a test wants a cluster, the session's or one of its own (see `cluster.fixtures`)."""
    return "cluster_here" in getattr(item, "fixturenames", ())
