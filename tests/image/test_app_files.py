"""Which of an app's files go into its image."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowerbed.errors import ImageFailed
from flowerbed.image.app_files import app_files, entries


def write(app: Path, *paths: str, text: str = "x\n") -> Path:
    for path in paths:
        file = app / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return app


def names(app: Path) -> list[str]:
    return [path for path, _ in app_files(app)]


def test_the_code_goes_in_and_what_describes_or_surrounds_it_does_not(tmp_path: Path) -> None:
    app = write(
        tmp_path,
        *("pyproject.toml", "README.md", "pkg/client.py", "pkg/dist/kept.py", "data/labels.json"),
        *(".env", ".git/config", ".venv/bin/python", ".flowerbed/state", "venv/x", "pkg/__pycache__/client.pyc"),
        *("build/lib/x.py", "dist/x.whl", "pkg.egg-info/PKG-INFO", "federation.yaml", "federation.lock", "app.lock"),
    )
    assert names(app) == ["README.md", "pyproject.toml", "data/labels.json", "pkg/client.py", "pkg/dist/kept.py"]


def test_an_ignore_file_is_read_like_a_gitignore(tmp_path: Path) -> None:
    app = write(tmp_path, "pyproject.toml", "data/big.npz", "data/small.json", "notes/a.md", "notes/b.md")
    (app / ".flowerbedignore").write_text("# what stays here\n*.npz\nnotes/*\n!notes/b.md\n")
    assert names(app) == ["pyproject.toml", "data/small.json", "notes/b.md"]


def test_what_never_goes_in_cannot_be_asked_for(tmp_path: Path) -> None:
    app = write(tmp_path, "pyproject.toml", ".env")
    (app / ".flowerbedignore").write_text("!.env\n")
    assert names(app) == ["pyproject.toml"]


@pytest.mark.parametrize(
    "name",
    [
        "id_ed25519",
        "server.key",
        "credentials.json",
        "client_credentials.yaml",
        "prod.env",
        "secrets.toml",
        "kubeconfig",
    ],
)
def test_what_is_named_like_a_secret_is_refused(name: str, tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", f"pkg/{name}")
    with pytest.raises(ImageFailed, match=f"looks like a secret.*pkg/{name}") as caught:
        app_files(tmp_path)
    assert ".flowerbedignore" in str(caught.value.hint)
    (tmp_path / ".flowerbedignore").write_text(f"{name}\n")
    assert names(tmp_path) == ["pyproject.toml"]


def test_a_private_key_is_refused_whatever_its_name(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "pkg/tokenizer.py")
    write(tmp_path, "pkg/notes.txt", text="a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n")
    with pytest.raises(ImageFailed, match=r"pkg/notes\.txt"):
        app_files(tmp_path)


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    write(tmp_path, "cosign.pub", text="-----BEGIN PUBLIC KEY-----\n")
    assert names(tmp_path) == ["cosign.pub"]


def test_links_inside_become_files_and_links_outside_are_refused(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "pyproject.toml")
    (app / "inside").symlink_to("pyproject.toml")
    assert names(app) == ["inside", "pyproject.toml"]
    write(tmp_path, "elsewhere")
    (app / "outside").symlink_to("../elsewhere")
    with pytest.raises(ImageFailed, match="outside is a link to something outside"):
        app_files(app)


def test_the_layer_has_the_folders_below_the_app(tmp_path: Path) -> None:
    app = write(tmp_path, "pyproject.toml", "a/b/c.py")
    found = sorted((entry.path, entry.folder) for entry in entries(app_files(app), "app"))
    assert found == [("app/a", True), ("app/a/b", True), ("app/a/b/c.py", False), ("app/pyproject.toml", False)]
