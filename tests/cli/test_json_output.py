"""The comparison with samples of ``--json`` notices what would break a program that reads it."""

from __future__ import annotations

from typing import Any

import pytest

from json_output import Said

SAMPLE = Said("runs", 0, [{"type": "run", "number": 1, "rounds": [{"kind": "train", "seconds": 1.5}], "outcome": None}])


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ({"type": "run", "number": 2, "rounds": [{"kind": "fit", "seconds": 0.1}], "outcome": "completed"}, ""),
        ({"type": "run", "number": 2, "note": "", "rounds": [{"kind": "", "seconds": 0.1}], "outcome": None}, ""),
        ({"type": "run", "number": 2, "rounds": [{"kind": "fit", "seconds": 0.1}]}, "lacks ['outcome']"),
        ({"type": "run", "number": "2", "rounds": [{"kind": "fit", "seconds": 0.1}], "outcome": None}, "number: '2'"),
        ({"type": "run", "number": 2, "rounds": [{"kind": "fit", "seconds": 1}], "outcome": None}, "seconds: 1"),
        ({"type": "run", "number": 2, "rounds": [], "outcome": None}, "rounds: is empty"),
        ({"type": "run", "rounds": [{"kind": "fit", "seconds": 0.1}], "number": 2, "outcome": None}, "the order is"),
        ({"type": "other"}, "lines of ['other']"),
    ],
)
def test_added_keys_are_fine_and_nothing_else_is(line: dict[str, Any], wrong: str) -> None:
    found = SAMPLE.against(Said("runs", 0, [line]))
    assert (len(found), wrong in "".join(found)) == (bool(wrong), True)


def test_an_exit_status_stays() -> None:
    assert SAMPLE.against(Said("runs", 1, SAMPLE.lines)) == ["runs: status 1, was 0"]
