"""Starts the SuperNode of a kit, and starts it again whenever it ends: ``./start``, in the folder of the kit.

It lies in that folder beside ``site.json``, which says what to run, ``keys/`` and ``programs/``. What it writes goes
into ``work/`` beside them. It needs a Python with the Flower release that the kit is for: the one that runs it, or the
one whose ``flower-supernode`` is on PATH.

SuperNode and SuperExec are one unit (`unit`): they end together, and are started again after a pause that doubles up to
a minute, each time with the next of the SuperNode's keys. SIGTERM and SIGINT end both, and this with the status 0:
once the SuperNode has replied to what it works on, if the kit or ``--finish SECONDS`` gives it time for that, or that
time is over, or it is asked again.

Standard library only. Linux only, as the unit is.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

FORMAT = 1
LONGEST_PAUSE = 60.0
SETTLED_SECONDS = 60.0
"""A unit that ran for so long is started again at once, however often it ended before."""

LOOPBACK = "127.0.0.1"
SCRATCH = "clientapps"
"""The folder below ``work/`` in which ClientApps work; their launcher and the SuperNode's say more of it."""
USAGE, NOT_LET_IN = 2, 77
REFUSED_HINT = "; is the SuperLink there? a kit that was revoked, or is older than the newest, is let in no more"
"""Some releases say in words of their own that a SuperNode is not let in, and end as if something else were wrong."""

_AGAIN = "FLOWERBED_SITE_PYTHON"

Site = dict[str, Any]


def main() -> int:
    """Run the kit beside this file until told to end."""
    kit = Path(__file__).resolve().parent
    asked = _parser().parse_args()
    site: Site = json.loads((kit / "site.json").read_text(encoding="utf-8"))
    if site["format"] != FORMAT:
        return _refuse("the kit and its start do not belong together")
    if (found := _release()) != site["flower"]:
        _elsewhere()
        have = f"has Flower {found}" if found else "has no Flower"
        return _refuse(
            f"this kit is for Flower {site['flower']}, and {sys.executable} {have}: pip install -r requirements.txt"
        )
    work = kit / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    lock = (work / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _refuse(f"another start runs in {kit}")
    say(f"SuperNode {site['node']} of {site['federation']}, Flower {site['flower']}, dials {site['dials']}")
    finish = float(site["finish"]) if asked.finish is None else asked.finish
    try:
        return _Keeping(site, kit, work, finish).run()
    finally:
        shutil.rmtree(work / SCRATCH, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    about = "Starts this kit's SuperNode, and starts it again whenever it ends."
    parser = argparse.ArgumentParser(prog="start", description=about, allow_abbrev=False)
    says = "how long it may take to reply to what it works on, if anything, once it is asked to end (as the kit says)"
    parser.add_argument("--finish", type=_seconds, metavar="SECONDS", help=says)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


class _Keeping:
    """Keeps the unit running."""

    def __init__(self, site: Site, kit: Path, work: Path, finish: float) -> None:
        self._site = site
        self._kit = kit
        self._work = work
        self._finish = finish
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False

    def run(self) -> int:
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, self._ask_to_end)
        pause = 0.0
        while not self._asked:
            began = time.monotonic()
            status = self._once()
            if self._asked or status == USAGE:
                return 0 if self._asked else USAGE
            settled = time.monotonic() - began >= SETTLED_SECONDS
            pause = 1.0 if settled or not pause else min(pause * 2, LONGEST_PAUSE)
            why = REFUSED_HINT if status == NOT_LET_IN or pause > 1.0 else ""
            say(f"the unit ended with status {status}{why}; it is started again in {pause:g} s")
            self._sleep(pause)
        return 0

    def _once(self) -> int:
        """Run the unit to its end; return its status."""
        child = subprocess.Popen(
            command(self._site, self._kit, self._work, _free_port(), self._finish),
            env=environment(self._kit),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_us,
        )
        self._child = child
        if self._asked:  # between two units
            child.terminate()
        return child.wait()

    def _ask_to_end(self, *_: object) -> None:
        self._asked = True
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._asked and time.monotonic() < until:
            time.sleep(0.1)


def command(site: Site, kit: Path, work: Path, port: int, finish: float = 0.0) -> list[str]:
    """Return the command line of the unit, whose SuperNode listens for its SuperExec at a port of this machine.

    It does not look for the SuperLink itself: a proxy of the site may stand before that, which Flower's programs know.
    """
    here = f"{LOOPBACK}:{port}"
    names = [program["name"] for program in site["programs"]]
    _, *others = names
    words = [sys.executable, "-u", str(kit / "programs" / "flowerbed_inside"), "unit.main", *site["unit"]]
    words += ["--node-keys", f"{kit / 'keys' / 'node'}={work / 'node'}"]
    if finish > 0:
        words += ["--finish", f"{finish:g}"]
    for name in others:
        words += ["--wait-for", f"{name}={here}"]
    for program in site["programs"]:
        own = [f"{name}={_text(value, kit, work, port)}" for name, value in program["environment"].items()]
        executable = kit / "programs" / "bin" / program["executable"]
        words += ["--", program["name"], "env", *own, sys.executable, str(executable)]
        words += [_text(value, kit, work, port) for value in program["arguments"]]
    return words


def environment(kit: Path) -> dict[str, str]:
    """Return the environment of the unit: ours, with the right programs first on PATH."""
    found = dict(os.environ)
    folders = [str(kit / "programs" / "bin"), str(Path(sys.executable).parent)]
    found["PATH"] = os.pathsep.join([*folders, found.get("PATH", os.defpath)])
    for name in ("no_proxy", "NO_PROXY"):
        found[name] = ",".join(filter(None, [found.get(name, ""), LOOPBACK, "localhost"]))
    found.pop(_AGAIN, None)
    return found


def _text(value: Any, kit: Path, work: Path, port: int) -> str:
    match value:
        case str():
            return value
        case {"kit": name}:
            return str(kit / name)
        case {"work": name}:
            return str(work / name)
        case {"here": "address"}:
            return f"{LOOPBACK}:{port}"
        case {"here": "host"}:
            return LOOPBACK
        case {"here": "port"}:
            return str(port)
        case _:
            raise ValueError(f"site.json has {value!r}, which means nothing here")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _release() -> str:
    try:
        return metadata.version("flwr")
    except metadata.PackageNotFoundError:
        return ""


def _elsewhere() -> None:
    """Go on with the Python of the Flower on PATH, if that is another one; does not return then."""
    program = shutil.which("flower-supernode")
    python = Path(program).parent / "python" if program else None
    if python is None or not python.exists() or _AGAIN in os.environ or str(python) == sys.executable:
        return
    os.environ[_AGAIN] = str(python)
    os.execv(python, [str(python), __file__])  # noqa: S606 - a program that the user has put on PATH


def _end_with_us() -> None:
    """Have the unit end when this process is killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG


def _refuse(why: str) -> int:
    say(why)
    return USAGE


def say(text: str) -> None:
    """Say something of our own."""
    print(f"[flowerbed: {text}]", flush=True)


if __name__ == "__main__":
    sys.exit(main())
