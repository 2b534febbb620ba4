"""What the check of an app in Flower's environment has found, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowerbed.errors import AppError

_CANNOT = {"serverapp": "the ServerApp cannot be imported", "clientapp": "the ClientApp cannot be imported"}


def explain(answer: Mapping[str, Any], where: str) -> None:
    """Refuse an app that did not pass `flowerbed.flower.inside.CHECK`.

    Parameters
    ----------
    answer : mapping
        The check's last line.
    where : str
        The app's folder, for the message.

    Raises
    ------
    AppError
        If it did not pass.
    """
    if answer["ok"]:
        return
    hint = None
    if answer.get("missing_module"):
        hint = (
            f"Add the package with the module {answer['missing_module']!r} to the app's dependencies in pyproject.toml."
        )
    traceback = str(answer.get("traceback") or "").rstrip()
    what = _CANNOT.get(answer["stage"], "no FAB can be built from the app")
    raise AppError(f"{what}: {answer['message']}" + (f"\n{traceback}" if traceback else ""), where=where, hint=hint)
