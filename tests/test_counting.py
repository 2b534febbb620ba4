"""Numbers with their nouns."""

from __future__ import annotations

from flowerbed.counting import counted, part_of


def test_one_is_singular() -> None:
    assert [counted(number, "SuperNode") for number in (0, 1, 2)] == ["0 SuperNodes", "1 SuperNode", "2 SuperNodes"]
    assert [counted(number, "Pod is", "Pods are") for number in (1, 2)] == ["1 Pod is", "2 Pods are"]
    assert [part_of(0, 1, "SuperNode"), part_of(1, 2, "SuperNode")] == ["0 of 1 SuperNode", "1 of 2 SuperNodes"]
