"""Runs one of Flower's programs once everything that it dials is there.

Stock SuperNodes and SuperExecs that start before what they dial back off for up to 44 s (measured on 1.22).
This launcher lies on PATH under the program's own name: it imports the program at once, which is the slow part
of its start, waits until each address in ``FLOWERBED_WAIT_FOR`` accepts connections and the file that
``FLOWERBED_WAIT_FOR_FILE`` names exists, and only then lets it begin. The program is the release's own entry point,
in this same process, with its own arguments.

``FLOWERBED_SETTLE_SECONDS`` has the program begin no sooner than so long after the start, unless an address had to be
waited for: see `node_keys`.

Before it waits it writes a byte to the descriptor that ``FLOWERBED_IMPORTED`` names, if any: whoever reads it may
now start what would have been in its way on the same few cores.

The file says that the SuperLink has answered a first request. Up to 1.27 it makes its database at that request, and
several first requests at once make it fail on 1.26 and 1.27 (``table alembic_version already exists``: 4 of 4 trials
with five clients; none with one request before them).

It runs in Flower's environment: standard library and flwr only.
"""

import contextlib
import functools
import os
import socket
import sqlite3
import sqlite3.dbapi2
import sys
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

WAIT_FOR = "FLOWERBED_WAIT_FOR"
WAIT_FOR_FILE = "FLOWERBED_WAIT_FOR_FILE"
IMPORTED = "FLOWERBED_IMPORTED"
SETTLE = "FLOWERBED_SETTLE_SECONDS"
POLL_SECONDS = 0.05
SQLITE_SECONDS = 25.0
"""Less than the 30 s that Flower's HTTP clients wait for an answer."""


def answers(address: str) -> bool:
    """Tell whether something accepts connections at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2.0):
            return True
    except OSError:
        return False


def wait_for(addresses: list[str], file: str) -> bool:
    """Return when every address has accepted a connection, and the file, if any, exists; tell if that took time."""
    waits: list[tuple[str, Callable[[], bool]]] = [
        (address, functools.partial(answers, address)) for address in addresses
    ]
    if file:
        waits.append(("the SuperLink", Path(file).exists))
    told = False
    for what, is_there in waits:
        while not is_there():
            if not told:
                print(f"[flowerbed: waiting until {what} answers]", flush=True)
                told = True
            time.sleep(POLL_SECONDS)
    return told


def wait_longer_for_sqlite() -> None:
    """Have every later connection to an SQLite database wait longer for its turn to write.

    The default is 5 s. When sixteen SuperNodes push their replies at once on two cores, some writers of the SuperLink
    wait longer than that; it then answers 500, and the SuperNode drops the reply (seen on 1.41).
    """
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def patient(*args: Any, **options: Any) -> sqlite3.Connection:
        if len(args) < 2:  # the second positional argument is the timeout
            options.setdefault("timeout", SQLITE_SECONDS)
        return connect(*args, **options)

    for module in (sqlite3, sqlite3.dbapi2):  # SQLAlchemy asks the second
        module.connect = patient  # type: ignore[attr-defined]


def main() -> object:
    """Run the program under whose name this was started."""
    began = time.monotonic()
    name = Path(sys.argv[0]).name.removesuffix(".py")
    sys.argv[0] = name
    if name == "flower-superlink":
        wait_longer_for_sqlite()
    for entry in distribution("flwr").entry_points:
        if entry.group == "console_scripts" and entry.name == name:
            program = entry.load()
            break
    else:
        print(f"flowerbed: this release of Flower has no program {name!r}", file=sys.stderr)
        return 127
    if imported := os.environ.pop(IMPORTED, ""):
        with contextlib.suppress(OSError):  # nobody waits for it any more
            os.write(int(imported), b"!")
        os.close(int(imported))
    addresses = os.environ.pop(WAIT_FOR, "").split(",")
    waited = wait_for([address for address in addresses if address], os.environ.pop(WAIT_FOR_FILE, ""))
    left = began + float(os.environ.pop(SETTLE, "0")) - time.monotonic()
    if left > 0 and not waited:
        print(f"[flowerbed: one of this name may have just left; it begins in {left:.1f} s]", flush=True)
        time.sleep(left)
    return program()


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[arg-type]
