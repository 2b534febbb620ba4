"""Whether a control group leaves room, from files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowerbed_inside.launch.room import lacking

GIBIBYTE = 2**30
V2 = ("0::/pod/container", "pod/container", "memory.max", "memory.current", "inactive_file")
V1 = ("7:cpu,memory:/pod", "memory/pod", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("seen_as_root", [False, True])
@pytest.mark.parametrize(
    ("limit", "used", "cached", "why"),
    [
        (GIBIBYTE, GIBIBYTE // 2, 0, ""),
        (GIBIBYTE, GIBIBYTE * 3 // 4, 0, "805 MB of 1073 MB are in use, and half of the limit is the app's"),
        (GIBIBYTE, GIBIBYTE * 3 // 4, GIBIBYTE // 2, ""),
        ("max", GIBIBYTE, 0, ""),
    ],
)
def test_half_of_the_limit_is_the_apps(
    version: tuple[str, ...], seen_as_root: bool, limit: object, used: int, cached: int, why: str, tmp_path: Path
) -> None:
    line, folder, limit_file, used_file, cache = version
    group = tmp_path / (folder.split("/")[0] if seen_as_root and version is V1 else "" if seen_as_root else folder)
    group.mkdir(parents=True, exist_ok=True)
    own = tmp_path / "own"
    own.write_text(f"12:cpuset:/\n{line}\n", encoding="utf-8")
    for name, text in ((limit_file, limit), (used_file, used), ("memory.stat", f"anon 1\n{cache} {cached}\n")):
        (group / name).write_text(f"{text}\n", encoding="utf-8")
    assert lacking(tmp_path, own) == why


def test_where_nothing_limits_there_is_room(tmp_path: Path) -> None:
    assert lacking(tmp_path, tmp_path / "absent") == ""
