"""A run config is compared with the app's own before anything starts: its keys, and the type of each value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import SpecError, UsageError
from flowerbed.spec.app import AppManifest, parse_app
from flowerbed.spec.load import Loaded, load
from flowerbed.spec.run_config_check import run_config
from flowerbed.spec.toml import place_where, read_toml

APP = """[project]
name = "digits"
version = "1.0.0"
[tool.flwr.app]
publisher = "example"
components = {serverapp = "a:app", clientapp = "a:app"}
[tool.flwr.app.config]
num-server-rounds = 3
fraction = 0.5
local = true
model.kind = "linear"
[tool.flwr.app.config.optimizer]
lr = 0.1
"""
HEAD = """apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: test}
spec:
  supernodes: [{name: a}]
  run:
    config:
"""


@pytest.fixture(scope="module")
def app() -> AppManifest:
    return parse_app(APP, "pyproject.toml")


def loaded(folder: Path, *lines: str) -> Loaded:
    file = folder / "federation.yaml"
    file.write_text(HEAD + "".join(f"      {line}\n" for line in lines))
    return load(file)


def test_what_fits_is_taken_and_the_command_line_goes_first(tmp_path: Path, app: AppManifest) -> None:
    file = loaded(tmp_path, "num-server-rounds: 5", "fraction: 1", "model.kind: deep")
    assert run_config(file, app, ["num-server-rounds=7 optimizer.lr=1", "local=false"]) == {
        "num-server-rounds": 7,
        "fraction": 1,
        "model.kind": "deep",
        "optimizer.lr": 1,
        "local": False,
    }
    assert run_config(None, app) == {}
    assert run_config(file, None, ["whatever=1"])["whatever"] == 1  # an app in an image is not known here


ROUNDS = "wanted a whole number, as the app's own 3; "
QUOTES = "Text needs quotes that the shell leaves alone"
LOCAL = "wanted true or false, as the app's own true; "


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ('num-server-rounds="3"', f'{ROUNDS}found the text "3"\nLeave out the quotes'),
        (
            "num-server-rounds=1.5",
            f"{ROUNDS}found the number 1.5\nIf the app takes fractions, write 3.0 in its [tool.flwr.app.config]",
        ),
        ("num-server-rounds=true", f"{ROUNDS}found true"),
        ('num-server-rounds="three"', f'{ROUNDS}found the text "three"'),
        ("fraction=true", "wanted a number, as the app's own 0.5; found true"),
        (
            'optimizer.lr="0.1"',
            'wanted a number, as the app\'s own 0.1; found the text "0.1"\nLeave out the quotes',
        ),
        ('local="False"', f'{LOCAL}found the text "False"\nWrite false, without quotes'),
        ("local=0", f"{LOCAL}found the number 0"),
        (
            "model.kind=3",
            f'wanted text, as the app\'s own "linear"; found the number 3\n{QUOTES}: \'model.kind="3"\'.',
        ),
        (
            "model.kind=deep",
            "deep is not a TOML value\nText needs quotes that the shell leaves alone: 'model.kind=\"deep\"'.",
        ),
        ("optimizer.lr=abc", 'wanted a number, as the app\'s own 0.1; found the text "abc"'),
        ("optimizer.lr=.5", ".5 is not a TOML value\nTOML writes it optimizer.lr=0.5"),
        ("optimizer.lr=NaN", 'wanted a number, as the app\'s own 0.1; found the text "NaN"'),
        ("local=abc", f'{LOCAL}found the text "abc"'),
        ("local=True", "True is not a TOML value\nTOML writes it in small letters: local=true"),
        ("num-server-round=abc", 'the app\'s config has no such key\nDid you mean "num-server-rounds"?'),
        ("num-server-round=5", 'the app\'s config has no such key\nDid you mean "num-server-rounds"?'),
        (
            "zzz=5",
            "the app's config has no such key\nIt has fraction, local, model.kind, num-server-rounds, optimizer.lr",
        ),
    ],
)
def test_what_does_not_fit_names_the_option(pair: str, message: str, app: AppManifest) -> None:
    with pytest.raises(UsageError) as caught:
        run_config(None, app, ["fraction=0.1", pair])
    assert str(caught.value) == f"--run-config {pair}: {pair.partition('=')[0]}: {message}"


def test_all_of_the_command_line_is_told_at_once(app: AppManifest) -> None:
    with pytest.raises(UsageError) as caught:
        run_config(None, app, ["local=1", "zzz=5"])
    assert str(caught.value) == (
        "--run-config local=1: local: wanted true or false, as the app's own true; found the number 1\n"
        "--run-config zzz=5: zzz: the app's config has no such key (it has fraction, local, model.kind,"
        " num-server-rounds, optimizer.lr)"
    )


def test_a_federation_file_gets_the_line_and_column_of_each(tmp_path: Path, app: AppManifest) -> None:
    file = loaded(tmp_path, 'num-server-rounds: "3"', "optimizer.lr: 1", "local: 1.0", "modelkind: x")
    with pytest.raises(SpecError) as caught:
        run_config(file, app, ["num-server-rounds=4"])
    at = f"{tmp_path}/federation.yaml"
    assert str(caught.value).splitlines() == [
        f'{at}:8:26: spec.run.config.num-server-rounds: {ROUNDS}found the text "3" (leave out the quotes)',
        f"{at}:10:14: spec.run.config.local: {LOCAL}found the number 1.0",
        f'{at}:11:7: spec.run.config.modelkind: the app\'s config has no such key (did you mean "model.kind"?)',
    ]


def test_a_toml_file_gets_the_line_and_column_too(tmp_path: Path, app: AppManifest) -> None:
    file = tmp_path / "big.toml"
    file.write_text('fraction = 1\n[model]\n# ours\nkind = """\n[optimizer]\n"""\n[optimizer]\n  lr = "0.1"\n')
    with pytest.raises(UsageError) as caught:
        run_config(None, app, [str(file)])
    assert str(caught.value).startswith(f"{file}:8:3: optimizer.lr: wanted a number, as the app's own")


@given(
    st.lists(st.sampled_from(["", "# a", "b = 1", "c = [\n1,\n]", 'd = """\nkey = 2\n"""', "[e]"]), unique=True),
    st.data(),
)
def test_a_statement_is_found_whatever_stands_around_it(around: list[str], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(around)))
    text = "\n".join([*around[:number], "  key = [\n  3]", *around[number:]])
    line = sum(part.count("\n") + 1 for part in around[:number]) + 1

    def there(told: object) -> bool:
        return "key" in str(told).replace("key = 2", "")

    assert there(read_toml(text))
    assert place_where(text, there) == (line, 3)
