"""Something wrong with a federation, and at which key; `flowerbed.spec.load` knows the line of each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""A way into the file: ``("spec", "supernodes", 0, "name")``."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Parameters
    ----------
    path : tuple of str or int
        The key that is wrong, as keys and list indices from the top of the file.
    message : str
        What is wrong.
    hint : str or None
        What to write instead.
    """

    path: Path
    message: str
    hint: str | None = None


def dotted(path: Path) -> str:
    """Write a path as people do: ``spec.supernodes[0].name``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
