"""Which tests want a cluster, and who of pytest-xdist's workers has them: one, as the session's cluster is one.

Workers find the tests, and another process shares them out, which knows nothing of them but their names: so it is the
name of a file that says it. (pytest-xdist's own groups come to nothing with pytest 9.2, without a word.)
"""

from __future__ import annotations

from pathlib import PurePath

import pytest
from xdist.scheduler import LoadScopeScheduling


class ClusterFirst(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests that want a cluster to one worker, and every other test to whoever is free.

    Since the largest share is given out first, the one that has the cluster begins with it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "cluster" if says_cluster(nodeid.partition("::")[0]) else nodeid


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


def wants_cluster(item: pytest.Item) -> bool:
    """Tell whether a test wants a cluster, the session's or one of its own (see `cluster.fixtures`)."""
    return "cluster_here" in getattr(item, "fixturenames", ())
