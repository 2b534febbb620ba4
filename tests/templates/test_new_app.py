"""`write` puts a whole app there, or nothing, and says why."""

from __future__ import annotations

import errno
import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flowerbed import templates
from flowerbed.errors import UsageError
from flowerbed.spec.app import parse_app
from flowerbed.spec.load import load

EVERY_TEMPLATE = pytest.mark.parametrize("template", templates.names())


def test_the_default_template_comes_first() -> None:
    assert templates.names() == ["sklearn", "pytorch"]


@EVERY_TEMPLATE
def test_a_new_app_has_these_files(template: str, tmp_path: Path) -> None:
    target = tmp_path / "somewhere" / "ward-digits"
    written = templates.write(template, target, "ward-digits")
    assert [str(path.relative_to(target)) for path in written] == [
        ".gitignore",
        "README.md",
        "federation.yaml",
        "pyproject.toml",
        "ward_digits/__init__.py",
        "ward_digits/client_app.py",
        "ward_digits/server_app.py",
        "ward_digits/task.py",
    ]
    assert sorted(path for path in target.rglob("*") if path.is_file()) == written
    assert list(target.parent.iterdir()) == [target]


@EVERY_TEMPLATE
def test_none_of_the_templates_own_words_are_left(template: str, tmp_path: Path) -> None:
    for path in templates.write(template, tmp_path / "app", "ward-digits", "1.42"):
        assert not re.search(r"app-name|app_package|federation-name|flower-release", path.read_text())


@EVERY_TEMPLATE
def test_the_app_is_a_flower_app_of_that_name(template: str, tmp_path: Path) -> None:
    templates.write(template, tmp_path / "app", "Ward-Digits")
    app = parse_app((tmp_path / "app" / "pyproject.toml").read_text(), "pyproject.toml")
    assert app.name == "Ward-Digits"
    assert app.serverapp == "ward_digits.server_app:app"
    assert app.clientapp == "ward_digits.client_app:app"
    assert str(app.flwr_requirement) == "flwr>=1.22.0"
    assert app.config["num-server-rounds"] == 3


@EVERY_TEMPLATE
@pytest.mark.parametrize("flower", [None, "1.22", "1.42.0"])
def test_the_federation_file_is_one(template: str, flower: str | None, tmp_path: Path) -> None:
    templates.write(template, tmp_path / "app", "Ward-Digits", flower)
    load(tmp_path / "app" / "federation.yaml")  # raises on any problem
    expected = {
        "apiVersion": "flowerbed.dev/v1alpha1",
        "kind": "Federation",
        "metadata": {"name": "ward-digits"},
        "spec": {
            "app": {"path": "."},
            "supernodes": [{"name": "site", "replicas": 2, "nodeConfig": {}}],
        },
    }
    if flower:
        expected["spec"]["flower"] = flower  # type: ignore[index]
    assert yaml.safe_load((tmp_path / "app" / "federation.yaml").read_text()) == expected


def test_the_comments_stay_in_their_column_with_any_release(tmp_path: Path) -> None:
    for name, flower in (("a", None), ("b", "1.22"), ("c", "1.42.0")):
        templates.write("sklearn", tmp_path / name, name, flower)
        lines = (tmp_path / name / "federation.yaml").read_text().splitlines()
        columns = {line.rindex("# ") for line in lines if re.match(r"  .*\S {2,}# ", line)}
        assert len(columns) == 1


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    templates.write("sklearn", tmp_path / "app", "app")
    assert (tmp_path / "app" / "pyproject.toml").is_file()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty, and nothing was written"):
        templates.write("sklearn", tmp_path / "app", "app")
    assert [path.name for path in tmp_path.rglob("*")] == ["app", "thesis.tex"]


@pytest.mark.parametrize("kind", ["file", "link", "broken link"])
def test_a_file_or_link_of_that_name_is_left_alone(kind: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    if kind == "file":
        (tmp_path / "app").write_text("")
    else:
        (tmp_path / "app").symlink_to("elsewhere" if kind == "link" else "nowhere")
    with pytest.raises(UsageError, match="already"):
        templates.write("sklearn", tmp_path / "app", "app")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["app", "elsewhere"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is not a folder"):
        templates.write("sklearn", tmp_path / "file" / "app", "app")


def test_nothing_is_left_if_writing_ends_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def full(path: Path, *args: object, **kwargs: object) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.touch()
        written.append(path)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match="No space left on device"):
        templates.write("sklearn", tmp_path / "app", "app")
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []


def test_someone_quicker_keeps_what_they_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        target.mkdir()
        (target / "theirs").write_text("")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(UsageError, match="not empty"):
        templates.write("sklearn", tmp_path / "app", "app")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["app", "theirs"]


def test_others_may_read_a_new_app_as_far_as_the_user_lets_them(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        templates.write("sklearn", tmp_path / "app", "app")
    finally:
        os.umask(umask)
    assert (tmp_path / "app").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("", "my-app"),
        ("my_app", "my-app"),
        ("my app!", "my-app"),
        ("3d-scans", "d-scans"),
        ("-x", "x"),
        ("x-", "x"),
        ("42", "my-app"),
        ("../escape", "escape"),
        ("a/b", "a-b"),
        ("mädchen", "m-dchen"),
        ("line\nbreak", "line-break"),
        ("app\n", "app"),
        ("a" * 33, "a" * 32),
        ("numpy", "numpy-app"),
        ("Torch", "torch-app"),
        ("My_App", "my-app"),
        ("scikit_learn", "scikit-learn-app"),
    ],
)
def test_a_name_that_will_not_do_is_refused_with_one_that_will(name: str, suggestion: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        templates.write("sklearn", tmp_path / "app", name)
    assert repr(name) in refused.value.message
    assert refused.value.hint == f"Try: {suggestion}"
    templates.check_name(suggestion)
    assert list(tmp_path.iterdir()) == []


def test_what_a_name_may_be_is_said() -> None:
    with pytest.raises(
        UsageError, match=r"letters .a to z, large or small., digits and hyphens, starts with a letter.* at most 32"
    ):
        templates.check_name("my_app")


@given(st.text(max_size=40))
def test_every_name_is_allowed_or_has_a_suggestion_that_is(name: str) -> None:
    try:
        templates.check_name(name)
    except UsageError as refused:
        templates.check_name((refused.hint or "").removeprefix("Try: "))
    else:
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{0,31}", name)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("ward-digits", "ward_digits"),
        ("Ward", "ward"),
        ("test", "test_app"),  # a package of Python's own
        ("json", "json_app"),
        ("class", "class_app"),  # a word of Python's
        ("None", "none"),
        ("sklearn", "sklearn_app"),  # what the app imports
        ("build", "build_app"),  # folders that Flower leaves out of a bundle
        ("lib", "lib_app"),
    ],
)
def test_a_package_hides_nothing_that_the_app_needs(name: str, package: str, tmp_path: Path) -> None:
    templates.write("sklearn", tmp_path / "app", name)
    project = tomllib.loads((tmp_path / "app" / "pyproject.toml").read_text())
    assert project["project"]["name"] == name
    assert project["tool"]["flwr"]["app"]["components"]["serverapp"] == f"{package}.server_app:app"
    assert (tmp_path / "app" / package / "__init__.py").is_file()


def test_a_name_like_the_templates_own_words_stays_itself(tmp_path: Path) -> None:
    templates.write("sklearn", tmp_path / "app", "app-name")
    project = tomllib.loads((tmp_path / "app" / "pyproject.toml").read_text())
    assert project["project"]["name"] == "app-name"
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["app_name"]


def test_an_unknown_template_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        templates.write("../sklearn", tmp_path / "app", "app")
    assert refused.value.hint == "Templates: sklearn, pytorch"


@pytest.mark.parametrize("flower", ["newest", "1", '1.42"\n  evil: "'])
def test_a_flower_release_that_is_none_is_refused(flower: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Flower release"):
        templates.write("sklearn", tmp_path / "app", "app", flower)
    assert list(tmp_path.iterdir()) == []
