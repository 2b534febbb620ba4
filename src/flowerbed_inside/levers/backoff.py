"""Who asks for an object that is not there yet asks again soon, instead of after 1, 2 and 4 seconds.

The time still doubles with each attempt.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

from typing import Any

from flowerbed_inside.levers.lever import Lacking
from flowerbed_inside.levers.pace import first_of

PRIVATE = {
    "flwr.common.inflatable_utils:pull_objects": ">=1.22,<1.27",
    "flwr.common.inflatable_utils:pull_and_inflate_object_from_tree": ">=1.22,<1.27",
    "flwr.supercore.inflatable.inflatable_utils:pull_objects": ">=1.27",
    "flwr.supercore.inflatable.inflatable_utils:pull_and_inflate_object_from_tree": ">=1.27",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""

MODULES = ("flwr.supercore.inflatable.inflatable_utils", "flwr.common.inflatable_utils")
FUNCTIONS = ("pull_objects", "pull_and_inflate_object_from_tree")
OPTION = "initial_backoff"
FIRST_SECONDS = 0.02


def take() -> None:
    """Have this program ask again soon."""
    module = first_of(MODULES)
    defaults: list[dict[str, Any]] = []
    for name in FUNCTIONS:
        options = getattr(module, name).__kwdefaults__ or {}
        if OPTION not in options:
            raise Lacking(f"{name} of {module.__name__} has no option {OPTION}")
        defaults.append(options)
    for options in defaults:
        options[OPTION] = FIRST_SECONDS
