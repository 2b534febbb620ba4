from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.runs import literals


@given(st.dictionaries(st.text(min_size=1), st.floats() | st.integers(), max_size=6))
def test_what_repr_prints_is_read_back(metrics: dict[str, float]) -> None:
    read = literals.numbers(literals.read(repr(metrics)))
    assert read.keys() == metrics.keys()
    for name, value in metrics.items():
        number = literals.number_of(literals.read(repr(value)))
        assert number is not None
        assert math.isnan(number) if value != value else number == pytest.approx(value)
        assert repr(read[name]) == repr(number)


@pytest.mark.parametrize("text", ["", "{", "{'a': 1", "import os", "a b", "{1: }", "(" * 5000, "\0"])
def test_what_is_no_value_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a printed value"):
        literals.read(text)


def test_nothing_is_run() -> None:
    assert literals.read("__import__('os').system('false')") == "false"
    assert literals.read("{'a': open}") == {"a": None}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        literals.numbers(literals.read(text))
