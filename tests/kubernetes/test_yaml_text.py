"""What is written is read as the same data, by readers of YAML 1.1 and of YAML 1.2."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowerbed.kubernetes.yaml_text import dump, dump_all
from flowerbed.spec.document import read_document

TRAPS = [
    *("on", "On", "ON", "off", "yes", "y", "Y", "NO", "no", "n", "true", "True", "FALSE", "null", "NULL", "~", ""),
    *("1", "0", "-1", "+1", "1.0", "1.22", ".5", "5.", "1e3", "1E3", "1.5e+3", "0o644", "0644", "0x1F", "0b101"),
    *("1_000", "12:30:45", "190:20:30", "2026-11-24", "2026-11-24T12:00:00Z", ".inf", "-.INF", ".nan", "NaN", "inf"),
    *("=", "<<", "-", "--", "---", "...", "?", ":", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a", "!!int 1", "%a"),
    *("@a", "`a", "'a'", '"a"', "[a]", "{a: b}", "a, b", "| a", "> a", "a\\b", "$(A)", "{{ .Values }}"),
    *(
        " a",
        "a ",
        "\ta",
        "a\t",
        "a\tb",
        "a\n",
        "\na",
        "a\nb",
        "a\n\nb\n",
        "a\n\n",
        " a\nb",
        "a\n b\n",
        "a \nb",
        "a\n\tb\n",
    ),
    *("a\r\nb", "\r", "\0", "\x07", "\x1b[0m", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "é", "→", "😀"),
    *(
        "a\u2028b\nc",
        "a\x85b\nc",
        "# a\nb\n",
        "- a\n- b\n",
        "---\na\n",
        "...\n",
        "a\n---\nb",
        "\n",
        "\n\n",
        "   ",
        "a\n  ",
    ),
]


def read_back(data: Any) -> list[Any]:
    text = dump({"value": data, "list": [data, [data]], "map": {"inner": data}})
    found = [yaml.safe_load(text)]
    document = read_document(text, "text")
    assert document.problems == []
    return [*found, document.data]


@pytest.mark.parametrize("text", TRAPS, ids=repr)
def test_a_text_stays_that_text(text: str) -> None:
    for found in read_back(text):
        assert found == {"value": text, "list": [text, [text]], "map": {"inner": text}}
    assert yaml.safe_load(dump({text: 1})) == {text: 1}
    assert read_document(dump({text: 1}), "text").data == {text: 1}


def test_what_it_looks_like() -> None:
    data = {
        "kind": "Deployment",
        "image": "ghcr.io/example/app:1.0",
        "args": ["--insecure", "-u", "partition-id=0 num-partitions=2", "0.0.0.0:9094", "9990"],
        "labels": {"app.kubernetes.io/name": "flower", "on": "NO"},
        "cpu": "250m",
        "replicas": 2,
        "ports": [{"name": "api", "port": 8000, "tags": []}, {"name": "fleet"}],
        "matrix": [[1, 2], [True, None, 0.5]],
        "empty": {},
        "text": "first\n  second\n\nlast\n",
        "open": ["one\ntwo"],
    }
    assert (
        dump(data)
        == """\
kind: Deployment
image: ghcr.io/example/app:1.0
args:
- --insecure
- -u
- "partition-id=0 num-partitions=2"
- "0.0.0.0:9094"
- "9990"
labels:
  app.kubernetes.io/name: flower
  "on": "NO"
cpu: 250m
replicas: 2
ports:
- name: api
  port: 8000
  tags: []
- name: fleet
matrix:
- - 1
  - 2
- - true
  - null
  - 0.5
empty: {}
text: |
  first
    second

  last
open:
- |-
  one
  two
"""
    )
    assert yaml.safe_load(dump(data)) == data


def test_several_documents_are_one_stream() -> None:
    assert dump_all([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"


WORDS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="01289_.:-+eExXoOabyYnNfF~ \n\t#'\"|>{}[]%$", max_size=12),
    st.sampled_from(TRAPS),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**30), max_value=10**30),
    st.floats(allow_nan=False),
    WORDS.filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400)
@given(st.dictionaries(WORDS, DATA, min_size=1, max_size=5))
def test_any_data_comes_back(data: dict[str, Any]) -> None:
    text = dump(data)
    assert yaml.safe_load(text) == data
    document = read_document(text, "text")
    assert (document.problems, document.data) == ([], data)


def test_numbers_that_are_none() -> None:
    assert dump({"a": math.inf, "b": -math.inf, "c": math.nan}) == "a: .inf\nb: -.inf\nc: .nan\n"
