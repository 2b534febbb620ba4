"""What is said before a federation is changed."""

from __future__ import annotations

from flowerbed.runs.changes import Act, Change, refusal, sentences


def test_units_are_named_by_reason() -> None:
    changes = [
        Change("superlink", Act.RESTART, "another environment"),
        *(Change(f"site-{number}", Act.RESTART, "another environment") for number in range(6)),
        Change("site-6", Act.STOP, "the federation no longer has it"),
    ]
    assert sentences(changes) == [
        "superlink, site-0, site-1, site-2 and 3 more restart: another environment",
        "site-6 stops: the federation no longer has it",
    ]
    assert changes[0].past == "restarted superlink (another environment)"


def test_a_refusal_says_where_the_run_can_be_stopped() -> None:
    error = refusal([Change("superlink", Act.RESTART, "another image", ends_runs=True)], 3, on="--on kubernetes")
    assert error is not None
    assert "`flowerbed stop 3 --on kubernetes`" in str(error)
    assert refusal([Change("site-0", Act.RESTART, "another image")], 3) is None
