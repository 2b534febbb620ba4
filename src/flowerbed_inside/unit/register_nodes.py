"""Tells a SuperLink, from 1.23 on, which SuperNodes may join and which no more, and prints `REGISTERED` if it did.

::

    python FOLDER unit.register_nodes --dialect {grpc|http} --address HOST:PORT [--root-certificates FILE]
        [--dismissed LIST] LIST

A list is a JSON object: the name of each SuperNode → its public keys, in PEM. What is known already stays as it is, so
the same lists can be told again. A key that was taken back once is none any more; which ones is said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowerbed_inside.control import api

REGISTERED = "registered"


def keys_of(text: str) -> dict[str, str]:
    """Return what a list says: key → whose it is.

    Raises
    ------
    ValueError
        If it is no such list.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("the list of SuperNodes is no JSON object")  # noqa: TRY004 - of a file, not of an argument
    return dict(_pairs(found))


def said_of_dismissed(names: Iterable[str]) -> list[str]:
    """Return a line for each SuperNode whose keys were taken back just now."""
    return [f"[flowerbed: {name} may join no more]" for name in dict.fromkeys(names)]


def _pairs(found: dict[object, object]) -> Iterator[tuple[str, str]]:
    for name, keys in found.items():
        if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
            raise ValueError(f"the list of SuperNodes has no list of keys for {name!r}")
        for key in keys:
            yield key, str(name)


def main() -> None:
    """Tell it."""
    parser = argparse.ArgumentParser(description="Tells a SuperLink which SuperNodes may join.", allow_abbrev=False)
    parser.add_argument("--dialect", choices=["grpc", "http"], required=True)
    parser.add_argument("--address", required=True, metavar="HOST:PORT")
    parser.add_argument("--root-certificates", type=Path, metavar="FILE")
    parser.add_argument("--dismissed", type=Path, metavar="LIST")
    parser.add_argument("list", type=Path)
    arguments = parser.parse_args()
    try:
        keys = keys_of(arguments.list.read_text(encoding="utf-8"))
        gone = keys_of(arguments.dismissed.read_text(encoding="utf-8")) if arguments.dismissed is not None else {}
        control = api.connect(arguments.dialect, arguments.address, authority=arguments.root_certificates)
        for line in said_of_dismissed(gone[key] for key in control.dismiss(list(gone))):
            print(line, flush=True)
        for key in control.admit_all(list(keys)):
            print(f"[flowerbed: a key of {keys[key]} was taken back once and is of no use]", flush=True)
    except (api.ControlError, OSError, ValueError) as failure:
        sys.exit(f"[flowerbed: the SuperLink could not be told which SuperNodes may join: {failure}]")
    print(REGISTERED)
