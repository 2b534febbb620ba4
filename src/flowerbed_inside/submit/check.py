"""Checks an app in Flower's environment before anything is started: that it is a Flower App, and can be imported.

::

    ENV/bin/python FOLDER submit.check DIR [--named DIR] [--what serverapp,clientapp] [--config JSON]

The app is packed as it would be sent, unpacked into a temporary folder and imported from there, so that what a
FAB leaves out is missed here and not in the middle of a run. The last line of standard output is one JSON object,
whatever the app prints, and the exit code is 0 whenever that line is there::

    {"ok": true, "fab_hash", "fab_id", "fab_version", "fab_files", "fab_size", "config", "serverapp", "clientapp",
     "libraries"}
    {"ok": false, "stage", "message", "traceback", "missing_module", "installed", "fab_files", "built_in"}

``stage`` is ``pyproject``, ``fab``, ``config`` (of ``--config``), ``serverapp`` or ``clientapp``. ``traceback``
(null where there is none) begins in the app's own code and names the files as in DIR, or as in ``--named``, the
folder of which DIR is a staged copy. ``libraries`` are the modules that its import has loaded from
the environment's packages. ``missing_module`` is the module that an import did not find, or null;
``installed`` the first part of its name where that is there and only the rest is not. ``fab_files`` is what was packed,
if it came to that, and ``built_in`` the patterns of what this release of Flower leaves out of every FAB.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from flowerbed_inside import packages
from flowerbed_inside.control import fab

PRIVATE: dict[str, str] = {}
"""What is used of Flower that it does not promise to keep; here it is all in `fab`."""

_KINDS = {"serverapp": ("flwr.serverapp", "ServerApp"), "clientapp": ("flwr.clientapp", "ClientApp")}


class CheckError(Exception):
    """The app does not pass.

    Parameters
    ----------
    stage, message : str
        As in the answer.
    cause : BaseException or None
        What the app's code raised.
    """

    files: tuple[str, ...] | list[str] = ()
    """What was packed, if it came to that."""

    def __init__(self, stage: str, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.cause = cause


def check(app: Path, what: list[str], config: dict[str, Any], unpacked: Path) -> dict[str, Any]:
    """Return what the app is; `unpacked` is an empty folder to import it from.

    Packing it and importing it take different parts of Flower, so that the one is done beside the other's beginning.

    Raises
    ------
    CheckError
        If it is no Flower App or cannot be imported.
    """
    packed = beside(lambda: pack(app, config, unpacked))
    for stage in what:
        with suppress(Exception):  # it is asked for again when it is needed
            importlib.import_module(_KINDS[stage][0])
    answer = packed()
    sys.path.insert(0, str(unpacked))
    try:
        for stage in what:
            load(stage, answer[stage], answer["fab_files"])
    except CheckError as failure:
        failure.files = answer["fab_files"]
        raise
    return {"ok": True, **answer, "libraries": packages.loaded(list(sys.modules))}


def pack(app: Path, config: dict[str, Any], unpacked: Path) -> dict[str, Any]:
    """Pack the app as it would be sent, unpack it into a folder, and return what it is.

    Raises
    ------
    CheckError
        If it is no Flower App, or `config` does not suit it.
    """
    try:
        bundle = fab.build(app)
    except fab.AppError as problem:
        raise CheckError(problem.stage, problem.message) from problem
    if (problem_in_config := fab.config_problem(config, bundle.config)) is not None:
        raise CheckError("config", problem_in_config)
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        archive.extractall(unpacked)
    return {
        "fab_hash": bundle.hash,
        "fab_id": bundle.id,
        "fab_version": bundle.version,
        "fab_files": bundle.files,
        "fab_size": len(bundle.content),
        "config": bundle.config,
        "serverapp": bundle.components["serverapp"],
        "clientapp": bundle.components["clientapp"],
    }


def beside(work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Do something in a process of its own, and return what waits for it and gives its result, or raises its error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told: dict[str, Any] = {"result": work()}
        except CheckError as failure:
            told = {"stage": failure.stage, "message": failure.message}
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        with os.fdopen(write, "w", encoding="utf-8") as pipe:
            json.dump(told, pipe, default=str)
        os._exit(0)
    os.close(write)

    def result() -> dict[str, Any]:
        with os.fdopen(read, encoding="utf-8") as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        if not text:
            raise RuntimeError("packing the app came to no end")
        answer: dict[str, Any] = json.loads(text)
        if "result" not in answer:
            raise CheckError(answer["stage"], answer["message"])
        found: dict[str, Any] = answer["result"]
        return found

    return result


def load(stage: str, reference: str, files: list[str]) -> None:
    """Import what a reference names, as Flower's app processes do.

    Raises
    ------
    CheckError
        If that raises, or gives something else than the app that it should.
    """
    module_name, _, attributes = reference.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        message = f"{reference!r}: {error}"
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            message += "; the app is packed from " + ", ".join(files)
        raise CheckError(stage, message, error) from error
    except BaseException as error:
        message = f"{reference!r}: {type(error).__name__}: {error}"
        raise CheckError(stage, message, error) from error
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            near = difflib.get_close_matches(attribute, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise CheckError(stage, f"{reference!r} is not there: {found!r} has no {attribute!r}{hint}")
        found = getattr(found, attribute)
    module, kind = _KINDS[stage]
    if not isinstance(found, getattr(importlib.import_module(module), kind)):
        raise CheckError(stage, f"{reference!r} is a {type(found).__name__} and no {kind}")


def as_answer(failure: CheckError, app: Path, unpacked: Path) -> dict[str, Any]:
    """Return a failure as it is printed: its traceback begins in the app's code, with the user's own paths."""

    def at_home(text: str) -> str:
        return text.replace(str(unpacked), str(app))

    text = missing = None
    if failure.cause is not None:
        text = at_home(_traceback(failure.cause, unpacked))
        innermost: BaseException | None = failure.cause
        while innermost is not None:
            if isinstance(innermost, ModuleNotFoundError):
                missing = innermost.name
            hidden = innermost.__suppress_context__  # `from None`: whoever raised it knows better
            innermost = innermost.__cause__ or (None if hidden else innermost.__context__)
    return {
        "ok": False,
        "stage": failure.stage,
        "message": at_home(failure.message),
        "traceback": text,
        "missing_module": missing,
        "installed": installed_part(missing or "", failure.files),
        "fab_files": list(failure.files),
        "built_in": fab.left_out_of_every_fab(),
    }


def installed_part(module: str, files: Collection[str]) -> str:
    """Return the first part of a missing module's name if that is installed, and is none of the app's own."""
    top, _, rest = module.partition(".")
    if not rest or any(file == f"{top}.py" or file.startswith(f"{top}/") for file in files):
        return ""
    try:
        return top if importlib.util.find_spec(top) is not None else ""
    except (ImportError, ValueError):
        return ""


def _traceback(error: BaseException, unpacked: Path) -> str:
    described = traceback.TracebackException.from_exception(error)
    described.stack = traceback.StackSummary.from_list(
        [frame for frame in described.stack if not frame.filename.startswith("<frozen importlib")]
    )
    first = next(
        (number for number, frame in enumerate(described.stack) if frame.filename.startswith(str(unpacked))),
        len(described.stack),
    )
    described.stack = traceback.StackSummary.from_list(described.stack[first:])
    return "".join(described.format()).rstrip()


def main() -> None:
    """Check, and print the answer as the last line."""
    parser = argparse.ArgumentParser(description="Checks a Flower App for Flowerbed.")
    parser.add_argument("app", type=Path, metavar="DIR")
    parser.add_argument("--named", type=Path, metavar="DIR")
    parser.add_argument("--what", default="serverapp,clientapp")
    parser.add_argument("--config", type=json.loads, default={})
    arguments = parser.parse_args()
    what = [word for word in arguments.what.split(",") if word]
    if unknown := set(what) - set(_KINDS):
        parser.error(f"--what knows serverapp and clientapp, not {', '.join(sorted(unknown))}")

    answers = os.dup(1)
    os.dup2(2, 1)  # what the app prints at import is no answer
    sys.dont_write_bytecode = True
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
    app = arguments.app.resolve()
    with tempfile.TemporaryDirectory(prefix="flowerbed-check-") as folder:
        unpacked = Path(folder).resolve()
        try:
            answer = check(app, what, arguments.config, unpacked)
        except CheckError as failure:
            answer = as_answer(failure, arguments.named or app, unpacked)
    sys.stdout.flush()
    os.write(answers, json.dumps(answer, default=str).encode() + b"\n")
    os._exit(0)  # an app that starts threads at import does not keep us
