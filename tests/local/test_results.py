"""What is found of a run's results, what is left out, and copies of a choice of it."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from flowerbed.errors import UsageError
from flowerbed.local.results import copy, saved
from flowerbed_inside import bundles
from flowerbed_inside.results import look, pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything that an app may leave in it."""
    there = tmp_path / "results" / "17"
    (there / "plots").mkdir(parents=True)
    (there / "model.npz").write_bytes(b"weights")
    (there / "plots" / "loss.png").write_bytes(b"png")
    (there / "empty").mkdir()
    (tmp_path / "secret").write_text("not a result")
    (there / "inside").symlink_to("model.npz")
    (there / "out").symlink_to(tmp_path / "secret")
    (there / "up").symlink_to("../../secret")
    (there / "root").symlink_to("/")
    (there / "again").symlink_to("plots")
    (there / "nowhere").symlink_to("gone")
    (there / "null").symlink_to("/dev/null")
    os.mkfifo(there / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(there / "socket"))
    (there / os.fsdecode(b"\xff.txt")).write_text("x")
    return there


def test_what_is_found(folder: Path) -> None:
    files, left_out = look(str(folder))
    assert [(name, size) for name, size, _ in files] == [("inside", 7), ("model.npz", 7), ("plots/loss.png", 3)]
    out = "a link that leads out of the folder"
    assert dict(left_out) == {
        "again": "a link to another folder of these results",
        "nowhere": "a link to nothing",
        "null": out,
        "out": out,
        "pipe": "a named pipe",
        "root": out,
        "socket": "a socket",
        "up": out,
        "\\xff.txt": "its name is no UTF-8",
    }


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert look(str(tmp_path / "none")) == ([], [])


def test_the_archive_has_what_was_asked_for_and_nothing_of_anybody_else(folder: Path) -> None:
    command = [sys.executable, "-I", str(bundles.PACKAGE), bundles.RESULTS, "pack", str(folder)]
    done = subprocess.run([*command, "inside", "plots/loss.png"], capture_output=True, check=True, timeout=60)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        assert {entry.name: entry.type for entry in archive} == {"inside": b"0", "plots/loss.png": b"0"}
        extracted = archive.extractfile("inside")
        assert extracted is not None
        assert extracted.read() == b"weights"
    refused = subprocess.run([*command, "out"], capture_output=True, check=False, timeout=60)
    assert (refused.returncode, refused.stderr) == (1, b"out: a link that leads out of the folder\n")


def test_a_file_that_shrinks_while_it_is_packed_breaks_the_archive_off(folder: Path) -> None:
    model = folder / "model.npz"
    model.write_bytes(b"\0" * 10_000_000)

    class Shrinking(io.BytesIO):
        def write(self, data: object) -> int:
            os.truncate(model, 1)
            return super().write(data)  # type: ignore[arg-type]

    with pytest.raises(OSError, match="unexpected end of data"):
        pack(str(folder), ["model.npz"], Shrinking())


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), ["inside", "model.npz", "plots/loss.png"]),
        (("model.npz",), ["model.npz"]),
        (("plots/*",), ["plots/loss.png"]),
        (("plots/",), ["plots/loss.png"]),
        (("./plots", "*.npz"), ["model.npz", "plots/loss.png"]),
        (("*.png",), ["plots/loss.png"]),
        (("pipe",), []),
    ],
)
def test_a_choice(folder: Path, patterns: tuple[str, ...], names: list[str]) -> None:
    assert [file.name for file in saved(folder).chosen(patterns).files] == names


def test_a_choice_of_what_is_not_there_is_refused_with_what_is(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing that was saved fits 'model\.pt'") as caught:
        saved(folder).chosen(["plots/*", "model.pt"])
    assert caught.value.hint == "There is inside, model.npz, plots/loss.png, \\xff.txt, again and 7 more."
    with pytest.raises(UsageError) as caught:
        saved(folder / "empty").chosen(["*"])
    assert caught.value.hint == "It has no files."


def test_copies_go_among_what_is_there_and_replace_nothing_but_themselves(folder: Path, tmp_path: Path) -> None:
    into, told = tmp_path / "mine", list[int]()
    into.mkdir()
    (into / "thesis.tex").write_text("mine")
    found = saved(folder).chosen(["model.npz", "plots"])
    for _ in range(2):
        copy(folder, found, into, told.append)
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*")) == [
        *("model.npz", "plots", "plots/loss.png", "thesis.tex"),
    ]
    assert sum(told) == 2 * found.size
    assert (into / "model.npz").stat().st_mtime_ns == (folder / "model.npz").stat().st_mtime_ns

    (into / "model.npz").write_bytes(b"another")  # of the same size
    (into / "plots" / "loss.png").unlink()
    os.utime(into / "model.npz", (1, 1))
    with pytest.raises(UsageError, match="another file of this name") as caught:
        copy(folder, found, into, told.append)
    assert caught.value.where == str(into / "model.npz")
    assert not (into / "plots" / "loss.png").exists()

    (into / "model.npz").unlink()
    (into / "model.npz").mkdir()
    with pytest.raises(UsageError, match="a folder where a file"):
        copy(folder, found, into, told.append)
