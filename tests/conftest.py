"""Which releases a test of many releases runs on."""

from __future__ import annotations

import pytest

from environments import EVERYDAY
from flowerbed.flower.releases import RELEASES, Row

pytest_plugins = ["cluster.fixtures"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `row` on every release; `pytest_collection_modifyitems` picks some of them."""
    if "row" in metafunc.fixturenames:
        rows = [pytest.param(row, id=str(row.minor), marks=pytest.mark.matrix) for row in RELEASES]
        metafunc.parametrize("row", rows, scope="module")  # so that what is asked of a release can be kept


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out all but the everyday releases, unless markers were asked for by hand (``-m matrix``)."""
    if config.option.markexpr:
        return
    left_out = [item for item in items if not _everyday(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _everyday(item)]


def _everyday(item: pytest.Item) -> bool:
    if item.get_closest_marker("matrix") is None:
        return True
    row = _row_of(item)
    return row is not None and str(row.minor) in EVERYDAY


def _row_of(item: pytest.Item) -> Row | None:
    callspec = getattr(item, "callspec", None)
    row = callspec.params.get("row") if callspec else None
    return row if isinstance(row, Row) else None
