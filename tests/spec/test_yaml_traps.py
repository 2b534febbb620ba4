"""YAML's traps: each is either read as it looks, or refused with the way out.

Where a caret is in a text, there the problem is; it is taken out before reading.
"""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

from textwrap import dedent

import pytest

from flowerbed.errors import SpecError
from flowerbed.spec.document import read_document
from flowerbed.spec.load import parse


def problem(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ('"true"', "true"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1.42.0", "1.42.0"),
        ("0", 0),
        ("-12", -12),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.40", 1.4),
        ("'1.40'", "1.40"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'null'", "null"),
        ("=", "="),
        ("a # a comment", "a"),
        ("a#b", "a#b"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, read: object) -> None:
    data = read_document(f"key: {written}\n", "f.yaml").data
    assert data == {"key": read}
    assert isinstance(data, dict)
    assert type(data["key"]) is type(read)


def test_json_is_yaml_with_its_escapes_for_rare_characters() -> None:
    assert read_document('{"\\ud83c\\udf3c": "\\ud83c\\udf3c"}', "f.yaml").data == {"🌼": "🌼"}
    assert "1:5: has an escape for half of a character" in problem('{a: "\\ud83c"}')


def test_norway_is_a_key_too() -> None:
    assert read_document("NO: 1\non: 2\n1: 3\n", "f.yaml").data == {"NO": 1, "on": 2, "1": 3}


HEAD = (
    "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\nspec:\n  supernodes: [{name: a}]\n"
)


@pytest.mark.parametrize(
    ("trap", "answer"),
    [
        ("  flower: ^1.40\n", 'spec.flower: wanted text, found the number 1.4 (from 1.40) (put it in quotes: flower: "1.40")'),
        ("  flower: ^1.42\n", 'spec.flower: wanted text, found the number 1.42 (put it in quotes: flower: "1.42")'),
        ("  python: ^3.10\n", 'spec.python: wanted text, found the number 3.1 (from 3.10) (put it in quotes: python: "3.10")'),
        ("  serverapp: {env: {PORT: ^8080}}\n", 'spec.serverapp.env.PORT: wanted text, found the number 8080 (put it in quotes: PORT: "8080")'),
        ("  serverapp: {env: {A: ^true}}\n", 'spec.serverapp.env.A: wanted text, found true (put it in quotes: A: "true")'),
        ("  serverapp: {env: {MODE: ^0644}}\n", "spec.serverapp.env.MODE: 0644 is octal to some readers of YAML and decimal to others (put it in quotes, or leave out the leading zeros)"),
        ("  python: \"3.11\"\n  flower: \"1.40\"\n  ^python: \"3.12\"\n", "spec.python is already on line 6 (keep one of the two)"),
        ("^\tflower: x\n", "a tab; YAML is indented with spaces only (replace it by spaces)"),
        ("  app:\n  ^\tpath: x\n", "a tab; YAML is indented with spaces only (replace it by spaces)"),
        ("  app: {^<<: {path: x}}\n", "<< (a merge key) is not part of YAML 1.2 (write the keys out)"),
        ("  app: {^[a]: x}\n", "a key must be a word, not a list or a mapping"),
        ("  flower: ^!!str 1.40\n", '!!str is a tag, and none are used here (put text in quotes instead)'),
        ("  app: {path: ^!!python/object/apply:os.system [true]}\n", "!!python/object/apply:os.system is a tag, and none are used here (put text in quotes instead)"),
        ("^---\nkind: x\n", "starts a second document; one file holds one federation (move it to a file of its own)"),
        ("  app: a^: b\n", 'cannot be read as YAML: mapping values are not allowed here (a text with ": " in it needs quotes; otherwise look at the indentation)'),
        ("   ^app: x\n", "cannot be read as YAML: expected <block end>, but found '<block mapping start>'; while parsing a block mapping (this does not line up with what is above it)"),
        ("  app: {path: ^*nowhere}\n", "cannot be read as YAML: found undefined alias 'nowhere'"),
        ("  app: {path: a^\x07}\n", "holds the character U+0007, which YAML does not allow"),
    ],
)  # fmt: skip
def test_a_trap_is_refused_with_the_way_out(trap: str, answer: str) -> None:
    before, _, after = (HEAD + trap).partition("^")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    assert f"f.yaml:{line}:{column}: {answer}" in problem(before + after).splitlines()


SMALLEST = (
    "(the smallest is {apiVersion: flowerbed.dev/v1alpha1, kind: Federation, "
    "metadata: {name: demo}, spec: {supernodes: [{name: supernode}]}})"
)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing but a comment\n", "---\n...\n", "null\n", "\ufeff"])
def test_an_empty_file(text: str) -> None:
    assert problem(text) == f"f.yaml:1:1: is empty {SMALLEST}"


def test_what_an_empty_file_is_told_to_write_can_be_read() -> None:
    parse(SMALLEST.removeprefix("(the smallest is ").removesuffix(")"), "f.yaml")


@pytest.mark.parametrize(("text", "what"), [("- a\n", "a list"), ("hello\n", '"hello"'), ("7\n", "the number 7")])
def test_not_a_mapping(text: str, what: str) -> None:
    assert problem(text) == f"f.yaml:1:1: wanted a mapping that starts with apiVersion, found {what} {SMALLEST}"


def test_anchors_are_fine() -> None:
    text = dedent("""\
        apiVersion: flowerbed.dev/v1alpha1
        kind: Federation
        metadata: {name: demo}
        spec:
          supernodes:
            - {name: a, env: &common {DATA: /data}}
            - {name: b, env: *common}
    """)
    assert parse(text, "f.yaml").federation.spec.supernodes[1].env == {"DATA": "/data"}


def test_aliases_that_would_explode_do_not() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300))
    for text in (bomb, chain, "a: &a [*a]\n", "a: &a {b: *a}\n"):
        assert problem(text) == (
            "f.yaml:1:1: its aliases stand for themselves, or for more than 100,000 values or 40 levels "
            "(write the values out)"
        )


def test_depth_and_length_have_bounds() -> None:
    assert problem("[" * 100_000) == "f.yaml:1:41: is nested more than 40 levels deep"
    assert problem("a" * 300_000) == "f.yaml:1:1: is longer than 256 KiB"
    assert "a number of 5000 digits (put it in quotes" in problem(f"a: {'9' * 5000}\n")
