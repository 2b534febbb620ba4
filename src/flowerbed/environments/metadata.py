"""The dependencies that only an app's build back end knows, asked for as PEP 517 says.

The back end runs in a virtual environment of its own and on a copy of the app, so that nothing in the
user's folder changes. Its answer is kept until a file changes from which it may have come.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowerbed.environments.cache import Progress, cache_root, scratch, write_durably
from flowerbed.environments.python import Interpreter
from flowerbed.environments.requirements import place_of
from flowerbed.environments.sources import build_digest, copy_project
from flowerbed.environments.uv import run, uv, uv_environment
from flowerbed.environments.uv_errors import explain
from flowerbed.errors import AppError

_LEGACY = {"requires": ["setuptools>=40.8.0"], "build-backend": "setuptools.build_meta:__legacy__"}

_NO_HISTORY = {
    # The copy has no .git, from which these tools would take a version that nobody needs here.
    "SETUPTOOLS_SCM_PRETEND_VERSION": "0",
    "PBR_VERSION": "0",
    "PDM_BUILD_SCM_VERSION": "0",
    "POETRY_DYNAMIC_VERSIONING_BYPASS": "0",
    "UV_DYNAMIC_VERSIONING_BYPASS": "0",
}

# Runs in the back end's environment: `hook.py requires|metadata BACKEND PATH…`; the answer is a file, as
# back ends print what they like.
_HOOK = """
import email, importlib, json, os, sys, zipfile
task, backend, answer, *paths = sys.argv[1:]
sys.path[:0] = [os.path.abspath(path) for path in paths]
module, _, attribute = backend.partition(":")
hooks = importlib.import_module(module)
for name in filter(None, attribute.split(".")):
    hooks = getattr(hooks, name)
if task == "requires":
    result = list(getattr(hooks, "get_requires_for_build_wheel", lambda settings: [])(None))
else:
    out = os.path.abspath("../metadata")
    os.makedirs(out)
    if hasattr(hooks, "prepare_metadata_for_build_wheel"):
        text = open(os.path.join(out, hooks.prepare_metadata_for_build_wheel(out, None), "METADATA"), "rb").read()
    else:
        with zipfile.ZipFile(os.path.join(out, hooks.build_wheel(out, None, None))) as wheel:
            [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
            text = wheel.read(name)
    result = [str(line) for line in email.message_from_bytes(text).get_all("Requires-Dist") or []]
with open(answer, "w") as file:
    json.dump(result, file)
"""


def dynamic_dependencies(app: Path, pyproject: Mapping[str, Any], python: Interpreter, progress: Progress) -> list[str]:
    """Return an app's dependencies as its build back end tells them, without those of its extras.

    Raises
    ------
    AppError
        If the back end fails.
    EnvironmentFailed
        If the back end cannot be installed.
    """
    asked = json.dumps([1, python.version, python.abi, build_digest(app)])
    known = cache_root() / "dependencies" / f"{hashlib.sha256(asked.encode()).hexdigest()[:24]}.json"
    try:
        answer = json.loads(known.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        progress("asking the app's build back end for its dependencies")
        answer = _ask(app, pyproject, python, progress)
        known.parent.mkdir(parents=True, exist_ok=True)
        write_durably(known, json.dumps(answer))
    return [str(line) for line in answer]


def _ask(app: Path, pyproject: Mapping[str, Any], python: Interpreter, progress: Progress) -> list[str]:
    system = pyproject.get("build-system", _LEGACY)
    backend = str(system.get("build-backend", _LEGACY["build-backend"]))
    paths = [str(path) for path in system.get("backend-path", [])]
    if backend == _LEGACY["build-backend"]:
        paths = [*paths, "."]
    file = app / "pyproject.toml"
    where = place_of("build-backend", file.read_text(encoding="utf-8"), str(file))
    with scratch() as folder:
        copy = folder / "app"
        copy_project(app, copy)
        environment = folder / "venv"
        hook = folder / "hook.py"
        hook.write_text(_HOOK, encoding="utf-8")
        (folder / "uv.toml").touch()  # uv looks for settings in the folders above, and stops here
        _uv(where, folder, progress, "venv", "--no-project", "--python", str(python.path), str(environment))
        _install(system.get("requires", []), environment, where, folder, progress)
        env = {**_NO_HISTORY, **uv_environment(os.environ), "PYTHONDONTWRITEBYTECODE": "1"}
        env["PATH"] = f"{environment / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"

        def ask(task: str) -> list[str]:
            answer = folder / f"{task}.json"
            command = [str(environment / "bin" / "python"), "-P", str(hook), task, backend, str(answer), *paths]
            code, output, lines = run(command, cwd=copy, env=env)
            if code != 0:
                said = "\n".join([*output.splitlines(), *lines][-20:])
                raise AppError(f"the app's build back end {backend} cannot tell its dependencies\n{said}", where=where)
            # Back ends write absolute paths of what lies in or beside the project.
            return [str(line).replace(copy.as_uri(), app.as_uri()) for line in json.loads(answer.read_text("utf-8"))]

        _install(ask("requires"), environment, where, folder, progress)
        return [line for line in ask("metadata") if not _of_an_extra(line)]


def _of_an_extra(requirement: str) -> bool:
    """Tell whether a requirement belongs to an extra only, as back ends write it."""
    return re.search(r"\bextra\s*==", requirement.partition(";")[2]) is not None


def _install(requirements: list[str], environment: Path, where: str, folder: Path, progress: Progress) -> None:
    if requirements:
        _uv(where, folder, progress, "pip", "install", "--python", str(environment), *map(str, requirements))


def _uv(where: str, folder: Path, progress: Progress, *arguments: str) -> None:
    code, _, lines = uv(*arguments, cwd=folder, progress=progress)
    if code != 0:
        raise explain(lines, doing="installing the app's build back end", where=where)
