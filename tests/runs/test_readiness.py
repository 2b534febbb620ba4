"""From what was seen of a federation to its state and the reason for it."""

from __future__ import annotations

import pytest

from flowerbed.runs.readiness import Readiness

LOOP = "superlink ends again and again: …"


@pytest.mark.parametrize(
    ("nodes", "superexecs", "loop", "ever_ready", "state", "reason"),
    [
        (2, 3, "", False, "ready", ""),
        (2, 3, "", True, "ready", ""),
        (1, 3, "", False, "starting", "1 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
        (2, 2, "", False, "starting", "2 of 2 SuperNodes online, 2 of 3 SuperExecs connected"),
        (1, 2, "", True, "degraded", "1 of 2 SuperNodes online, 2 of 3 SuperExecs connected"),
        (0, 0, LOOP, False, "failed", LOOP),
        (0, 0, LOOP, True, "failed", LOOP),
        (2, 3, LOOP, True, "ready", ""),  # a unit that is just starting again after its last end
    ],
)
def test_ready_is_what_was_seen(
    nodes: int, superexecs: int, loop: str, ever_ready: bool, state: str, reason: str
) -> None:
    seen = Readiness(nodes, 2, superexecs, 3, loop, ever_ready)
    assert (seen.state, seen.reason) == (state, reason)
