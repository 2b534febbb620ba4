"""Stands for a SuperExec: it starts programs as Flower's does, one for each line that it reads.

A line is a JSON list, the command, or an object with ``argv`` and ``quiet``. It answers with a line: the process id.
Its programs run the Python that is their last argument. An empty command has it say in which ways its processes ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[2] / "src"


def app() -> None:
    """Run the program that is the last argument."""
    exec(compile(sys.argv[-1], "app", "exec"), {"__name__": "app"})  # noqa: S102 - a test's own code


def main() -> None:
    """Start what is asked for."""
    sys.path.insert(0, str(SOURCES))
    from flowerbed_inside.launch import fork_server

    fork_server.ANSWER_SECONDS = float(os.environ.get("TEST_ANSWER_SECONDS", fork_server.ANSWER_SECONDS))
    fork_server.begin({"flwr-clientapp": app, "flwr-serverapp": app}, lambda: None)
    started: list[subprocess.Popen[bytes]] = []
    for line in sys.stdin:
        asked = json.loads(line)
        if asked == "ends":
            print(json.dumps([one.wait() for one in started]), flush=True)
            continue
        options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if asked["quiet"] else {}
        started.append(subprocess.Popen(asked["argv"], **options))
        print(json.dumps(started[-1].pid), flush=True)


if __name__ == "__main__":
    if Path(sys.argv[0]).name.startswith("flwr-"):
        app()
    else:
        main()
