"""Which tests want a cluster, and who of pytest-xdist's workers has them: one, as the session's cluster is one.

That worker is the last to end, so tests that only want the same programs and images, or start clusters of their own,
are for the others, and come late: by then all of it is built.

Workers find the tests, and another process shares them out, which knows nothing of them but their names: so it is the
name of a file that says it. (pytest-xdist's own groups come to nothing with pytest 9.2, without a word.)
"""

from __future__ import annotations

from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling

_APART = {
    ("cluster", "test_build"),
    ("cluster", "test_leftovers"),
    ("image", "test_engine_on_cluster"),
    ("image", "test_trying_on_cluster"),
}
"""The files whose tests leave the session's cluster alone."""


class ClusterFirst(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests that share the session's cluster to one worker, and every other test to whoever is free.

    Since the largest share is given out first, the one that has the cluster begins with it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "cluster" if shares_cluster(nodeid.partition("::")[0]) else nodeid


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


def shares_cluster(file: str) -> bool:
    """Tell whether its tests are for the worker that has the session's cluster.

    Examples
    --------
    >>> shares_cluster("tests/cluster/test_harness.py"), shares_cluster("tests/cluster/test_leftovers.py")
    (True, False)
    """
    path = PurePath(file)
    return says_cluster(file) and (path.parent.name, path.stem) not in _APART


def wants_cluster(item: pytest.Item) -> bool:
    """Tell whether a test wants a cluster, the session's or one of its own (see `cluster.fixtures`)."""
    return "cluster_here" in getattr(item, "fixturenames", ())
