"""Runs the release's own `flwr-serverapp` or `flwr-clientapp`, in a working folder of its run.

A SuperExec starts these programs by name, and finds our launcher of that name first on its PATH (see `script`). What
happens then is Flower's own, in this same process, but for where it works:

- A ServerApp works in ``$FLOWERBED_RESULTS_ROOT/<run id>``, so what it saves by a relative path is a result of its
  run. ``FLOWERBED_RESULTS`` names that folder.
- A ClientApp works in ``$FLOWERBED_SCRATCH_ROOT/<run id>``, which the processes of one SuperNode and run share. It
  holds a lock on that folder while it lives, also in processes that it forks; the SuperNode's launcher removes the
  folder after the run.

Both are so before the app's code is imported where Flower can be asked that early, and in any case before it is
called. The folder that is left stays what relative entries of the import path mean: a file that an app saves hides no
module.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import importlib
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from flowerbed_inside.levers.taking import take_levers
from flowerbed_inside.text import size_text
from flowerbed_inside.variables import RESULTS, RESULTS_ROOT, SCRATCH_ROOT

PRIVATE = {
    "flwr.server.run_serverapp:run": ">=1.22",
    "flwr.supernode.runtime.run_clientapp:context_from_proto": ">=1.22",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases.

Without it apps still work in their folders; only code that runs while an app is imported misses that."""

SERVERAPP, CLIENTAPP = "flwr-serverapp", "flwr-clientapp"
NEARLY_FULL = 64 * 1024
"""A volume with fewer free bytes than this has no room for a model, whatever the error is called."""


class Workplace:
    """The working folder of the one run that this process is for.

    Parameters
    ----------
    root : str
        The folder below which each run has its own.
    results : bool
        Whether what is saved there is kept, and named in the environment.
    """

    def __init__(self, root: str, *, results: bool) -> None:
        self._root = Path(root)
        self._results = results
        self.folder: Path | None = None
        self._held = -1

    def enter(self, context: Any) -> None:
        """Make the folder for the run of an app's context, once, and work there."""
        run = getattr(context, "run_id", None)
        if run is None or self.folder is not None:
            return
        folder = self._root / str(run)
        try:
            if self._results:
                folder.mkdir(parents=True, exist_ok=True)
            else:
                self._held = hold(folder)
            keep_import_path()
            os.chdir(folder)
        except OSError as error:  # a full disk: the run may still be worth something
            kept = "results cannot be kept" if self._results else "there is no folder to work in"
            print(f"flowerbed: {kept}: {error}", file=sys.stderr, flush=True)
            return
        self.folder = folder
        if self._results:
            os.environ[RESULTS] = str(folder)

    def entered(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function that gets an app's context, so that it works in the run's folder."""

        @functools.wraps(function)
        def in_folder(*args: Any, **kwargs: Any) -> Any:
            for value in (*args, *kwargs.values()):
                if hasattr(value, "run_id") and hasattr(value, "run_config"):  # a context, whatever its class is now
                    self.enter(value)
            return function(*args, **kwargs)

        return in_folder

    def entered_after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function that returns an app's context, so that what follows works in the run's folder."""

        @functools.wraps(function)
        def then_in_folder(*args: Any, **kwargs: Any) -> Any:
            context = function(*args, **kwargs)
            self.enter(context)
            return context

        return then_in_folder

    def explaining(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that an error which comes of a full volume says so, and names the file that grew."""

        @functools.wraps(function)
        def explained(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if self.folder is not None and (why := what_fills(self.folder, error)):
                    raise OSError(errno.ENOSPC, why) from error
                raise

        return explained


def hold(folder: Path) -> int:
    """Make a folder and hold it against being removed, until this process and those that it forks have ended."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # it was just being removed
            continue
        fcntl.flock(held, fcntl.LOCK_SH)
        try:
            if folder.stat().st_ino == os.fstat(held).st_ino:
                return held
        except FileNotFoundError:
            pass
        os.close(held)


def keep_import_path() -> None:
    """Make relative entries of the import path absolute, here and for programs that this one starts."""
    sys.path[:] = [entry if entry.startswith("__editable__") else str(Path(entry).absolute()) for entry in sys.path]
    if given := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in given.split(os.pathsep))


def what_fills(folder: Path, error: BaseException) -> str:
    """Return that the volume with a folder is full and which file grew there last; empty if that is no reason."""
    refused = [one for one in _chain(error) if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT)]
    named = {folder / str(one.filename) for one in refused if one.filename}
    try:
        volume = os.statvfs(folder)
        files = [(path, path.stat()) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    except OSError:
        return ""
    here = any(folder in path.parents for path in named) or any(one.errno == errno.EDQUOT for one in refused)
    if not here and volume.f_bavail * volume.f_frsize >= NEARLY_FULL:
        return ""
    saved, whole = sum(status.st_size for _, status in files), volume.f_blocks * volume.f_frsize
    why = f"the volume for results is full: this run saved {size_text(saved)} of its {size_text(whole)}"
    if not files:
        return why
    grown, status = max(files, key=lambda one: (one[0] in named, one[1].st_mtime_ns))
    return f"{why}; the file that grew last is {grown.relative_to(folder)} ({size_text(status.st_size)})"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those that it came of."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        following = following.__cause__ or following.__context__
    return seen


def replace(function: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Have Flower call another function, also where a module has imported this one by its name.

    In a process that was forked the program of the app is imported already.
    """
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "flwr"]:
        for name in [name for name, value in vars(module).items() if value is function]:
            setattr(module, name, other)


def prepare_serverapp(root: str) -> None:
    """Have Flower run each ServerApp in the folder for its run's results."""
    from flwr.serverapp import ServerApp

    workplace = Workplace(root, results=True)
    ServerApp.__call__ = workplace.entered(ServerApp.__call__)
    try:
        flowers: Any = importlib.import_module("flwr.server.run_serverapp").run
    except (ImportError, AttributeError):
        return
    replace(flowers, workplace.explaining(workplace.entered(flowers)))


def prepare_clientapp(root: str) -> None:
    """Have Flower run each ClientApp in the scratch folder of its run."""
    from flwr.clientapp import ClientApp

    workplace = Workplace(root, results=False)
    ClientApp.__call__ = workplace.entered(ClientApp.__call__)
    try:
        module = importlib.import_module("flwr.supernode.runtime.run_clientapp")
        module.context_from_proto = workplace.entered_after(module.context_from_proto)  # type: ignore[attr-defined]
    except (ImportError, AttributeError):
        return


def run(name: str) -> object:
    """Run a program of an app, with the arguments of this process."""
    os.environ.pop(RESULTS, None)
    variable, prepare = {
        SERVERAPP: (RESULTS_ROOT, prepare_serverapp),
        CLIENTAPP: (SCRATCH_ROOT, prepare_clientapp),
    }[name]
    if root := os.environ.get(variable):
        prepare(root)
    [entry_point] = metadata.entry_points(group="console_scripts", name=name)
    program: Callable[[], object] = entry_point.load()
    take_levers(name)
    return program()
