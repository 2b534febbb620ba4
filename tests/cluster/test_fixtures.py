"""Where no cluster can run, tests are skipped with the reason, or fail with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.fixtures import REQUIRED

_TESTS = Path(__file__).parents[1]


def outcome(folder: Path, **environment: str) -> str:
    """Run a test that needs a cluster on a machine whose cache lies where a cluster cannot use it."""
    (folder / "test_it.py").write_text("def test_it(cluster): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "cluster.fixtures", "-p", "no:cacheprovider", "-rs", "--no-header"]
    kept = {name: value for name, value in os.environ.items() if name != REQUIRED}
    settings = {"PYTHONPATH": str(_TESTS), "FLOWERBED_CACHE_DIR": "/run/flowerbed-test", "COLUMNS": "300"}
    everything = kept | settings | environment
    done = subprocess.run(
        [*command, str(folder)], cwd=folder, env=everything, capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the reason is another one")
def test_a_skip_says_why_and_is_a_failure_where_a_cluster_is_required(tmp_path: Path) -> None:
    skipped, failed = outcome(tmp_path), outcome(tmp_path, **{REQUIRED: "1"})
    assert "1 skipped" in skipped
    assert "1 error" in failed
    for said in (skipped, failed):
        assert "a cluster " in said  # "... needs root", "... needs programs that are not here", "... hides /run"
    assert f"{REQUIRED}=1, and a cluster " in failed
