"""Which levers the programs of a federation took, from what their logs say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import flowerbed_inside
from flowerbed_inside.launch.execution import WARM, last_said
from flowerbed_inside.levers import lean
from flowerbed_inside.levers.lever import NAMES

FORK = "fork"
_PARTS = {"announce": "hold"}
"""Levers that are parts of another one, and so are taken with it."""
_LACKING = re.compile(r"\[flowerbed: without the lever (\w+): ")


def offered() -> set[str]:
    """Return the levers that some program takes where the release has what it needs; that of `FORK` is said aloud."""
    found: set[str] = set()
    for folder in flowerbed_inside.__path__:
        for path in Path(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id="take" | "is_on") | ast.Attribute(attr="is_on"), args=[name, *_]):
                        words = [part.value for part in ast.walk(name) if isinstance(part, ast.Constant)]
                        found.update(word for word in words if word in NAMES)
    return found - {FORK}


def levers(logs: Path, minor: str) -> tuple[str, ...]:
    """Return the levers that the programs of a release took, whose logs are in a folder."""
    texts = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in logs.glob("*.log")}
    lacking = {name for text in texts.values() for name in _LACKING.findall(text)}
    lacking |= set() if minor in lean.RELEASES else {"lean"}
    lacking |= {part for part, whole in _PARTS.items() if whole in lacking}
    said = [last_said(text) for name, text in texts.items() if "superexec" in name]
    forked = bool(said) and all(one is not None and one.mode == WARM and not one.shortfall for one in said)
    taken = (offered() - lacking) | ({FORK} if forked else set())
    return tuple(name for name in NAMES if name in taken)
