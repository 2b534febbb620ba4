"""Which run a user means by what they type."""

from __future__ import annotations

import pytest

from flowerbed.errors import UnknownRunError
from flowerbed.runs.names import resolve_run
from flowerbed.runs.records import Phase, RunRecord

RECORDS = [
    RunRecord(number, flower_id, "me/app==1.0", Phase.FINISHED)
    for number, flower_id in [
        (2, "1202056169064622273"),
        (1, "6995480338457019898"),
        (3, "1202056999999999999"),
        (4, None),
        (123456, "123456"),
    ]
]


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("3", 3),
        ("#3", 3),
        (" 3 ", 3),
        ("003", 3),
        ("4", 4),
        ("latest", 123456),
        ("last", 123456),
        ("Latest", 123456),
        ("6995480338457019898", 1),
        ("699548", 1),
        ("12020561", 2),
        ("#123456", 123456),
    ],
)
def test_names(typed: str, number: int) -> None:
    assert resolve_run(typed, RECORDS).number == number


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("9", "there is no run '9'"),
        ("0", "there is no run '0'"),
        ("69954", "there is no run '69954'"),  # five digits may be a number, and are no beginning of an id
        ("120205", "'120205' is the beginning of 2 runs' ids"),
        ("777777", "there is no run whose id begins with '777777'"),
        ("#699548", "there is no run '#699548'"),
        ("mine", "'mine' names no run"),
        ("", "'' names no run"),
        ("-1", "'-1' names no run"),
        ("²", "'²' names no run"),
    ],
)
def test_what_names_no_run(typed: str, message: str) -> None:
    with pytest.raises(UnknownRunError) as raised:
        resolve_run(typed, RECORDS)
    assert raised.value.message == message
    assert raised.value.exit_code == 2


def test_the_hint_shows_the_runs_that_are_near() -> None:
    records = [RunRecord(number, f"{number}00000000", "app", Phase.FINISHED) for number in range(1, 41)]
    with pytest.raises(UnknownRunError) as raised:
        resolve_run("42", records)
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("Known runs: 36 (3600000000), 37 (3700000000), 38")
    assert "and 35 more" in raised.value.hint
    with pytest.raises(UnknownRunError) as raised:
        resolve_run("120205", RECORDS)
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("Known runs: 2 (1202056169064622273), 3 (1202056999999999999). ")


def test_no_run_yet() -> None:
    with pytest.raises(UnknownRunError, match="nothing was run here yet"):
        resolve_run("latest", [])
