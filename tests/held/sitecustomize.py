"""On a SuperNode's PYTHONPATH: holds its first pull of a message open, just before the SuperLink is told of it.

The message and all its objects are there by then, and its ClientApp runs. A test ends the run meanwhile and lets go:
then the SuperLink refuses the rest of the pull, as it does by chance when a run ends in these few milliseconds.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

MODULE = "flwr.supernode.start_client_internal"


def first(folder: Path) -> bool:
    """Tell whether no SuperNode has held a pull yet; then ``held`` names this one."""
    mine = folder / f"held.{os.getpid()}"
    mine.write_text(os.environ.get("FLOWERBED_COMPONENT", ""))
    try:
        os.link(mine, folder / "held")
    except FileExistsError:
        return False
    return True


def hold(folder: Path) -> None:
    """Wrap the function that pulls a message, once it has been imported."""
    while not hasattr(sys.modules.get(MODULE), "start_client_internal"):
        time.sleep(0.01)
    module: Any = sys.modules[MODULE]
    pull = module._pull_and_store_message

    def pulling(**given):  # type: ignore[no-untyped-def]
        confirm = given["confirm_message_received"]

        def confirming(*message):  # type: ignore[no-untyped-def]
            if first(folder):
                while not (folder / "let-go").exists():
                    time.sleep(0.05)
            return confirm(*message)

        return pull(**given | {"confirm_message_received": confirming})

    module._pull_and_store_message = pulling


if os.environ.get("HOLD_A_PULL") and any("/flower-supernode" in word for word in sys.orig_argv):
    threading.Thread(target=hold, args=(Path(os.environ["HOLD_A_PULL"]),), daemon=True).start()
