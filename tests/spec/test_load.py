"""A federation file is read whole: every fault in it at once, each with its line and column.

In the tables the place that a problem points to is marked with a caret, which is taken out before reading.
"""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flowerbed.errors import Problem, SpecError, UsageError
from flowerbed.spec.defaults import default_federation
from flowerbed.spec.load import load, parse
from flowerbed.spec.model import Execution, Federation, Layout

SMALL = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: demo}
spec:
  supernodes: [{name: hospital}]
"""

FULL = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata:
  name: thunderline-demo
  namespace: research
  labels: {example.org/team: imaging}
spec:
  flower: "1.42"
  python: "3.11"
  layout: Quickstart
  app: {path: app, image: "ghcr.io/example/app:1"}
  supernodes:
    - name: hospital
      replicas: 2
      nodeConfig: {dataset: chest, epochs: 3, rate: 0.5, shuffle: true, country: NO}
      env: {DATA_FOLDER: /data}
    - name: clinic
  superlink: {ports: {fleet: 9092, control: 9093}}
  serverapp: {env: {TOKEN: abc}}
  run:
    config: {num-server-rounds: 5, model.depth: 2}
    timeout: 1h30m
"""


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse(dedent(text), "federation.yaml")
    return str(caught.value).splitlines()


def place_of_caret(text: str) -> tuple[str, int, int]:
    """Return the text without its caret, and the line and column where that was."""
    before, _, after = text.partition("^")
    return before + after, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def test_all_that_is_not_said_has_a_default() -> None:
    spec = parse(SMALL, "federation.yaml").federation.spec
    assert (spec.flower, spec.python, spec.layout, spec.app.path) == (None, None, Layout.COLOCATED, ".")
    assert spec.execution_of(spec.serverapp) is spec.execution_of(spec.supernodes[0]) is Execution.WARM
    assert (spec.supernode_count, spec.run.timeout_seconds) == (1, None)


def test_a_file_with_everything() -> None:
    federation = parse(FULL, "federation.yaml").federation
    assert federation.metadata.labels == {"example.org/team": "imaging"}
    spec = federation.spec
    assert (spec.flower, spec.python, spec.layout) == ("1.42", "3.11", Layout.QUICKSTART)
    assert [pool.name for pool in spec.supernodes] == ["hospital", "clinic"]
    assert spec.supernode_count == 3
    assert spec.supernodes[0].node_config == {
        "dataset": "chest",
        "epochs": 3,
        "rate": 0.5,
        "shuffle": True,
        "country": "NO",
    }
    assert (spec.superlink.ports.fleet, spec.superlink.ports.api) == (9092, None)
    assert (spec.run.config, spec.run.timeout_seconds) == ({"num-server-rounds": 5, "model.depth": 2}, 5400)


def test_every_fault_is_found_in_one_reading() -> None:
    text = """\
        apiVersion: flowerbed.dev/v1
        kind: Federaton
        metadata: {name: My_Demo}
        spec:
          layout: colocated
          app:
          supernodes:
            - name: hospital
              replicas: "2"
            - name: hospital
              replica: 2
            - replicas: 0
          superlink: {ports: {fleet: 80, control: 9000, api: 9000}}
    """
    assert problems(text) == [
        'federation.yaml:1:13: apiVersion: is "flowerbed.dev/v1" (write apiVersion: flowerbed.dev/v1alpha1)',
        'federation.yaml:2:7: kind: is "Federaton" (write kind: Federation)',
        'federation.yaml:3:18: metadata.name: "My_Demo" is not a DNS label: small letters, digits and hyphens, a letter first, a letter or a digit last (for example "my-demo")',
        'federation.yaml:5:11: spec.layout: wanted Colocated or Quickstart, found "colocated" (write Colocated)',
        "federation.yaml:6:3: spec.app: wanted a mapping, found nothing (write it after the colon, or leave the key out)",
        'federation.yaml:9:17: spec.supernodes[0].replicas: wanted a whole number, found "2" (leave out the quotes)',
        'federation.yaml:10:13: spec.supernodes[1].name: "hospital" is already the name of spec.supernodes[0]',
        'federation.yaml:11:7: spec.supernodes[1].replica: no such key (did you mean "replicas"?)',
        "federation.yaml:12:7: spec.supernodes[2].name: is missing",
        "federation.yaml:12:17: spec.supernodes[2].replicas: 0 is too few: a pool has at least 1 SuperNode (leave the pool out to have none of it)",
        "federation.yaml:13:30: spec.superlink.ports.fleet: 80 is not a port from 1024 to 65535",
        "federation.yaml:13:54: spec.superlink.ports.api: 9000 is already the control port's number",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("metadata: {name: demo}", "metadata: {name: }", "metadata.name: wanted text, found nothing (write it after the colon)"),
        ("spec:\n", "spec:\n  app:\n", "spec.app: wanted a mapping, found nothing (write it after the colon, or leave the key out)"),
        ("spec:\n", "spec:\n  serverapp: {env: {A: }}\n", "spec.serverapp.env.A: wanted text, found nothing (write it after the colon, or leave the key out)"),
        ("supernodes: [{name: hospital}]", "supernodes:\n    - name:a", 'spec.supernodes[0]: wanted a mapping, found "name:a" (write a space after the colon: name: a)'),
        ("supernodes: [{name: hospital}]", "supernodes:\n    - name:a\n      replicas: 2", '"- name:a" is one text (write a space after the colon: name: …)'),
        ("  supernodes: [{name: hospital}]\n", "", "spec: wanted a mapping, found nothing (write it after the colon)"),
        ("supernodes: [{name: hospital}]", "flower: '1.42'", "spec.supernodes: is missing (write supernodes: [{name: site, replicas: 2}])"),
    ],
)  # fmt: skip
def test_what_to_write_instead(old: str, new: str, problem: str) -> None:
    assert old in SMALL
    (found,) = problems(SMALL.replace(old, new))
    assert re.sub(r"^federation.yaml:\d+:\d+: ", "", found) == problem


def test_problems_are_data_too() -> None:
    with pytest.raises(SpecError) as caught:
        parse(SMALL + "  flowr: x\n", "federation.yaml")
    assert caught.value.as_dict()["problems"] == [
        {
            "message": "spec.flowr: no such key",
            "file": "federation.yaml",
            "line": 6,
            "column": 3,
            "hint": 'did you mean "flower"?',
        }
    ]
    assert caught.value.exit_code == 2


def test_a_misspelt_key_is_not_missing_as_well() -> None:
    assert problems("apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetdata: {name: demo}\n") == [
        "federation.yaml:1:1: spec: is missing (write spec: {supernodes: [{name: site, replicas: 2}]})",
        'federation.yaml:3:1: metdata: no such key (did you mean "metadata"?)',
    ]


def test_what_to_write_is_said_when_version_and_kind_are_missing() -> None:
    assert problems("metadata: {name: demo}\nspec: {supernodes: [{name: a}]}\n") == [
        "federation.yaml:1:1: apiVersion: is missing (write apiVersion: flowerbed.dev/v1alpha1)",
        "federation.yaml:1:1: kind: is missing (write kind: Federation)",
    ]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("supernodes: [{name: a, ^node_config: {}}]", 'spec.supernodes[0].node_config: no such key (did you mean "nodeConfig"?)'),
        ("supernodes: [{name: a}]\n  ^replicas: 2", "spec.replicas: no such key (it belongs into spec.supernodes[])"),
        ("supernodes: [{name: a}]\n  app: {^zzz: 1}", "spec.app.zzz: no such key (there is path, image, build, imagePullPolicy, imagePullSecrets)"),
        ("supernodes: ^[]", "spec.supernodes: wanted at least one, found none"),
        ("supernodes: ^{name: a}", "spec.supernodes: wanted a list, found a mapping"),
        ("supernodes: [^a]", 'spec.supernodes[0]: wanted a mapping, found "a"'),
        ("supernodes: [{name: a, replicas: ^10001}]", "spec.supernodes[0].replicas: 10001 is too many: a pool has at most 10000 SuperNodes"),
        ("supernodes: [{name: a, replicas: ^2.5}]", "spec.supernodes[0].replicas: wanted a whole number, found the number 2.5"),
        ("supernodes: [{name: a, replicas: ^true}]", "spec.supernodes[0].replicas: wanted a whole number, found true"),
        ("supernodes: [{name: a, execution: ^isolated}]", 'spec.supernodes[0].execution: wanted Warm or Isolated, found "isolated" (write Isolated)'),
        ("supernodes: [{name: a}]\n  execution: ^Fork", 'spec.execution: wanted Warm or Isolated, found "Fork"'),
        ("supernodes: [{name: ^superlink}]", 'spec.supernodes[0].name: "superlink" is the name of a component of every federation (choose another name for the pool)'),
        ("supernodes: [{name: ^superexec-x}]", 'spec.supernodes[0].name: "superexec-x" is the name of a component of every federation (choose another name for the pool)'),
        ("supernodes: [{name: a, nodeConfig: {^partition-id: 0}}]", "spec.supernodes[0].nodeConfig.partition-id: is filled in for each SuperNode (remove it)"),
        ("supernodes: [{name: a, nodeConfig: {a: ^[1]}}]", "spec.supernodes[0].nodeConfig.a: wanted text, a number, or true or false, found a list"),
        ("supernodes: [{name: a, nodeConfig: {a: ^.inf}}]", "spec.supernodes[0].nodeConfig.a: inf is not a finite number"),
        ("supernodes: [{name: a, nodeConfig: {a: ^9223372036854775808}}]", "spec.supernodes[0].nodeConfig.a: does not fit into Flower's 64 bits"),
        ("supernodes: [{name: a, env: {^FLWR_HOME: /x}}]", "spec.supernodes[0].env.FLWR_HOME: is set by Flowerbed (remove it)"),
        ('supernodes: [{name: a, env: {A: ^"a\\0b"}}]', "spec.supernodes[0].env.A: holds a null character, which no program's argument or environment can carry"),
        ("supernodes: [{name: a}]\n  flower: ^latest", 'spec.flower: "latest" is not a Flower release (for example "1.42" (its newest patch) or "1.42.0")'),
        ("supernodes: [{name: a}]\n  python: ^3.11.7", 'spec.python: "3.11.7" is not a minor release of Python 3 (for example "3.11")'),
        ("supernodes: [{name: a}]\n  run: {timeout: ^30}", "spec.run.timeout: 30 has no unit (for example 30s or 30m)"),
        ("supernodes: [{name: a}]\n  run: {timeout: ^soon}", 'spec.run.timeout: "soon" is not a duration (for example "90s", "30m" or "1h30m")'),
        ("supernodes: [{name: a}]\n  run: {timeout: ^0s}", "spec.run.timeout: is no time at all (leave timeout out to wait for as long as the run takes)"),
        ("supernodes: [{name: a}]\n  run: {config: {model: ^{depth: 1}}}", 'spec.run.config.model: wanted text, a number, or true or false, found a mapping (write nested keys with dots: "a.b: 1")'),
        ('supernodes: [{name: a}]\n  app: {path: ^""}', "spec.app.path: is empty"),
    ],
)  # fmt: skip
def test_a_fault_and_its_words(spec: str, problem: str) -> None:
    head = "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\nspec:\n  "
    text, line, column = place_of_caret(head + spec + "\n")
    assert problems(text) == [f"federation.yaml:{line}:{column}: {problem}"]


def test_names_must_fit_into_dns() -> None:
    assert problems(SMALL.replace("demo", "a" * 41)) == [
        f'federation.yaml:3:18: metadata.name: is 41 characters long; at most 40 fit into the names that are made from it (for example "{"a" * 40}")'
    ]
    parse(SMALL.replace("demo", "a" * 39), "federation.yaml")
    assert problems(SMALL.replace("demo", "a" * 40)) == [
        f"federation.yaml:5:23: spec.supernodes[0].name: is 48 characters long together with the federation's name \"{'a' * 40}\"; at most 47 fit into a component's DNS name (shorten either name)"
    ]
    assert len(f"{'a' * 39}-hospital-9999-superexec") == 63


def test_rules_between_fields_hold_without_a_file() -> None:
    data = parse(SMALL, "federation.yaml").federation.model_dump()
    data["spec"]["supernodes"] *= 2
    with pytest.raises(ValidationError, match='"hospital" is already the name of'):
        Federation.model_validate(data)


def test_load_reads_a_file_and_keeps_its_text(tmp_path: Path) -> None:
    file = tmp_path / "federation.yaml"
    file.write_text("\ufeff" + FULL.replace("\n", "\r\n"), encoding="utf-8")
    loaded = load(file)
    assert loaded.path == file
    assert loaded.federation == parse(FULL, "x").federation


def test_a_file_that_is_not_there_a_folder_and_foreign_bytes(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        load(tmp_path / "nothing.yaml")
    assert str(missing.value).startswith(f"{tmp_path}/nothing.yaml: there is no such file\n")
    with pytest.raises(UsageError) as folder:
        load(tmp_path)
    assert str(folder.value) == (
        f"{tmp_path}: is a folder, not a file\n`flowerbed new NAME` writes an app with its federation.yaml."
    )
    (tmp_path / "federation.yaml").write_text("")
    with pytest.raises(UsageError) as folder:
        load(tmp_path)
    assert str(folder.value) == f"{tmp_path}: is a folder, not a file\nDid you mean {tmp_path}/federation.yaml?"
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("kind: Federation\n# Zürich, Köln\n".encode().replace("ö".encode(), b"\xf6"))
    with pytest.raises(SpecError) as foreign:
        load(latin)
    assert str(foreign.value) == f"{latin}:2:12: the byte 0xf6 is not UTF-8 (save the file as UTF-8)"


def test_the_default_federation_is_one_that_could_be_written() -> None:
    federation = default_federation("My App 2!")
    assert federation.metadata.name == "my-app-2"
    assert [(pool.name, pool.replicas) for pool in federation.spec.supernodes] == [("supernode", 2)]
    again = Federation.model_validate_json(federation.model_dump_json(by_alias=True))
    assert again == federation


@given(st.text())
def test_any_app_has_a_default_federation(name: str) -> None:
    assert default_federation(name).spec.supernode_count == 2


YAML_WORDS = st.lists(
    st.sampled_from(
        [*"-:?[]{},#&*!|>'\"%@` \n\t~", "  ", "\n  ", ": ", "- ", "&a ", "*a", "<<: ", "--- ", "...\n", "!!str ", "%YAML 1.2\n",
         "apiVersion", "flowerbed.dev/v1alpha1", "kind", "Federation", "metadata", "name", "spec", "supernodes", "env", "replicas",
         "1.40", "0o7", "1e999", "NO", "null", "\ufeff", "\x85", "\x00", "\\x", '"\\U99999999"', "2024-01-01"]
    )
).map("".join)  # fmt: skip


def faults(text: str) -> list[Problem]:
    """Read a text that may be anything; only a SpecError may come of it."""
    try:
        parse(text, "federation.yaml")
    except SpecError as error:
        return error.problems or [Problem("an error without a problem", "", 0, 0)]
    return []


@given(st.one_of(st.text(), YAML_WORDS, YAML_WORDS.map(lambda words: SMALL + words)))
def test_no_text_is_too_odd_to_be_answered(text: str) -> None:
    assert all(problem.line >= 1 and problem.column >= 1 for problem in faults(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_no_value_is_too_odd_for_any_field(data: st.DataObject) -> None:
    """Put anything where something else is wanted; JSON is YAML."""
    content: Any = json.loads(default_federation("demo").model_dump_json(by_alias=True))
    parent, key = content, data.draw(st.sampled_from(sorted(content)))
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.booleans()):
        parent = parent[key]
        key = data.draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
    parent[key] = data.draw(JSON)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in faults(json.dumps(content)))
