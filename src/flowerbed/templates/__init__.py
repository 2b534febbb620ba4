"""The apps that `flowerbed new` writes and `flowerbed demo` runs.

Each folder here is a whole Flower App with its federation.yaml, readable as it stands. `write`
copies one and puts the user's words in the place of four of its own:

==================  ==========================================================================
``app-name``        the app's name, as the user gave it
``app_package``     its Python package, also as the name of a folder
``federation-name`` the federation's name: the app's in lower case, since it is a DNS label
``flower-release``  the Flower release; its line becomes a comment if none was asked for
==================  ==========================================================================

A file that Git or a package index would read as its own is kept under a plain name (`_RENAMED`).
"""

from __future__ import annotations

import errno
import hashlib
import keyword
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flowerbed.errors import UsageError

LONGEST_NAME = 32
"""Letters in an app's name; Flower's own limit."""

_FOLDER = Path(__file__).parent
_RENAMED = {"gitignore": ".gitignore"}
_RELEASE_LINE = re.compile(r'^( *)flower: "flower-release" *', re.MULTILINE)

# An app cannot go by the name of something that it depends on: installers would mix them up.
_DEPENDENCIES = frozenset({"flwr", "numpy", "scikit-learn", "scipy", "torch"})

# Packages that would hide a module the app needs, and folders that Flower leaves out of a bundle
# (FAB_EXCLUDE_PATTERNS in flwr/common/constant.py of 1.41) or that the template's .gitignore names.
_TAKEN_PACKAGES = (
    sys.stdlib_module_names
    | {"test"}  # Python's own too, but not in that list
    | set(keyword.kwlist)
    | {"numpy", "scipy", "sklearn", "torch", "flwr"}
    | {"build", "dist", "eggs", "env", "lib", "lib64", "parts", "venv"}
)


def names() -> list[str]:
    """Return the names of the templates, the default one first."""
    found = sorted(folder.name for folder in _FOLDER.iterdir() if (folder / "pyproject.toml").is_file())
    return sorted(found, key=lambda name: name != "sklearn")


def digest(template: str) -> str:
    """Return a fingerprint of a template's files, in hexadecimal digits."""
    folder = _FOLDER / template
    content = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        content.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return content.hexdigest()


def package_name(name: str) -> str:
    """Return the Python package of an app: ``my-app`` has ``my_app``, and ``test`` has ``test_app``."""
    package = name.lower().replace("-", "_")
    return f"{package}_app" if package in _TAKEN_PACKAGES else package


def check_name(name: str) -> None:
    """Refuse a name that Flower, Python's packaging or the file system would not take.

    Raises
    ------
    UsageError
        With what is allowed, and a name that is and comes near.
    """
    if _allowed(name):
        return
    reason = (
        f"{name!r} is the name of a package that the app depends on"
        if name.lower() in _DEPENDENCIES
        else f"{name!r} cannot be an app's name: a name has letters (a to z, large or small), digits and hyphens, "
        f"starts with a letter, does not end with a hyphen, and is at most {LONGEST_NAME} long"
    )
    raise UsageError(reason, hint=f"Try: {_suggestion(name)}")


def write(template: str, target: Path, name: str, flower: str | None = None) -> list[Path]:
    """Write a new app, all of it or nothing.

    The app is written into a folder beside the target, which is then renamed: whoever is
    interrupted finds no half of an app under its name.

    Parameters
    ----------
    template : str
        One of `names`.
    target : Path
        The app's folder; it must be missing or empty.
    name : str
        The app's name; see `check_name`.
    flower : str or None
        The Flower release for `spec.flower`; None leaves it to the default.

    Returns
    -------
    list of Path
        The files, sorted, each below `target`.

    Raises
    ------
    UsageError
        The template, the name or the release is not one, or there is something in the target or
        no right to write there.
    """
    if template not in names():
        raise UsageError(f"there is no template {template!r}", hint=f"Templates: {', '.join(names())}")
    check_name(name)
    if flower is not None and not re.fullmatch(r"\d+\.\d+(\.\d+)?", flower):
        raise UsageError(f"{flower!r} is no Flower release", hint="Write it as 1.42 or 1.42.0")
    _check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=target.parent))
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"no app can be written there: {error.filename} is not a folder", where=str(target)) from error
    except OSError as error:
        raise UsageError(f"no app can be written there: {error.strerror}", where=str(target)) from error
    try:
        app = beside / "app"  # made by us with the user's usual rights; mkdtemp's folder is 0700
        files = [_write_file(source, app, name, flower) for source in _sources(_FOLDER / template)]
        app.rename(target)  # on POSIX this replaces an empty folder, and only an empty one
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # someone was quicker
            _check_target(target)
        raise UsageError(f"the app could not be written: {error.strerror}", where=str(target)) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return sorted(target / file.relative_to(app) for file in files)


def _allowed(name: str) -> bool:
    shape = re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) and not name.endswith("-")
    return bool(shape) and len(name) <= LONGEST_NAME and name.lower() not in _DEPENDENCIES


def _suggestion(name: str) -> str:
    """Return an allowed name that comes near."""
    near = re.sub(r"[^A-Za-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-")[:LONGEST_NAME].rstrip("-")
    if near in _DEPENDENCIES:
        near = f"{near}-app"
    return near if _allowed(near) else "my-app"


def _check_target(target: Path) -> None:
    """Refuse a target that has something in it."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError("there is already a file of that name", where=str(target), hint="Choose another name")
    try:
        used = target.is_dir() and any(target.iterdir())
    except OSError as error:
        raise UsageError(f"the folder cannot be read: {error.strerror}", where=str(target)) from error
    if used:
        raise UsageError(
            "the folder is not empty, and nothing was written",
            where=str(target),
            hint="Choose another name, or empty the folder first",
        )


def _sources(folder: Path) -> Iterator[Path]:
    """Yield a template's files, without what installers compile beside them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder.parent)


def _write_file(source: Path, app: Path, name: str, flower: str | None) -> Path:
    """Write one file of a template (`source` is below `_FOLDER`) into the app; return where."""
    parts = [package_name(name) if part == "app_package" else _RENAMED.get(part, part) for part in source.parts[1:]]
    path = app.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_fill_in((_FOLDER / source).read_text(encoding="utf-8"), name, flower), encoding="utf-8")
    return path


def _fill_in(text: str, name: str, flower: str | None) -> str:
    """Put the user's words in the place of the template's."""
    words = {"app-name": name, "app_package": package_name(name), "federation-name": name.lower()}
    release = f'flower: "{flower}"' if flower else '# flower: "1.22"'
    text = _RELEASE_LINE.sub(lambda line: f"{line[1]}{release}".ljust(len(line[0])), text)
    # All at once: a user's word that looks like one of the template's stays what it is.
    return re.sub("|".join(words), lambda word: words[word[0]], text)
