"""A SuperLink that was away is named in the reason of a run that went wrong meanwhile."""

from __future__ import annotations

import pytest

from flowerbed.runs.absence import Absence
from flowerbed.runs.verdict import Observation, judge


def test_the_longest_absence_counts_from_the_last_answer() -> None:
    absence = Absence()
    for now, answered in [(0, True), (5, True), (20, False), (70, False), (75, True), (80, False), (90, True)]:
        absence.asked(float(now), answered=answered)
    assert absence.longest == 65.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, ""),
        (4.0, ""),
        (15.0, " The SuperLink was away for about 15 s meanwhile."),
        (
            65.0,
            (
                " The SuperLink was away for about 65 s meanwhile;"
                " it gives up a run whose ServerApp it has not heard for 60 s."
            ),
        ),
    ],
)
def test_a_failure_names_it(seconds: float, said: str) -> None:
    heartbeat = "No heartbeat received from the run."
    reason = judge(Observation("failed", heartbeat, superlink_away=seconds)).reason
    assert reason == f"The ServerApp failed: {heartbeat}{said}"
    stopped = judge(Observation("stopped", stop_asked=True, superlink_away=seconds)).reason
    assert "away" not in stopped
