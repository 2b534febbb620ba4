"""What a run's ServerApp saved on this machine, and copies of it for a user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowerbed import placing
from flowerbed.runs.saved import Saved, SavedFile
from flowerbed_inside.results import look


def saved(folder: Path) -> Saved:
    """Return what is in the folder of a run's results, there or not."""
    files, left_out = look(str(folder))
    return Saved(tuple(SavedFile(*file) for file in files), tuple(left_out))


def copy(folder: Path, what: Saved, into: Path, progress: Callable[[int], None]) -> None:
    """Copy files of a run's results into a folder, among what is there; tell of each piece how many bytes it has.

    Raises
    ------
    UsageError
        If another file would be replaced.
    """
    placing.refuse_other_files(into, ((file.name, file.size, file.changed) for file in what.files))
    with placing.beside(into) as fresh:
        for file in what.files:
            placing.copy(folder / file.name, fresh / file.name, progress)
        placing.move(fresh, into)
