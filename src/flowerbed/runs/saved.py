"""What a run's ServerApp has saved, and the choice of it that a user asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from flowerbed.errors import UsageError

_SHOWN = 5


@dataclass(frozen=True)
class SavedFile:
    """A file.

    Parameters
    ----------
    name : str
        Its path below the folder of the run's results.
    size : int
        Bytes.
    changed : float
        When it changed last (Unix time).
    """

    name: str
    size: int
    changed: float


@dataclass(frozen=True)
class Saved:
    """What is in the folder of a run's results.

    Parameters
    ----------
    files : tuple of SavedFile
        Its files, in the order of their names.
    left_out : tuple of (str, str)
        What is no file of it and never fetched, such as a link that leads out of it, and why.
    """

    files: tuple[SavedFile, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    def chosen(self, patterns: Sequence[str]) -> Saved:
        """Return what fits one of some patterns; everything where there is none.

        A pattern is a file's name, a folder's, or has ``*``, ``?`` and ``[…]``; ``*`` stands for slashes, too.

        Raises
        ------
        UsageError
            If nothing fits one of them.
        """
        if not patterns:
            return self
        names = [*(file.name for file in self.files), *(name for name, _ in self.left_out)]
        for pattern in patterns:
            if not any(_fits(name, pattern) for name in names):
                shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
                raise UsageError(
                    f"nothing that was saved fits {pattern!r}",
                    hint=f"There is {shown}." if names else "It has no files.",
                )
        return Saved(
            tuple(file for file in self.files if any(_fits(file.name, pattern) for pattern in patterns)),
            tuple(one for one in self.left_out if any(_fits(one[0], pattern) for pattern in patterns)),
        )


def _fits(name: str, pattern: str) -> bool:
    plain = pattern.removeprefix("./").rstrip("/")
    return fnmatchcase(name, plain) or fnmatchcase(name, f"{plain}/*")
