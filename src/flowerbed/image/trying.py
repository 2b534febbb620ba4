"""An image is tried before anybody gets it: its own Python compiles the packages, and imports the app.

Both run in the image's files (`flowerbed.image.sandbox`), and only for this machine's own architecture.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowerbed.errors import ImageFailed
from flowerbed.flower.checked import explain
from flowerbed.image.app_files import packing
from flowerbed.image.base import MACHINES, Base
from flowerbed.image.sandbox import Running, Sandbox
from flowerbed_inside import bundles

_OURS = ".flowerbed"
_CHUNKS = 8
"""Into how many parts the files are divided, on every machine: what one process has seen may change its next result."""

# Code objects are written the same way each time if hashes are not random and the same files come in the same order.
# A file that does not compile is its library's affair. Flags say that nobody compares a file's time: it has none.
_COMPILE = """
import os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from py_compile import PycInvalidationMode, compile
chunks, *mine = map(int, sys.argv[1:])
files = open("/.flowerbed/files").read().split("\\0")
if mine:
    for path in files[mine[0]::chunks]:
        try:
            compile("/" + path, doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        except Exception:
            pass
else:
    script = [sys.executable, "-s", "-c", sys.orig_argv[sys.orig_argv.index("-c") + 1], str(chunks)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda chunk: subprocess.run([*script, str(chunk)], check=True), range(chunks)))
"""


def here() -> str:
    """Return this machine's architecture, as images name it."""
    machine = platform.machine()
    return next((name for name, known in MACHINES.items() if known == machine), machine)


def compile_packages(root: Path, base: Base, files: Path, gone: Sequence[str], environment: Mapping[str, str]) -> None:
    """Compile the Python files of a layer with the image's Python, beside them.

    Parameters
    ----------
    root : Path
        The base's files.
    base : Base
        What it is.
    files : Path
        The layer's files; the results are added.
    gone : sequence of str
        What the layer removes.
    environment : mapping of str to str
        The image's.

    Raises
    ------
    ImageFailed
        If the image's Python does not start.
    """
    place = files / base.site_packages
    wanted = [
        path.relative_to(files).as_posix()
        for path in sorted(place.rglob("*.py"))
        if not {"test", "tests"} & set(path.relative_to(place).parts)  # half of all files, and never imported
    ]
    with tempfile.TemporaryDirectory(dir=files.parent) as work:
        changes = Path(work, "changes")
        (changes / _OURS).mkdir(parents=True)
        (changes / _OURS / "files").write_text("\0".join(wanted), encoding="utf-8")
        env = {**environment, "PYTHONHASHSEED": "0"}
        python = [f"/{base.prefix}/bin/python", "-s", "-c", _COMPILE, str(_CHUNKS)]
        status, _, errors = Sandbox([root, files], env, gone).run(python, changes)
        if status != 0:
            raise _does_not_start(status, errors)
        for compiled in sorted((changes / base.site_packages).rglob("*.pyc")):
            if compiled.is_file():  # what is removed from a layer below is a device here
                copy = files / compiled.relative_to(changes)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(compiled, copy)


@dataclass(frozen=True)
class Trial:
    """An image that is being tried.

    Parameters
    ----------
    running : Running
        What tries it.
    where : str
        The app's folder here, for messages.
    """

    running: Running
    where: str

    def finish(self) -> None:
        """Wait for the result.

        Raises
        ------
        AppError
            If the app is none of Flower's, or its ServerApp or ClientApp cannot be imported; says what is missing.
        ImageFailed
            If the image's Python does not start.
        """
        status, output, errors = self.running.finish()
        answer = _last_line(output)
        if answer is None:
            raise _does_not_start(status, errors)
        explain(answer, Path(self.where), packing())


@contextmanager
def begun(
    layers: Sequence[Path], base: Base, gone: Sequence[str], environment: Mapping[str, str], app: str, *, where: str
) -> Iterator[Trial]:
    """Begin to check in an image that its app is one of Flower's, and that ServerApp and ClientApp can be imported.

    It takes seconds, in which other things can be done.

    Parameters
    ----------
    layers : sequence of Path
        The image's files, the base's first.
    base : Base
        What the base is.
    gone : sequence of str
        What upper layers remove.
    environment : mapping of str to str
        The image's.
    app : str
        The app's folder in the image, without a slash before it.
    where : str
        The app's folder here, for messages.
    """
    with tempfile.TemporaryDirectory(dir=layers[0].parent) as work:
        changes = Path(work, "changes")
        for name, file in bundles.bundle(bundles.CHECK).items():
            copy = changes / _OURS / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        env = {**environment, "HOME": "/tmp", "FLWR_HOME": "/tmp/flwr", "FLWR_TELEMETRY_ENABLED": "0"}  # noqa: S108
        argv = [f"/{base.prefix}/bin/python", f"/{_OURS}/{bundles.NAME}", bundles.CHECK, f"/{app}", "--named", where]
        with Sandbox(layers, env, gone).started(argv, changes) as running:
            yield Trial(running, where)


def _last_line(output: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return answer if isinstance(answer, dict) and "ok" in answer else None


def _does_not_start(status: int, errors: str) -> ImageFailed:
    said = "\n".join(errors.strip().splitlines()[-20:])
    return ImageFailed(f"nothing can be run in the image: its Python ended with {status}\n{said}".rstrip())


def of_image(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment that an image's configuration gives to its programs."""
    pairs = [str(one).partition("=") for one in (config.get("config") or {}).get("Env") or []]
    return {name: value for name, _, value in pairs}


def may_run(architecture: str, os_name: str = "linux") -> bool:
    """Tell whether programs of a platform run on this machine as they are."""
    return architecture == here() and os_name == os.uname().sysname.lower()
