"""Which releases a test of many releases runs on, and in which order tests run."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer

from cluster.wanted import ClusterFirst, says_cluster, turn_of, wants_cluster
from environments import EVERYDAY
from flowerbed.flower.releases import RELEASES, Row

pytest_plugins = ["cluster.fixtures", "cut_off", "judged", "saying"]

HERE = Path(__file__).parent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `row` on every release; `pytest_collection_modifyitems` picks some of them."""
    if "row" in metafunc.fixturenames:
        rows = [pytest.param(row, id=str(row.minor), marks=pytest.mark.matrix) for row in RELEASES]
        metafunc.parametrize("row", rows, scope="module")  # so that what is asked of a release can be kept


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all but the everyday releases, unless markers were asked for by hand; bring the rest in order."""
    if not config.option.markexpr:
        left_out = [item for item in items if not _everyday(item)]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if _everyday(item)]
    for item in items:
        if wants_cluster(item) and not says_cluster(str(item.path)):
            raise pytest.UsageError(f"{item.nodeid} wants a cluster: let the name of its file end with _on_cluster.py")
    items.sort(key=lambda item: turn_of(item.path.relative_to(HERE).as_posix()))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ClusterFirst | None:
    """Share out the tests among workers, unless another way was asked for (``--dist``)."""
    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False  # else the largest share comes first, and not the one whose turn it is
    return ClusterFirst(config, log)


def _everyday(item: pytest.Item) -> bool:
    if item.get_closest_marker("matrix") is None:
        return True
    row = _row_of(item)
    return row is not None and str(row.minor) in EVERYDAY


def _row_of(item: pytest.Item) -> Row | None:
    callspec = getattr(item, "callspec", None)
    row = callspec.params.get("row") if callspec else None
    return row if isinstance(row, Row) else None
