"""What an environment is: what was asked for, what it came to, and the names of what lies in its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the supervisor, which has to stay small, only holds environments
    from flowerbed.environments.app_lock import AppLock
    from flowerbed.environments.python import Interpreter

FORMAT = 1
"""Of an environment's folder; another number makes other keys."""

MANIFEST = "flowerbed-environment.json"
LAST_USED = "last-used"
IN_USE = ".in-use"
BUILDING = ".building-"
"""Between an environment's name and what makes the folder of a build unique."""


@dataclass(frozen=True)
class EnvironmentRequest:
    """What an environment shall contain.

    Parameters
    ----------
    release : str
        The exact Flower release.
    python : Interpreter
        The Python below it.
    requirements : tuple of str
        Normalised and sorted, without flwr.
    settings : mapping
        The app's own settings for uv.
    paths : mapping of str to Path
        Dependencies that lie on this machine.
    digests : mapping of str to str
        Their fingerprints.
    launchers : mapping of str to str
        Name of a program → the Python script that stands for it.
    modules : mapping of str to str
        Path in the folder above these scripts → what they import from there.
    where : str or None
        The app's pyproject.toml, for messages.
    lock : AppLock or None
        Which packages that comes to; solved when it is built without one.
    """

    release: str
    python: Interpreter
    requirements: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    launchers: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    where: str | None = None
    lock: AppLock | None = None

    def asked(self) -> dict[str, Any]:
        """Return all that makes this environment another one; where things lie does not."""
        return {
            "format": FORMAT,
            "flwr": self.release,
            "python": {
                "version": self.python.version,
                "implementation": self.python.implementation,
                "abi": self.python.abi,
                "platform": self.python.platform,
            },
            "requirements": list(self.requirements),
            "settings": dict(self.settings),
            "local": dict(self.digests),
            "launchers": _digests(self.launchers),
            "modules": _digests(self.modules),
            **({} if self.lock is None else {"lock": self.lock.digest}),
        }

    @property
    def key(self) -> str:
        """A sha256 over `asked`, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.asked(), sort_keys=True, default=str).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.release}-{self.key[:12]}"


def _digests(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


@dataclass(frozen=True)
class Environment:
    """An environment that is there.

    Parameters
    ----------
    path : Path
        Its folder.
    release : str
        The exact Flower release in it.
    key : str
        That of its request.
    python_version : str
        The whole version of its Python.
    packages : tuple of str
        All that is installed, as ``name==version``.
    requirements : tuple of str
        What was asked for beside flwr.
    """

    path: Path
    release: str
    key: str
    python_version: str
    packages: tuple[str, ...]
    requirements: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.bin / "python"

    @property
    def bin(self) -> Path:
        """The folder of Flower's programs."""
        return self.path / "bin"

    @property
    def launcher_bin(self) -> Path:
        """The folder of our launchers; goes before `bin` on PATH."""
        return self.path / "flowerbed" / "bin"
