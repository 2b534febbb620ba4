"""Layers: the same bytes for the same content, whoever writes them, and read in every form that registries have."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import ImageFailed
from flowerbed.image import layers
from flowerbed.image.layers import GZIP, OF_DOCKER, PLAIN, ZSTD, Entry, removal, tree, write
from flowerbed.image.unpacking import unpack

OWNER = (49999, 49999)


def files(folder: Path, *, when: float) -> Path:
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").write_text("answer = 42\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "start").write_text("#!/bin/sh\n")
    (folder / "bin" / "start").chmod(0o700)
    (folder / "bin" / "again").symlink_to("start")
    for path in folder.rglob("*"):
        os.utime(path, (when, when), follow_symlinks=False)
    return folder


def test_the_same_files_give_the_same_layer_in_any_folder_at_any_time(tmp_path: Path) -> None:
    one, other = files(tmp_path / "one", when=1e9), files(tmp_path / "else" / "where", when=1.6e9)
    first = write(tree(one), tmp_path / "1", owner=OWNER)
    second = write(reversed(list(tree(other))), tmp_path / "2", owner=OWNER)
    assert first == second
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_layer_is_what_its_digests_and_its_size_say(tmp_path: Path) -> None:
    made = write(tree(files(tmp_path / "files", when=1e9)), tmp_path / "layer", owner=OWNER)
    content = (tmp_path / "layer").read_bytes()
    assert made.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert made.size == len(content)
    assert made.descriptor == {"mediaType": ZSTD, "digest": made.digest, "size": made.size}
    assert made.diff_id == f"sha256:{hashlib.sha256(layers.zstd.decompress(content)).hexdigest()}"


def test_owners_modes_and_times_are_fixed(tmp_path: Path) -> None:
    write(tree(files(tmp_path / "files", when=1e9), "at"), tmp_path / "layer", owner=OWNER)
    with layers.opened(tmp_path / "layer", ZSTD) as archive:
        found = {member.name: member for member in archive}
    assert [(name, oct(one.mode), one.type) for name, one in sorted(found.items())] == [
        ("at/bin", "0o755", tarfile.DIRTYPE),
        ("at/bin/again", "0o777", tarfile.SYMTYPE),
        ("at/bin/start", "0o755", tarfile.REGTYPE),
        ("at/package", "0o755", tarfile.DIRTYPE),
        ("at/package/__init__.py", "0o644", tarfile.REGTYPE),
    ]
    assert {(one.mtime, one.uid, one.gid, one.uname) for one in found.values()} == {(0, 49999, 49999, "")}


@given(
    st.dictionaries(
        st.from_regex(r"[a-zé]{1,8}(/[a-z \n]{1,120}){0,2}", fullmatch=True), st.binary(max_size=3000), max_size=5
    )
)
def test_what_is_written_is_read_back(content: dict[str, bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "layer")
        write([Entry(path, data) for path, data in content.items()], place, owner=OWNER)
        with layers.opened(place, ZSTD) as archive:
            found = {}
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    assert found == content


def archived(content: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return data.getvalue()


@pytest.mark.parametrize("kind", [ZSTD, GZIP, PLAIN, *OF_DOCKER])
def test_every_kind_of_layer_is_read(kind: str, tmp_path: Path) -> None:
    plain = archived({"etc/os-release": b"ID=debian\n"})
    pack = {ZSTD: layers.zstd.compress, GZIP: gzip.compress, PLAIN: bytes}[OF_DOCKER.get(kind, kind)]
    packed = pack(plain)
    (tmp_path / "layer").write_bytes(packed)
    with layers.opened(tmp_path / "layer", kind) as archive:
        assert [member.name for member in archive] == ["etc/os-release"]


def test_a_layer_is_read_as_what_it_is_where_its_name_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(layers.zstd.compress(archived({"etc/os-release": b"ID=debian\n"})))
    # So Docker pushes an image, if the registry has the layers of its base with zstd.
    with layers.opened(tmp_path / "layer", "application/vnd.docker.image.rootfs.diff.tar.gzip") as archive:
        assert [member.name for member in archive] == ["etc/os-release"]


@pytest.mark.parametrize("kind", [ZSTD, GZIP, PLAIN])
def test_a_damaged_layer_is_said_to_be_one(kind: str, tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(b"no layer at all, whatever its name says" * 40)
    with pytest.raises(ImageFailed, match="damaged"), layers.opened(tmp_path / "layer", kind) as archive:
        list(archive)


def test_a_layer_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(b"")
    with (
        pytest.raises(ImageFailed, match="application/x-unknown"),
        layers.opened(tmp_path / "layer", "application/x-unknown"),
    ):
        pass


def test_layers_lie_on_each_other_and_what_one_removes_is_gone(tmp_path: Path) -> None:
    below = archived({"a/kept": b"1", "a/gone": b"2", "b/all": b"3", "c/changed": b"4"})
    (tmp_path / "below").write_bytes(gzip.compress(below))
    above = [removal("a/gone"), Entry("b/.wh..wh..opq", b""), Entry("b/new", b"5"), Entry("c/changed", b"6")]
    write(above, tmp_path / "above", owner=(os.getuid(), os.getgid()))
    unpack([(tmp_path / "below", GZIP), (tmp_path / "above", ZSTD)], tmp_path / "root")
    found = {
        path.relative_to(tmp_path / "root").as_posix(): path.read_text()
        for path in (tmp_path / "root").rglob("?*")
        if path.is_file()
    }
    assert found == {"a/kept": "1", "b/new": "5", "c/changed": "6"}


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, link in (("out", "../.."), ("up", str(tmp_path))):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
        for name in ("out/one", "up/two", "../three", "/four"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    (tmp_path / "layer").write_bytes(data.getvalue())
    unpack([(tmp_path / "layer", PLAIN)], tmp_path / "root")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "root"]
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["four", "out", "three", "up"]
