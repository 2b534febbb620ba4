"""Building one environment, in a folder that is not yet where anyone looks for it."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from pathlib import Path

from packaging.utils import canonicalize_name

from flowerbed.counting import counted
from flowerbed.environments.cache import Progress, write_durably
from flowerbed.environments.model import FORMAT, IN_USE, LAST_USED, MANIFEST, EnvironmentRequest
from flowerbed.environments.requirements import places
from flowerbed.environments.solving import LOCK, solve, write_project
from flowerbed.environments.sources import copy_local
from flowerbed.environments.uv import run, uv
from flowerbed.environments.uv_errors import explain
from flowerbed.errors import EnvironmentFailed

LOCKED = "requirements.txt"

_INSTALLED = (
    "import importlib.metadata as m,json;"
    "print(json.dumps(sorted({(d.metadata['Name'],d.version) for d in m.distributions()})))"
)

_PLAIN = ("-I", "-W", "ignore")
# Libraries' tests are half of all files and never imported; a file that does not compile is its library's
# affair. Not `compileall -j`: its workers wait for ever for work when their parent is killed.
_COMPILE = """
import os, py_compile, subprocess, sys
root, workers, mine = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
command = [sys.executable, "-I", "-W", "ignore", "-c", sys.orig_argv[sys.orig_argv.index("-c") + 1], root]
others = [subprocess.Popen([*command, str(workers), str(n)]) for n in range(1, workers)] if mine == 0 else []
files = []
for folder, folders, names in os.walk(root):
    folders[:] = sorted(set(folders) - {"test", "tests", "__pycache__"})
    files += [os.path.join(folder, name) for name in sorted(names) if name.endswith(".py")]
for path in files[mine::workers]:
    try:
        py_compile.compile(path, doraise=True)
    except (py_compile.PyCompileError, OSError, ValueError, RecursionError):
        pass
for other in others:
    other.wait()
"""

# `$0` is a path even when the shell found the program on PATH; no other program is started on the way.
_WRAPPER = """\
#!/bin/sh
here=$(CDPATH= cd -- "${{0%/*}}/../.." && pwd -P) || exit 127
exec "$here/bin/python" "$here/flowerbed/launchers/{name}.py" "$@"
"""


def build(wanted: EnvironmentRequest, folder: Path, progress: Progress) -> None:
    """Build an environment in a folder that does not exist yet.

    Nothing in it names the folder by its path (scripts find their Python relative to themselves), so it
    can be renamed.

    Parameters
    ----------
    wanted : EnvironmentRequest
        What shall be in it.
    folder : Path
        Where.
    progress : callable
        Is told each step, and what uv says.

    Raises
    ------
    EnvironmentFailed
        If anything goes wrong, or flwr is not exactly the release that was asked for.
    """
    python = folder / "bin" / "python"
    project = folder / ".project"
    doing = f"preparing Flower {wanted.release}"
    count = len(wanted.requirements)
    needs = "Flower alone" if not count else f"{count} of the app's dependencies" if count > 1 else "one dependency"

    folder.mkdir(parents=True)
    (folder / "uv.toml").touch()  # no settings from the folders above
    code, _, lines = uv(
        *("venv", "--allow-existing", "--relocatable", "--no-project", "--python", str(wanted.python.path), "."),
        cwd=folder,
    )
    if code != 0:
        raise explain(lines, doing=doing, where=str(wanted.python.path))
    (folder / "uv.toml").unlink()

    way = "solving" if wanted.lock is None else "from app.lock"
    progress(f"preparing Flower {wanted.release} on Python {wanted.python.version}: {way} ({needs})")
    paths = _own_copies(wanted, project / "local")
    if wanted.lock is None:
        write_project(project, [*wanted.requirements, f"flwr=={wanted.release}"], wanted.settings, paths)
        solved = solve(project, python, doing=doing, where=wanted.where, progress=progress)
        _check_release(wanted, solved.get("flwr"), "the solve gave")
        progress(f"installing {counted(len(solved), 'package')}")
        what = ("--preview-features", "pylock", "-r", LOCK)
    else:
        write_project(project, [], places(wanted.settings), {})
        text = "".join(f"{package.requirement}\n" for package in wanted.lock.packages)
        (project / LOCKED).write_text(text, encoding="utf-8")
        what = ("--require-hashes", "--no-deps", "-r", LOCKED)
    code, _, lines = uv("pip", "install", "--python", str(python), *what, cwd=project, progress=progress)
    if code != 0:
        raise explain(lines, doing=doing, where=wanted.where)
    packages = _installed(python, folder)
    _check_release(wanted, dict(packages).get("flwr"), "what was installed is")

    compiling = "compiling, so that each of Flower's programs starts quickly"
    progress(compiling)
    _write_launchers(wanted, folder)
    for part, workers in (("lib", os.cpu_count() or 1), ("flowerbed", 1)):
        command = [str(python), *_PLAIN, "-c", _COMPILE, part, str(workers), "0"]
        run(command, cwd=folder, progress=progress, doing=compiling)

    shutil.rmtree(project)  # it names the index and the user's folders
    (folder / IN_USE).touch()
    (folder / LAST_USED).touch()
    manifest = {
        "format": FORMAT,
        "key": wanted.key,
        "flwr": wanted.release,
        "python": wanted.python.version,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "asked": wanted.asked(),
        "packages": [f"{name}=={version}" for name, version in packages],
    }
    write_durably(folder / MANIFEST, json.dumps(manifest, indent=1, default=str) + "\n")


def _check_release(wanted: EnvironmentRequest, found: str | None, what: str) -> None:
    if found != wanted.release:
        raise EnvironmentFailed(
            f"Flower {wanted.release} was asked for, and {what} {'no flwr' if found is None else f'flwr {found}'}",
            where=wanted.where,
            hint="A dependency of the app, or a setting for uv, puts another flwr in its place.",
        )


def _own_copies(wanted: EnvironmentRequest, to: Path) -> dict[str, Path]:
    """Copy local projects, as building them would write into their folders; a wheel or an archive stays where it is."""
    copies = {name: path if path.is_file() else to / name for name, path in wanted.paths.items()}
    for name, path in wanted.paths.items():
        if not path.is_file():
            copy_local(path, copies[name], copies, wanted.python.markers())
    return copies


def _installed(python: Path, folder: Path) -> list[tuple[str, str]]:
    code, output, lines = run([str(python), "-I", "-c", _INSTALLED], cwd=folder)
    if code != 0:
        raise EnvironmentFailed("the environment's Python does not start: " + "\n".join(lines[-5:]), where=str(python))
    return sorted((canonicalize_name(name), str(version)) for name, version in json.loads(output))


def _write_launchers(wanted: EnvironmentRequest, folder: Path) -> None:
    programs, scripts = folder / "flowerbed" / "bin", folder / "flowerbed" / "launchers"
    programs.mkdir(parents=True)
    scripts.mkdir()
    for name, text in wanted.launchers.items():
        (scripts / f"{name}.py").write_text(text, encoding="utf-8")
        program = programs / name
        program.write_text(_WRAPPER.format(name=name), encoding="utf-8")
        program.chmod(0o755)
    for path, text in wanted.modules.items():
        module = folder / "flowerbed" / path
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(text, encoding="utf-8")
