"""The command line of `unit`: its options, and the programs that come after them.

Standard library only.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import socket
import sys
from pathlib import Path
from typing import NoReturn

from flowerbed_inside.unit import readiness, wedge
from flowerbed_inside.unit.programs import Program
from flowerbed_inside.variables import WAIT_FOR

GRACE_SECONDS = 20.0
"""Less than the 30 s that Kubernetes leaves a Pod's processes at the least."""

PARTITION = "{partition-id}"


class Options(argparse.Namespace):
    """What the command line says, but for the programs."""

    health_port: int | None
    make_folder: list[Path]
    first_partition: int | None
    hostname: str
    wait_for: list[tuple[str, str]]
    ready_request: list[tuple[str, int]]
    ready_connected: list[tuple[str, str]]
    ready_listening: list[int]
    ready_within: float
    root_certificates: Path | None
    register_nodes: Path | None
    dismiss_nodes: Path | None
    database: Path | None
    node_keys: tuple[Path, Path] | None
    end_when_changed: list[Path]
    refused: str | None
    taken: str | None
    replied: str | None
    lost: str | None
    finish: float
    grace: float


def parse(words: list[str]) -> tuple[Options, list[Program], wedge.Marks | None]:
    """Return what a command line asks for; ends the process with status 2 if it makes no sense."""
    parser = _parser()
    head, *groups = _split(words)
    options = parser.parse_args(head, namespace=Options())
    if not groups:
        parser.error("there is no program; each begins after a --")
    named = [name for name, _ in (*options.wait_for, *options.ready_connected)]
    names = [group[0] for group in groups if group]
    short = next((group for group in groups if len(group) < 2), None)
    if short is not None:
        parser.error(f"a program is a name and a command line, not {' '.join(short) or 'nothing'!r}")
    if unknown := set(named) - set(names):
        parser.error(f"there is no program {', '.join(sorted(unknown))}; there is {', '.join(names)}")
    if len(set(names)) < len(names):
        parser.error(f"two programs have the same name: {', '.join(names)}")
    marks = (options.taken, options.replied, options.lost)
    if any(marks) and not all(marks):
        parser.error("--taken, --replied and --lost go together")
    if options.finish > 0 and not any(marks):
        parser.error("--finish needs --taken, --replied and --lost, which tell when it has finished")
    if options.register_nodes is not None and len(options.ready_request) != 1:
        parser.error("--register-nodes needs one --ready-request, which says whom to tell")
    if options.dismiss_nodes is not None and options.register_nodes is None:
        parser.error("--dismiss-nodes goes together with --register-nodes")
    partition = ""
    if options.first_partition is not None:
        ordinal = re.search(r"-(\d+)$", options.hostname.partition(".")[0])
        if ordinal is None:
            parser.error(f"--first-partition: the host's name, {options.hostname!r}, does not end with a number")
        partition = str(options.first_partition + int(ordinal[1]))
    elif any(PARTITION in word for group in groups for word in group):
        parser.error(f"{PARTITION} needs --first-partition")
    programs = []
    for name, *argv in groups:
        waits = [address for waiting, address in options.wait_for if waiting == name]
        env = {**os.environ, WAIT_FOR: ",".join(waits)} if waits else dict(os.environ)
        programs.append(Program(name, [word.replace(PARTITION, partition) for word in argv], env))
    taken, replied, lost = marks
    try:
        return options, programs, wedge.Marks.compiled(taken, replied, lost) if taken and replied and lost else None
    except re.error as error:
        parser.error(f"--taken, --replied, --lost: {error.pattern!r} is no regular expression: {error}")


def _split(words: list[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in words:
        if word == "--":
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"[flowerbed: unit: {message}]\n")
        sys.exit(2)


def _parser() -> _Parser:
    parser = _Parser(prog="unit", description="Runs a unit's programs, which end together.", allow_abbrev=False)
    parser.add_argument("--health-port", type=_port)
    parser.add_argument("--make-folder", type=Path, action="append", default=[])
    parser.add_argument("--first-partition", type=int)
    parser.add_argument("--hostname", default=socket.gethostname())
    parser.add_argument("--wait-for", type=_named_address, action="append", default=[])
    parser.add_argument("--ready-request", type=_request, action="append", default=[])
    parser.add_argument("--ready-connected", type=_named_address, action="append", default=[])
    parser.add_argument("--ready-listening", type=_port, action="append", default=[])
    parser.add_argument("--ready-within", type=float, default=math.inf)
    parser.add_argument("--root-certificates", type=Path)
    parser.add_argument("--register-nodes", type=Path)
    parser.add_argument("--dismiss-nodes", type=Path)
    parser.add_argument("--database", type=Path)
    parser.add_argument("--node-keys", type=_file_and_folder)
    parser.add_argument("--end-when-changed", type=Path, action="append", default=[])
    parser.add_argument("--refused", type=_pattern)
    for mark in ("--taken", "--replied", "--lost"):
        parser.add_argument(mark)
    parser.add_argument("--finish", type=float, default=0.0)
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS)
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _named_address(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if not (name and host):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=HOST:PORT")
    _port(port)
    return name, address


def _file_and_folder(text: str) -> tuple[Path, Path]:
    file, _, folder = text.partition("=")
    if not (file and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not FILE=FOLDER")
    return Path(file), Path(folder)


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from error
    return text


def _request(text: str) -> tuple[str, int]:
    dialect, _, port = text.partition(":")
    if dialect not in readiness.DIALECTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not DIALECT:PORT with one of {', '.join(readiness.DIALECTS)}")
    return dialect, _port(port)
