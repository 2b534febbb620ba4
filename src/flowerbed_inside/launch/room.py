"""How much memory a container leaves to a process that is to stay, by the kernel's control groups (v2 and v1).

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used."""

PART = 0.5
"""What of the limit may be in use while libraries are imported; the rest is the app's."""
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_MEGABYTE = 1_000_000


def lacking(root: Path = _CONTROL_GROUPS, own: Path = Path("/proc/self/cgroup")) -> str:
    """Return why nothing more should be loaded to stay in memory; empty if there is room, or no limit.

    Parameters
    ----------
    root : Path
        Where the control groups are.
    own : Path
        The file that says which are this process's.
    """
    for folder, limit_file, used_file, cache in _places(root, own):
        with suppress(OSError, ValueError, IndexError):
            limit = int((folder / limit_file).read_text(encoding="ascii"))  # v2 says "max" for none: a ValueError
            used = int((folder / used_file).read_text(encoding="ascii")) - _cached(folder, cache)
            if used > limit * PART:
                return (
                    f"{used // _MEGABYTE} MB of {limit // _MEGABYTE} MB are in use, and half of the limit is the app's"
                )
    return ""


def _places(root: Path, own: Path) -> list[tuple[Path, str, str, str]]:
    """Return folders of control groups with the names of their files: limit, use, and reclaimable use."""
    found = []
    lines: list[str] = []
    with suppress(OSError):
        lines = own.read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names, base = ("memory.max", "memory.current", "inactive_file"), root
        elif "memory" in controllers.split(","):
            names, base = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"), root / "memory"
        else:
            continue
        folders = dict.fromkeys((base / path.lstrip("/"), base))  # a container often sees its own as the root
        found += [(folder, *names) for folder in folders]
    return found


def _cached(folder: Path, name: str) -> int:
    for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    return 0
