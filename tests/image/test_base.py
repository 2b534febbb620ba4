"""What a base holds, told from a few of its files."""

from __future__ import annotations

import pytest

from flowerbed.errors import ImageFailed
from flowerbed.image.base import Base, Found, gather, interesting, read

SITE = "python/venv/lib/python3.11/site-packages"
APP = (49999, 49999)


def metadata(name: str, version: str, owner: tuple[int, int] = APP) -> Found:
    return Found(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n\nName: of the description".encode(), owner)


DPKG = b"""\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
FILES = {
    "etc/os-release": Found(b'ID=debian\nVERSION_ID="12"\n', (0, 0)),
    "var/lib/dpkg/status": Found(DPKG, (0, 0)),
    f"{SITE}/flwr-1.42.0.dist-info/METADATA": metadata("flwr", "1.42.0"),
    f"{SITE}/Foo.Bar-1.0.dist-info/METADATA": metadata("Foo.Bar", "1.0"),
    f"{SITE}/Foo.Bar-1.0.dist-info/RECORD": Found(
        b'foo/__init__.py,sha256=x,1\n"foo/a,b.py",,\n../../../bin/foo,sha256=x,1\n', APP
    ),
    "usr/lib/python3/dist-packages/torch-1.13.1.egg-info/PKG-INFO": metadata("torch", "1.13.1", (0, 0)),
    "usr/lib/python3/dist-packages/six-1.16.0.egg-info": metadata("six", "1.16.0", (0, 0)),
    "usr/lib/python3/dist-packages/odd.egg-info/PKG-INFO": Found(b"", (0, 0)),
}


def test_a_base_is_told_from_its_files() -> None:
    found = read(FILES, "base")
    assert (found.flwr, found.python, found.prefix, found.owner) == ("1.42.0", "3.11", "python/venv", APP)
    assert found.site_packages == SITE
    assert found.packages["foo-bar"].version == "1.0"
    assert found.packages["foo-bar"].files == (
        "python/venv/bin/foo",
        f"{SITE}/foo/__init__.py",
        f"{SITE}/foo/a,b.py",
    )
    assert found.elsewhere == {"six": "1.16.0", "torch": "1.13.1"}
    assert found.debian == [("libc6", "2.36-9+deb12u10", "amd64")]
    assert found.system["VERSION_ID"] == "12"
    assert Base.from_dict(found.as_dict()) == found


@pytest.mark.parametrize(
    ("libc", "architecture", "wheels"),
    [
        ("glibc 2.36", "amd64", "x86_64-manylinux_2_36"),
        ("glibc 2.39", "arm64", "aarch64-manylinux_2_39"),
        ("glibc 2.99", "amd64", "x86_64-manylinux_2_40"),
        ("glibc 2.30", "amd64", "x86_64-manylinux_2_28"),
        ("musl", "amd64", "x86_64-unknown-linux-musl"),
        ("", "amd64", "x86_64-unknown-linux-gnu"),
    ],
)
def test_wheels_fit_the_c_library(libc: str, architecture: str, wheels: str) -> None:
    base = Base("1.42.0", "3.11", "python/venv", APP, libc=libc)
    assert base.wheels_for(architecture) == wheels


def test_an_architecture_without_wheels_is_refused() -> None:
    with pytest.raises(ImageFailed, match="riscv64"):
        Base("1.42.0", "3.11", "python/venv", APP).wheels_for("riscv64")


def test_alpine_has_musl_and_its_own_list() -> None:
    files = {path: file for path, file in FILES.items() if "dpkg" not in path} | {
        "etc/os-release": Found(b"ID=alpine\nVERSION_ID=3.22.1\n", (0, 0)),
        "lib/ld-musl-x86_64.so.1": Found(b"", (0, 0)),
        "lib/apk/db/installed": Found(
            b"C:Q1x\nP:musl\nV:1.2.5-r10\nA:x86_64\n\nP:busybox\nV:1.37.0-r12\nA:x86_64\n", (0, 0)
        ),
    }
    found = read(files, "base")
    assert found.libc == "musl"
    assert found.debian == [("busybox", "1.37.0-r12", "x86_64"), ("musl", "1.2.5-r10", "x86_64")]


def test_an_image_without_flower_is_no_base() -> None:
    with pytest.raises(ImageFailed, match="has no Flower") as caught:
        read({"etc/os-release": FILES["etc/os-release"]}, "debian:12")
    assert caught.value.where == "debian:12"


def test_flower_in_a_folder_that_pip_does_not_use_is_no_base() -> None:
    with pytest.raises(ImageFailed, match="no site-packages"):
        read({"opt/flower/flwr-1.42.0.dist-info/METADATA": metadata("flwr", "1.42.0")}, "base")


def test_upper_layers_change_and_remove_what_lower_ones_have() -> None:
    old, new = Found(b"old", (0, 0)), Found(b"new", (0, 0))
    layers: list[list[tuple[str, Found | None]]] = [
        [("a/METADATA", old), ("b/METADATA", old), ("c/d/METADATA", old), ("e/METADATA", old)],
        [("a/METADATA", new), ("b/.wh.METADATA", None), (".wh.c", None), ("e/.wh..wh..opq", None), ("e/RECORD", new)],
    ]
    assert gather(layers) == {"a/METADATA": new, "e/RECORD": new}


def test_only_a_few_files_are_kept() -> None:
    assert interesting(f"{SITE}/flwr-1.42.0.dist-info/RECORD")
    assert interesting("var/lib/dpkg/status.d/base-files")
    assert not interesting(f"{SITE}/flwr/__init__.py")
