"""The Pythons of this machine: which one an environment is built on."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from flowerbed.environments.uv import run, uv
from flowerbed.errors import EnvironmentFailed

_TELL = (
    "import json,platform,sys,sysconfig;print(json.dumps([getattr(sys,'_base_executable','') or sys.executable,"
    "platform.python_version(),sys.implementation.name,"
    "str(sysconfig.get_config_var('SOABI')),sysconfig.get_platform()]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python on this machine.

    Parameters
    ----------
    path : Path
        Its executable, not one of a virtual environment.
    version : str
        The whole version, such as ``3.11.7``.
    implementation : str
        ``cpython``, ``pypy``.
    abi, platform : str
        What its extension modules must fit: ``cpython-311-x86_64-linux-gnu``, ``linux-x86_64``.
    """

    path: Path
    version: str
    implementation: str
    abi: str
    platform: str

    @property
    def minor(self) -> str:
        """``3.11``."""
        return ".".join(self.version.split(".")[:2])

    def markers(self) -> dict[str, str]:
        """Return what differs from our own Python when a requirement's marker is evaluated."""
        return {
            "python_version": self.minor,
            "python_full_version": self.version,
            "implementation_name": self.implementation,
        }


def current() -> Interpreter:
    """Return the Python that runs us, or the one below our virtual environment."""
    path = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(
        path=Path(path),
        version=platform.python_version(),
        implementation=sys.implementation.name,
        abi=str(sysconfig.get_config_var("SOABI")),
        platform=sysconfig.get_platform(),
    )


def describe(path: Path) -> Interpreter:
    """Ask a Python what it is.

    Raises
    ------
    EnvironmentFailed
        If it does not start.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        code, output, lines = run([str(path), "-I", "-S", "-c", _TELL], cwd=Path("/"), env=env)
        executable, version, implementation, abi, tag = json.loads(output) if code == 0 else [""] * 5
    except (OSError, ValueError) as error:
        code, lines, executable = 1, [str(error)], ""
    if code != 0:
        raise EnvironmentFailed("this Python does not start: " + "\n".join(lines[-5:]), where=str(path))
    return Interpreter(Path(executable), version, implementation, abi, tag)


def find_python(minor: str) -> Path:
    """Find a Python of a minor version such as ``3.11``.

    Raises
    ------
    EnvironmentFailed
        If there is none; says which ones were found.
    """
    # Without a cache uv writes nothing but temporary files: `flowerbed doctor` asks too.
    code, output, _ = uv("python", "find", "--no-cache", "--no-project", minor, cwd=Path("/"))
    found = output.strip().splitlines()
    # Outside a project uv prefers the virtual environment that it is told of; we tell it none.
    if code == 0 and found:
        return Path(found[-1])
    known = ", ".join(sorted(installed(), key=_numbers)) or "none"
    raise EnvironmentFailed(
        f"no Python {minor} was found on this machine (found: {known})",
        hint=f"Install Python {minor} (for example with `uv python install {minor}`), "
        "or name one of those found as spec.python.",
    )


def installed() -> set[str]:
    """Return the versions of all Pythons that uv finds here."""
    code, output, _ = uv("python", "list", "--no-cache", "--only-installed", "--output-format", "json", cwd=Path("/"))
    if code != 0:
        return set()
    return {str(entry["version"]) for entry in json.loads(output or "[]")}


def choose_python(fitting: Sequence[str], *, requires: str = "") -> Interpreter:
    """Choose the Python for an environment: the one that runs us if it will do, else the first that is found.

    Parameters
    ----------
    fitting : sequence of str
        The minor versions that will do, such as ``["3.11", "3.12"]``; at least one.
    requires : str
        The app's ``requires-python``.

    Raises
    ------
    EnvironmentFailed
        If none of them is found.
    """
    ours = current()
    if ours.minor in fitting and allows(requires, ours.version):
        return ours
    reasons: list[EnvironmentFailed] = []
    for minor in fitting:
        try:
            return describe(find_python(minor))
        except EnvironmentFailed as error:
            reasons.append(error)
    raise reasons[0]


def allows(requires: str, version: str) -> bool:
    """Tell whether ``requires-python`` allows a version; of a minor one, whether it allows any patch of it."""
    try:
        specifier = SpecifierSet(requires)
    except InvalidSpecifier:
        return True  # the build back end will say so
    candidates = [version] if version.count(".") >= 2 else [f"{version}.{patch}" for patch in range(40)]
    return any(specifier.contains(candidate, prereleases=True) for candidate in candidates)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
