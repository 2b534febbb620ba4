"""What the check of an app in Flower's environment has found, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowerbed.errors import AppError
from flowerbed.flower.missing import Packing, hint_for

_CANNOT = {"serverapp": "the ServerApp cannot be imported", "clientapp": "the ClientApp cannot be imported"}


def explain(answer: Mapping[str, Any], app: Path, packing: Packing | None = None) -> None:
    """Refuse an app that did not pass `flowerbed_inside.submit.check`.

    Parameters
    ----------
    answer : mapping
        The check's last line.
    app : Path
        The app's folder, as the user has it.
    packing : Packing or None
        What decides which files were there; without one, a FAB's rules alone.

    Raises
    ------
    AppError
        If it did not pass.
    """
    if answer["ok"]:
        return
    hint = None
    if module := answer.get("missing_module"):
        rules = packing or Packing("FAB", ())
        patterns = {**rules.patterns, "Flower": answer.get("built_in") or ()}
        packed = replace(rules, packed=frozenset(answer.get("fab_files") or ()), patterns=patterns)
        hint = hint_for(app, module, packed, answer.get("installed") or "")
    traceback = str(answer.get("traceback") or "").rstrip()
    what = _CANNOT.get(answer["stage"], "no FAB can be built from the app")
    raise AppError(f"{what}: {answer['message']}" + (f"\n{traceback}" if traceback else ""), where=str(app), hint=hint)
