"""``--run-config`` is read as ``flwr run`` reads it, except that nothing is passed over in silence."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import UsageError
from flowerbed.spec.run_config import Given, parse_config_arguments


def failure(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_config_arguments(arguments)
    return str(caught.value)


def values(*arguments: str) -> dict[str, object]:
    return {key: given.value for key, given in parse_config_arguments(arguments).items()}


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ([], {}),
        ([""], {}),
        (["lr=0.1"], {"lr": 0.1}),
        (["lr=0.1", "rounds=3"], {"lr": 0.1, "rounds": 3}),
        (['lr=1e-3 name="a b" flag=true'], {"lr": 0.001, "name": "a b", "flag": True}),
        (["name='single'"], {"name": "single"}),
        (["a.b=1 a.c=2"], {"a.b": 1, "a.c": 2}),
        (["a=1", "a=2"], {"a": 2}),
        (["a=1 a=2"], {"a": 2}),
        (['file="x.toml"'], {"file": "x.toml"}),
        (["n=1_000"], {"n": 1000}),
    ],
)
def test_values_are_toml(arguments: list[str], config: dict[str, object]) -> None:
    assert values(*arguments) == config


def test_a_toml_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('rounds = 3\n[model]\nkind = "linear"\n')
    assert parse_config_arguments([str(file)]) == {
        "rounds": Given(3, f"{file}:1:1"),
        "model.kind": Given("linear", f"{file}:3:1"),
    }
    file.write_text("rounds = \n")
    assert failure(str(file)) == f"{file}:1:10: Invalid value"
    file.write_text("rounds = [1]\n")
    assert (
        failure(str(file)) == f"{file}:1:1: rounds is neither text, a number, nor true or false, nor a table of those"
    )
    assert failure(str(tmp_path / "no.toml")) == f"{tmp_path}/no.toml: there is no such file"
    assert "cannot be given along" in failure("a=1", str(file))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "name=hello",
            "name: hello is not a TOML value\nText needs quotes that the shell leaves alone: 'name=\"hello\"'.",
        ),
        ("flag=False", "flag: False is not a TOML value\nTOML writes it in small letters: flag=false"),
        (f"seed={2**63}", "seed does not fit into Flower's 64 bits"),
        ("lr=1e400", "lr is not a finite number"),
        ("lr=nan", "lr is not a finite number"),
        ("rounds", '"rounds" is not a key=value pair\nFor example \'lr=0.1 name="x"\'.'),
        ("rounds = 3", '"rounds" is not a key=value pair\nFor example \'lr=0.1 name="x"\'.'),
        ("a=[1]", "a is neither text, a number, nor true or false, nor a table of those"),
        ("a/b=1", '"a/b" is not a key'),
    ],
)
def test_what_is_wrong(argument: str, message: str) -> None:
    assert failure(argument) == f"--run-config {argument}: {message}"


@given(st.lists(st.text() | st.from_regex(r"[a-z.]{1,3}=[0-9a-z'\"\[\]{}.= ]*")))
def test_no_argument_is_too_odd_to_be_answered(arguments: list[str]) -> None:
    config: dict[str, object] = {}
    with contextlib.suppress(UsageError):
        config = values(*[argument for argument in arguments if not argument.endswith(".toml")])
    assert all(isinstance(value, str | int | float) for value in config.values())
