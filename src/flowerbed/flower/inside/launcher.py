"""Runs one of Flower's programs once everything that it dials accepts connections.

Stock SuperNodes and SuperExecs that start before what they dial back off for up to 44 s (measured on 1.22).
This launcher lies on PATH under the program's own name: it imports the program at once, which is the slow part
of its start, waits until each address in ``FLOWERBED_WAIT_FOR`` answers, and only then lets it begin. The program
is the release's own entry point, in this same process, with its own arguments.

It runs in Flower's environment: standard library and flwr only.
"""

import os
import socket
import sys
import time
from importlib.metadata import distribution
from pathlib import Path

WAIT_FOR = "FLOWERBED_WAIT_FOR"
POLL_SECONDS = 0.05


def answers(address: str) -> bool:
    """Tell whether something accepts connections at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=2.0):
            return True
    except OSError:
        return False


def wait_for(addresses: list[str]) -> None:
    """Return when every address has accepted a connection."""
    told = False
    for address in addresses:
        while not answers(address):
            if not told:
                print(f"[flowerbed: waiting until {address} answers]", flush=True)
                told = True
            time.sleep(POLL_SECONDS)


def main() -> object:
    """Run the program under whose name this was started."""
    name = Path(sys.argv[0]).name.removesuffix(".py")
    sys.argv[0] = name
    for entry in distribution("flwr").entry_points:
        if entry.group == "console_scripts" and entry.name == name:
            program = entry.load()
            break
    else:
        print(f"flowerbed: this release of Flower has no program {name!r}", file=sys.stderr)
        return 127
    wait_for([address for address in os.environ.pop(WAIT_FOR, "").split(",") if address])
    return program()


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[arg-type]
