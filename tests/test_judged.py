"""A failed comparison of a verdict says why the run was judged so."""

from __future__ import annotations

import json

import pytest

from judged import lines_of

LOST = {
    "type": "run",
    "number": 3,
    "verdict": "failed",
    "reason": "The ServerApp was lost.",
    "detail": "Traceback\nE: x",
}


def test_the_reason_and_the_detail_are_shown() -> None:
    [run] = lines_of(json.dumps(LOST))
    assert run == LOST
    with pytest.raises(AssertionError, match=r"(?s)run 3 is failed: The ServerApp was lost\..*Traceback.*E: x"):
        assert run["verdict"] == "succeeded"
    with pytest.raises(AssertionError, match="The ServerApp was lost"):
        assert (1, run["verdict"]) == (0, "succeeded")
    with pytest.raises(AssertionError, match="The ServerApp was lost"):
        assert [one["verdict"] for one in [run]] == ["succeeded"]


def test_what_is_no_run_and_a_run_without_a_verdict_stay_as_they_are() -> None:
    assert lines_of('{"type": "run", "verdict": null}\n{"type": "status"}') == [
        {"type": "run", "verdict": None},
        {"type": "status"},
    ]
