"""A project made up for uv: what is wanted, with one exact flwr, and no word of the app's own code.

uv gets a pyproject.toml instead of a list of requirements because only there do the app's own settings
(``[tool.uv]``: sources, indexes, constraints) count. The lock is in the standard format (PEP 751), which
says where each file comes from and its hash.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from flowerbed.environments.cache import Progress, silent
from flowerbed.environments.requirements import FLWR, name_of, place_of_requirement
from flowerbed.environments.uv import uv
from flowerbed.environments.uv_errors import PLACEHOLDER, blamed, explain
from flowerbed.errors import EnvironmentFailed

LOCK = "pylock.toml"


def write_project(
    folder: Path, requirements: Iterable[str], settings: Mapping[str, Any], paths: Mapping[str, Path]
) -> None:
    """Write the made-up project.

    Parameters
    ----------
    folder : Path
        Where; it is made.
    requirements : iterable of str
        Everything to install.
    settings : mapping
        The app's settings for uv.
    paths : mapping of str to Path
        Package → folder or file from which it is installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = {**settings.get("sources", {}), **{name: {"path": str(path)} for name, path in paths.items()}}
    tables = {
        "project": {"name": PLACEHOLDER, "version": "0", "dependencies": list(requirements)},
        "tool.uv": {**settings, "sources": sources},
    }
    text = "".join(
        f"[{table}]\n" + "".join(f"{toml(key)} = {toml(value)}\n" for key, value in content.items()) + "\n"
        for table, content in tables.items()
    )
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def solve(folder: Path, python: Path, *, doing: str, where: str | None, progress: Progress = silent) -> dict[str, str]:
    """Solve the made-up project for a Python; the lock lies beside it, the versions are returned by package.

    Raises
    ------
    EnvironmentFailed
        With uv's reason.
    """
    arguments = ("pip", "compile", "--quiet", "--preview-features", "pylock", "--python", str(python))
    code, _, lines = uv(*arguments, "pyproject.toml", "--output-file", LOCK, cwd=folder, progress=progress)
    if code != 0:
        raise unsolved(lines, doing=doing, where=where)
    lock = tomllib.loads((folder / LOCK).read_text(encoding="utf-8"))
    return {canonicalize_name(entry["name"]): str(entry.get("version", "")) for entry in lock.get("packages", [])}


def unsolved(lines: list[str], *, doing: str, where: str | None) -> EnvironmentFailed:
    """Return the error of a solve that failed, at the line of the app's requirement that uv names, where it does."""
    names = [name for text in blamed(lines) if (name := name_of(text)) != FLWR]
    return explain(lines, doing=doing, where=where and place_of_requirement(names, text_of(where), where))


def text_of(file: str) -> str:
    """Return a file's text, in which a mistake is looked up; nothing where it cannot be read."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def toml(value: object) -> str:
    """Write a value as TOML, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    # JSON's true, false, numbers and strings are TOML's, if no character is written as two surrogates.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
