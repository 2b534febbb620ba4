"""Submits an app from inside the cluster: the one program of a run's Job, with the app's own image.

::

    python -u FOLDER submit.main --dialect {grpc122|grpc|http} --address HOST:PORT [--root-certificates FILE]
                        [--client-certificate FILE --client-key FILE] {--inbox DIR | --baked DIR} [--patience S]
    python -u FOLDER submit.main --receive --inbox DIR
    python -u FOLDER submit.main --packages

The first waits until the app's folder is at ``--inbox`` (``--baked`` is a folder that the image brings: nothing is
waited for) and the SuperLink answers, builds the FAB, starts one run of it with the run config that
``FLOWERBED_RUN_CONFIG`` holds as JSON, and says in one line what came of it, as the control client does::

    {"ok": true, "run", "fab_hash", "fab_id", "fab_version", "fab_files", "fab_size"}
    {"ok": false, "error": {"code", "message"}}

The same, without ``fab_files``, goes to ``/dev/termination-log`` where a kubelet has put one. The exit status is 0
or 1. A run is submitted at most once: what may have been taken is not sent again. Beside the client's error codes there
is ``no-app``: none came in time.

The second, started by exec in the first one's container, brings the app: on standard input a line with a number, then
that many bytes of a gzipped tar. They are counted because not every Kubernetes can close the standard input of what it
executes. Nothing is written outside the folder, which is there whole or not at all. The same bytes may come twice.

The third says what the image holds: ``{"packages": {name: version}, "python", "flwr", "markers"}``, where ``markers``
is the environment in which a requirement's markers are judged (PEP 508).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from flowerbed_inside.control import api, client, fab
from flowerbed_inside.submit import inbox

CONFIG = "FLOWERBED_RUN_CONFIG"
TERMINATION_LOG = Path("/dev/termination-log")
TERMINATION_BYTES = 4096
"""As much of it as Kubernetes shows."""

PATIENCE_SECONDS = 300.0
"""How long the app may take to come, and the SuperLink to answer."""

_POLL = 0.1


def submit(connect: Callable[[], api.Control], folder: Path, config: dict[str, Any], patience: float) -> dict[str, Any]:
    """Start one run of the app in a folder, once both it and the SuperLink are there; return what was started.

    Raises
    ------
    client.RequestError
        If no app comes, or it or the config is none.
    api.ControlError
        If the SuperLink does not take it.
    """
    until = time.monotonic() + patience
    import_module("flwr.common.serde")  # Flower is imported while the app is on its way
    control = connect()
    fab.preload()
    while not folder.is_dir():
        if time.monotonic() >= until:
            raise client.RequestError("no-app", f"no app came to {folder} within {patience:g} s")
        time.sleep(_POLL)
    _wait_until_it_answers(control, until)
    try:
        return client.submit(control, folder, config)
    except api.ControlError as failure:
        if failure.code != "unavailable":
            raise
        message = f"{failure.message}; it went away while the app was sent, and may have started a run of it"
        raise api.ControlError(failure.code, message) from failure


def _wait_until_it_answers(control: api.Control, until: float) -> None:
    """Return when the SuperLink has answered something: a question may be asked again, a submission may not."""
    while True:
        try:
            control.runs("0")
        except api.ControlError as failure:
            if failure.code != "unavailable":  # that there is no such run is an answer
                return
            if time.monotonic() >= until:
                raise
        else:
            return
        time.sleep(_POLL)


def answer(connect: Callable[[], api.Control], folder: Path, patience: float) -> dict[str, Any]:
    """Return what came of it, whatever came."""
    try:
        return {"ok": True, **submit(connect, folder, run_config(), patience)}
    except (client.RequestError, api.ControlError) as failure:
        return _failed(failure.code, failure.message)
    except BaseException as failure:
        traceback.print_exc()
        return _failed("internal", f"{type(failure).__name__}: {failure}")


def run_config() -> dict[str, Any]:
    """Return the run config that the environment holds.

    Raises
    ------
    client.RequestError
        If it is none.
    """
    try:
        config = json.loads(os.environ.get(CONFIG) or "{}")
    except ValueError as error:
        raise client.RequestError("bad-config", f"{CONFIG} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise client.RequestError("bad-config", f"{CONFIG} is no JSON object")
    return config


def _failed(code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message}}


def note(said: dict[str, Any], path: Path) -> None:
    """Leave an answer, shortened, where Kubernetes shows it in the container's status; if it does."""
    short = {key: value for key, value in said.items() if key != "fab_files"}
    while len(text := json.dumps(short).encode()) > TERMINATION_BYTES and not said["ok"]:
        error = short["error"]
        short = {**short, "error": {**error, "message": error["message"][: len(error["message"]) * 3 // 4] + "…"}}
    if path.exists():
        with contextlib.suppress(OSError):
            path.write_bytes(text)


def packages() -> dict[str, Any]:
    """Return what this environment holds."""
    found: dict[str, str] = {}
    extras: dict[str, list[str]] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name not in found:  # a broken one has none, and the first on the path is what is imported
            found[name] = distribution.version
            extras[name] = [line for line in distribution.requires or [] if "extra" in line.partition(";")[2]]
    info = sys.implementation.version
    return {
        "packages": dict(sorted(found.items())),
        "extras": {name: lines for name, lines in sorted(extras.items()) if lines},
        "python": platform.python_version(),
        "flwr": found.get("flwr"),
        "markers": {
            "implementation_name": sys.implementation.name,
            "implementation_version": f"{info.major}.{info.minor}.{info.micro}",
            "os_name": os.name,
            "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "platform_release": platform.release(),
            "platform_system": platform.system(),
            "platform_version": platform.version(),
            "python_full_version": platform.python_version(),
            "python_version": ".".join(platform.python_version_tuple()[:2]),
            "sys_platform": sys.platform,
        },
    }


def main() -> None:
    """Do what the command line asks for."""
    # Process 1 of a container is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(description="Submits a Flower App for Flowerbed.", allow_abbrev=False)
    parser.add_argument("--dialect", choices=["grpc122", "grpc", "http"])
    parser.add_argument("--address", metavar="HOST:PORT")
    parser.add_argument("--root-certificates", type=Path, metavar="FILE")
    parser.add_argument("--client-certificate", type=Path, metavar="FILE")
    parser.add_argument("--client-key", type=Path, metavar="FILE")
    parser.add_argument("--inbox", type=Path, metavar="DIR")
    parser.add_argument("--baked", type=Path, metavar="DIR")
    parser.add_argument("--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS")
    parser.add_argument("--receive", action="store_true")
    parser.add_argument("--packages", action="store_true")
    parser.add_argument("--termination-log", type=Path, default=TERMINATION_LOG, metavar="FILE")
    arguments = parser.parse_args()

    if arguments.packages:
        print(json.dumps(packages()))
        return
    if arguments.receive:
        if arguments.inbox is None:
            parser.error("--receive needs --inbox")
        try:
            inbox.receive(sys.stdin.buffer, arguments.inbox.absolute())
        except (inbox.NotReceivedError, OSError) as error:
            print(f"flowerbed: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        return
    if not (arguments.dialect and arguments.address and (arguments.inbox is None) != (arguments.baked is None)):
        parser.error("--dialect, --address and one of --inbox and --baked are needed")
    outbox = client.take_standard_output()
    folder = (arguments.inbox or arguments.baked).absolute()
    said: list[dict[str, Any]] = []
    if arguments.baked and not folder.is_dir():
        said.append(_failed("bad-app", f"the image has no folder {folder}"))
    else:  # in a thread: while gRPC waits, the main thread is there for the signal

        def connect() -> api.Control:
            authority = arguments.root_certificates
            own = client.own(arguments.client_certificate, arguments.client_key)
            return api.connect(arguments.dialect, arguments.address, authority=authority, own=own)

        task = (connect, folder, arguments.patience)
        worker = threading.Thread(target=lambda: said.append(answer(*task)), daemon=True)
        worker.start()
        worker.join()
    note(said[0], arguments.termination_log)
    outbox.send(said[0])
    os._exit(0 if said[0]["ok"] else 1)
