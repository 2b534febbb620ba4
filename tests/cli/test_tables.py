"""Tables, as wide as they are in a pipe, and made to fit a terminal."""

from __future__ import annotations

import pytest

from flowerbed.cli.tables import lines
from flowerbed.runs.history import HEADINGS, LEAST_NEEDED, LONG

ROW = [
    *("12", "someone/quickstart==1.0.0", "succeeded", "3/3"),
    "train/loss=0.41 evaluate/accuracy=0.9312 evaluate/loss=0.3051 server/mse=12.25 (+3)",
    *("2026-11-30 12:33:12", "41.2", "17834087394820734987"),
]


def test_in_a_pipe_a_table_is_as_wide_as_it_is() -> None:
    assert lines(["A", "B"], [["long cell", "x"], ["y", ""]]) == ["A          B", "long cell  x", "y"]
    assert len(lines(HEADINGS, [ROW], long=LONG, least_needed=LEAST_NEEDED)) == 2


def test_at_80_columns_the_list_of_runs_fits() -> None:
    assert lines(HEADINGS, [ROW, ROW], width=80, long=LONG, least_needed=LEAST_NEEDED) == [
        "RUN  APP                        VERDICT    ROUNDS  LAST METRICS",
        "12   someone/quickstart==1.0.0  succeeded  3/3     train/loss=0.41",
        "                                                   evaluate/accuracy=0.9312",
        "                                                   evaluate/loss=0.3051",
        "                                                   server/mse=12.25 (+3)",
        "12   someone/quickstart==1.0.0  succeeded  3/3     train/loss=0.41",
        "                                                   evaluate/accuracy=0.9312",
        "                                                   evaluate/loss=0.3051",
        "                                                   server/mse=12.25 (+3)",
        "Left out, for want of width: SUBMITTED (UTC), SECONDS, FLOWER'S ID.",
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 160, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    shown = lines(HEADINGS, [ROW], width=width, long=LONG, least_needed=LEAST_NEEDED)
    assert max(map(len, shown)) <= width
    assert ("FLOWER'S ID" in shown[0]) == (width >= 160)


def test_a_table_that_fits_is_left_as_it_is() -> None:
    assert lines(HEADINGS, [ROW], width=200, long=LONG, least_needed=LEAST_NEEDED) == lines(HEADINGS, [ROW])
