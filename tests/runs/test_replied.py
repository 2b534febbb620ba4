"""What the SuperLink counted, in words and names."""

from __future__ import annotations

import pytest

from flowerbed.runs import replied
from flowerbed.runs.events import ReplyError
from flowerbed.runs.records import Phase, Replies, RunRecord


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("<class 'ValueError'>:<'no data'>", "ValueError: no data"),
        ("<class 'KeyError'>:<'\"it's gone\"'>", 'KeyError: "it\'s gone"'),
        ("<class 'acme.errors.Away'>:<'partition 3 is away'>", "acme.errors.Away: partition 3 is away"),
        ("<class 'ValueError'>:<'the first line\nthe second'>", "ValueError: the first line"),
        ("<class 'ValueError'>:<''>", "ValueError"),
        ("An exception was raised when attempting to load `ClientApp`",) * 2,
        ("Node Unavailable — the destination node failed to report its heartbeat",) * 2,
        ("", ""),
    ],
)
def test_an_error_reads_as_python_prints_an_exception(said: str, plain: str) -> None:
    assert replied.plain(said) == plain


def test_names_come_in_their_order_and_unknown_ids_last() -> None:
    rows = [Replies(node, "train") for node in ("5", "30", "4", "2", "3")]
    names = {"2": "site-10", "3": "site-9", "4": "lab"}
    named = replied.named(rows, names) or ()
    assert [one.name or one.node for one in named] == ["lab", "site-9", "site-10", "30", "5"]
    assert replied.named(None, names) is None


def test_the_first_error_says_whose_it_is_and_many_names_are_few() -> None:
    rows = [Replies(str(n), "train", 1, 0, 1, f"<class 'OSError'>:<'{n}'>", f"site-{n}") for n in range(7)]
    told = [ReplyError(0.0, "7", "<class 'OSError'>:<'no'>")]
    assert replied.first_error([Replies("9", "train", 1, 1), *rows], told, {}) == "site-0: OSError: 0"
    assert replied.first_error(None, told, {"7": "lab"}) == "lab: OSError: no"
    assert replied.failing(rows) == "site-0, site-1, site-2, site-3, site-4 and 2 more"
    assert replied.first_error(None, (), {}) == replied.first_error((), (), {}) == replied.failing(None) == ""


def test_what_error_replies_said_begins_with_the_first_that_was_counted() -> None:
    rows = (Replies("1", "train", 1, 0, 1, "<class 'OSError'>:<'no'>"), Replies("2", "train", 1, 1))
    record = RunRecord(1, "7", "an app", Phase.RUNNING, replies=rows, client_error="lab: ValueError: a: b")
    assert replied.said_first(record) == ["ValueError: a: b", "OSError: no"]
    assert replied.said_first(RunRecord(1, "7", "an app", Phase.RUNNING)) == [""]


def test_a_table_has_a_row_for_each_supernode_and_kind_and_of_many_only_what_is_amiss() -> None:
    rows = [Replies("1", "train", 3, 2, 1, "<class 'OSError'>:<'no'>", "lab"), Replies("2", "query", 1, 1)]
    header, *body = replied.rows(rows)
    assert header == ["supernode", "kind", "asked", "results", "failures", "first error"]
    assert body == [["lab", "train", "3", "2", "1", "OSError: no"], ["SuperNode 2", "query", "1", "1", "0", "-"]]
    many = [*rows, *(Replies(str(n), "train", 2, 2, name=f"site-{n}") for n in range(replied.ROWS))]
    assert replied.rows(many)[1:] == [body[0], ["all 22", "-", "44", "43", "1", "-"]]
