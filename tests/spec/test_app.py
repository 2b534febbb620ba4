"""An app's pyproject.toml is read as Flower reads it, and refused with the line where that can be told."""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import AppError
from flowerbed.spec.app import parse_app

APP = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "digits"
version = "1.0.0"
requires-python = ">=3.11,<3.14"
dependencies = [
    "flwr[simulation]>=1.22,<2",
    "scikit-learn>=1.5; python_version >= '3.11'",
]

[tool.flwr.app]
publisher = "example"

[tool.flwr.app.components]
serverapp = "digits.server_app:app"
clientapp = "digits.client_app:app"

[tool.flwr.app.config]
num-server-rounds = 3
fraction = 0.5
local = true
model.kind = "linear"

[tool.flwr.app.config.optimizer]
lr = 0.1
"""

FEDERATIONS = """
[tool.flwr.federations]
default = "local-simulation"

[tool.flwr.federations.local-simulation]
options.num-supernodes = 10
"""


def failure(text: str) -> str:
    with pytest.raises(AppError) as caught:
        parse_app(text, "pyproject.toml")
    return str(caught.value)


@pytest.mark.parametrize("text", [APP, APP + FEDERATIONS])
def test_an_app(text: str) -> None:
    app = parse_app(text, "pyproject.toml")
    assert str(app) == "example/digits==1.0.0"
    assert (app.serverapp, app.clientapp) == ("digits.server_app:app", "digits.client_app:app")
    assert app.config == {
        "num-server-rounds": 3,
        "fraction": 0.5,
        "local": True,
        "model.kind": "linear",
        "optimizer.lr": 0.1,
    }
    assert [one.name for one in app.requirements] == ["flwr", "scikit-learn"]
    assert app.flwr_requirement is not None
    assert (app.flwr_requirement.extras, str(app.flwr_requirement.specifier)) == ({"simulation"}, "<2,>=1.22")
    assert not app.dynamic_dependencies
    assert str(app.requires_python) == "<3.14,>=3.11"


def test_an_app_that_says_little() -> None:
    app = parse_app(
        """
        project = {name = "a", version = "1"}
        tool.flwr.app = {publisher = "p", components = {serverapp = "s:app", clientapp = "c:app"}}
        """,
        "pyproject.toml",
    )
    assert (app.config, app.requirements, app.flwr_requirement, app.requires_python) == ({}, (), None, None)
    assert not app.dynamic_dependencies


FLOWER_PART = APP[APP.index("[tool.flwr.app]") :]


@pytest.mark.parametrize(
    "metadata",
    [
        '[project]\nname = "a"\nversion = "1"\ndynamic = ["dependencies"]\n',
        '[project]\nname = "a"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.11"\nflwr = "^1.22"\n',
    ],
    ids=["dynamic", "PEP 621 with Poetry's dependencies"],
)
def test_dependencies_that_only_the_build_back_end_knows(metadata: str) -> None:
    app = parse_app(metadata + FLOWER_PART, "pyproject.toml")
    assert (app.name, app.version) == ("a", "1")
    assert app.dynamic_dependencies
    assert app.requirements == ()


def test_the_digest_is_of_what_is_asked_for() -> None:
    digest = parse_app(APP, "f").requirements_digest
    lines = APP.splitlines()
    lines[9], lines[10] = lines[10], lines[9]
    assert parse_app("\n".join(lines), "f").requirements_digest == digest
    assert parse_app(APP.replace("num-server-rounds = 3", "num-server-rounds = 4"), "f").requirements_digest == digest
    assert parse_app(APP.replace("1.22", "1.23"), "f").requirements_digest != digest
    assert parse_app(APP.replace("<3.14", "<3.13"), "f").requirements_digest != digest
    assert digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "digits"', 'name = "digits', "pyproject.toml:6:15: is not TOML: Illegal character '\\n'"),
        ('publisher = "example"\n', "", 'pyproject.toml:14: [tool.flwr.app] has no "publisher"'),
        ('publisher = "example"', "publisher = 1", "pyproject.toml:15: [tool.flwr.app] publisher: wanted text, found the number 1"),
        ('version = "1.0.0"', 'dynamic = ["version"]', 'pyproject.toml:5: [project] has no "version"\nFlower itself reads it there; a dynamic version does not do.'),
        ('clientapp = "digits.client_app:app"\n', "", 'pyproject.toml:17: [tool.flwr.app.components] has no "clientapp"\nFor example clientapp = "package.client_app:app".'),
        ("digits.server_app:app", "digits/server_app.py", 'pyproject.toml:18: [tool.flwr.app.components] serverapp: "digits/server_app.py" is not of the form package.module:object'),
        ("lr = 0.1", "lr = [0.1]", "pyproject.toml:28: [tool.flwr.app.config] optimizer.lr is neither text, a number, nor true or false, nor a table of those"),
        ("num-server-rounds = 3", "num-server-rounds = 9223372036854775808", "pyproject.toml:22: [tool.flwr.app.config] num-server-rounds does not fit into Flower's 64 bits"),
        ("scikit-learn>=1.5;", "scikit learn;", "pyproject.toml:11: [project] dependencies: \"scikit learn; python_version >= '3.11'\" is not a requirement: "),
        ('">=3.11,<3.14"', '"3.11"', 'pyproject.toml:8: [project] requires-python: "3.11" is not a set of releases\nFor example ">=3.11".'),
        ("[tool.flwr.app.components]\nserverapp", "[tool.flwr.app.other]\nserverapp", "pyproject.toml:14: there is no [tool.flwr.app.components]"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(old: str, new: str, message: str) -> None:
    assert old in APP
    assert failure(APP.replace(old, new)).startswith(message)


def test_no_flower_app() -> None:
    message = "pyproject.toml:1: is no Flower App: there is no [tool.flwr.app]\n"
    assert failure('[project]\nname = "a"\n').startswith(message)
    assert failure("").startswith(message)
    assert failure("tool = 1").startswith(
        "pyproject.toml:1: tool of [tool.flwr.app]: wanted a table, found the number 1"
    )


def test_an_app_without_project_is_refused_as_flower_refuses_it() -> None:
    poetry = '\n[tool.poetry]\nname = "a"\nversion = "1"\n[tool.poetry.dependencies]\nflwr = "^1.22"\n'
    assert failure(poetry + FLOWER_PART) == (
        "pyproject.toml:2: there is no [project], only [tool.poetry]\n"
        "Flower itself reads the app's name and version from [project]. Poetry 2 reads them there too: write them there."
    )
    assert failure(FLOWER_PART).startswith("pyproject.toml:1: there is no [project]\n")


def test_a_byte_order_mark_is_named() -> None:
    assert failure("\ufeff" + APP) == (
        "pyproject.toml:1:1: is not TOML: it begins with a byte order mark (U+FEFF), which TOML does not allow\n"
        "Save the file as UTF-8 without it."
    )


def test_an_agent_app() -> None:
    text = APP.replace('serverapp = "digits.server_app:app"\nclientapp', "agentapp")
    assert "It has an AgentApp; Flowerbed runs apps with a ServerApp and a ClientApp." in failure(text)


@given(st.one_of(st.text(), st.text().map(lambda text: APP + text), st.text().map(lambda text: text + APP)))
def test_no_text_is_too_odd_to_be_answered(text: str) -> None:
    where: str | None = "pyproject.toml"
    try:
        parse_app(text, "pyproject.toml")
    except AppError as error:
        where = error.where
    assert where is not None
    assert where.startswith("pyproject.toml")
