"""Running uv: with the user's own index settings, and with its progress passed on."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowerbed.environments.cache import Progress, silent
from flowerbed.environments.uv_progress import Ongoing
from flowerbed.errors import EnvironmentFailed
from flowerbed.processes import die_with_parent

QUIET_SECONDS = 5.0
"""After so many seconds without a line from uv, progress says that it still works."""

_FROM_PIP = {
    # pip's setting: (uv's setting, any of which set by the user wins)
    "PIP_INDEX_URL": ("UV_INDEX_URL", "UV_DEFAULT_INDEX"),
    "PIP_EXTRA_INDEX_URL": ("UV_EXTRA_INDEX_URL", "UV_INDEX"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
    "PIP_NO_INDEX": ("UV_NO_INDEX",),
    "PIP_TRUSTED_HOST": ("UV_INSECURE_HOST",),
    "PIP_DEFAULT_TIMEOUT": ("UV_HTTP_TIMEOUT",),
    "PIP_CERT": ("SSL_CERT_FILE",),
}
_NOT_FOR_UV = (
    # These speak of the Python or project in which *we* run, and would change what uv builds.
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "SOURCE_DATE_EPOCH",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_REQUIRE_HASHES",
    "UV_SYSTEM_PYTHON",
    "UV_VENV_SEED",
    "UV_WORKING_DIRECTORY",
    "UV_WORKING_DIR",
    "UV_OVERRIDE",
)


def find_uv(environ: Mapping[str, str] = os.environ) -> Path:
    """Return uv's binary: ``$FLOWERBED_UV``, else the one that was installed with us.

    Raises
    ------
    EnvironmentFailed
        If there is none.
    """
    if own := environ.get("FLOWERBED_UV"):
        if os.access(own, os.X_OK) and Path(own).is_file():
            return Path(own)
        raise EnvironmentFailed("FLOWERBED_UV names no program that can be started", where=own)
    from uv import find_uv_bin  # only when it is needed: a warm start never asks for uv

    try:
        return Path(find_uv_bin())
    except FileNotFoundError as error:
        raise EnvironmentFailed(
            "uv, which builds Flower's environments, is missing",
            hint="Reinstall flowerbed, or set FLOWERBED_UV to a uv binary.",
        ) from error


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for uv: the user's, with pip's index settings where uv has none of its own."""
    env = {name: value for name, value in environ.items() if name not in _NOT_FOR_UV}
    env.setdefault("UV_PYTHON_DOWNLOADS", "never")
    env["NO_COLOR"] = "1"
    for setting, (target, *others) in _FROM_PIP.items():
        value = environ.get(setting, "").strip()
        if not value or any(name in environ for name in (target, *others)):
            continue
        if setting == "PIP_FIND_LINKS":
            # pip takes a list with spaces and forgives a folder that is not there; uv does neither.
            found = [place for place in value.split() if "://" in place or Path(place).is_dir()]
            value = ",".join(found)
        if setting == "PIP_NO_INDEX":
            value = "0" if value.lower() in {"0", "false", "no", "off"} else "1"
        if value:
            env[target] = value
    return env


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    progress: Progress = silent,
    env: Mapping[str, str] | None = None,
    doing: str = "",
) -> tuple[int, str, list[str]]:
    """Run a program to its end, passing on what it says about its progress.

    It dies with this process, and is ended when this call is interrupted.

    Parameters
    ----------
    argv : sequence of str
        The command.
    cwd : Path
        Where it runs; uv reads the settings of the project that lies there.
    progress : callable
        Is told each line that says something, and a sign of life when there is none.
    env : mapping or None
        Its environment; that for uv if None.
    doing : str
        What to say from time to time of a program that says nothing itself.

    Returns
    -------
    code : int
        Its exit code.
    output : str
        What it wrote to its standard output.
    lines : list of str
        What it wrote to its standard error.
    """
    parent = os.getpid()
    child = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env) if env is not None else uv_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: die_with_parent(signal.SIGKILL, parent),
    )
    try:
        output, lines = _read(child, progress, Ongoing(doing))
        return child.wait(), output, lines
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(timeout=3)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def uv(*arguments: str, cwd: Path, progress: Progress = silent) -> tuple[int, str, list[str]]:
    """Run uv as `run` does."""
    return run([str(find_uv()), *arguments], cwd=cwd, progress=progress)


def _read(child: subprocess.Popen[bytes], progress: Progress, ongoing: Ongoing) -> tuple[str, list[str]]:
    assert child.stdout is not None  # noqa: S101 - asked for above; for the type checker
    assert child.stderr is not None  # noqa: S101
    output, rest = bytearray(), b""
    lines: list[str] = []
    since = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(child.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(QUIET_SECONDS)
            if not ready and ongoing.now:
                progress(f"{ongoing.now} … {time.monotonic() - since:.0f} s")
            for key, _ in ready:
                block = os.read(key.fd, 65536)
                if not block:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stdout:
                    output += block
                else:
                    *whole, rest = (rest + block).split(b"\n")
                    for raw in whole:
                        line = raw.decode(errors="replace").rstrip()
                        lines.append(line)
                        if said := ongoing.hear(line):
                            since = time.monotonic()
                            progress(said)
    if rest:
        lines.append(rest.decode(errors="replace").rstrip())
    return output.decode(errors="replace"), lines


def uv_cache() -> Path | None:
    """Return where uv keeps what it downloads, there or not; None where it does not find a place."""
    code, output, _ = uv("cache", "dir", cwd=Path("/"))
    return Path(output.strip()) if code == 0 and output.strip() else None
