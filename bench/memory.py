"""How much memory a process has, as Linux tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Memory:
    """Memory of one process, or of several together, in millions of bytes.

    Parameters
    ----------
    rss : float
        Resident; pages shared with other processes count whole, in each.
    pss : float
        Resident; shared pages are divided among those who share them.
    """

    rss: float
    pss: float


def memory_of(pids: Iterable[int]) -> Memory:
    """Return what processes have together; those that are gone have nothing."""
    rss = pss = 0
    for pid in pids:
        found = _fields(Path(f"/proc/{pid}/smaps_rollup"))
        rss += found.get("Rss", 0)
        pss += found.get("Pss", 0)
    return Memory(rss / MEGABYTE, pss / MEGABYTE)


def peak(pid: int) -> float:
    """Return the most that a process ever had resident."""
    return _fields(Path(f"/proc/{pid}/status"))["VmHWM"] / MEGABYTE


def _fields(path: Path) -> dict[str, int]:
    """Return the lines of a file of /proc that are sizes, in bytes."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # gone
        return {}
    split = (line.split() for line in lines)
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in split if len(words) == 3 and words[2] == "kB"}
