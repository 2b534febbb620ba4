"""CI installs on a bare machine what the tests then need."""

from __future__ import annotations

from pathlib import Path

from cluster.packages import DEBIAN_PACKAGES

SCRIPT = (Path(__file__).parents[1] / ".ci" / "run").read_text(encoding="utf-8")


def test_ci_installs_every_package_that_a_test_cluster_needs() -> None:
    assert [package for package in DEBIAN_PACKAGES if package not in SCRIPT.split()] == []


def test_ci_calls_a_skipped_cluster_a_failure() -> None:
    assert "export FLOWERBED_REQUIRE_CLUSTER=1\n" in SCRIPT.partition("make test ")[0]
