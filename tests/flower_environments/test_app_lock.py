"""app.lock: solved by a real uv for every machine, written and read, and what of it an image needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flowerbed.environments.app_lock import AppLock, Asked, Package, app_lock_at, read_app_lock
from flowerbed.environments.app_locking import lock
from flowerbed.environments.asking import read_asked, request
from flowerbed.environments.environment import ensure
from flowerbed.environments.python import current
from flowerbed.environments.requirements import Wanted
from flowerbed.errors import AppError, EnvironmentFailed

RELEASE = "1.22.0"
PYTHONS = ("3.11", "3.12", "3.13")
PYPROJECT = """\
[project]
name = "my-app"
version = "1.0.0"
requires-python = ">=3.11"
dependencies = ["flwr[simulation]>=1.22", {dependencies}]
"""
HERE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))


def write(folder: Path, *dependencies: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    listed = ", ".join(f'"{one}"' for one in dependencies)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(dependencies=listed) + more)
    return folder


def asked_of(app: Path) -> Asked:
    return read_asked(app, release=RELEASE, python=current())


def package(name: str, *via: str, version: str = "1.0", marker: str = "") -> Package:
    return Package(name, version, (f"sha256:{'0' * 64}",), marker, via)


def test_a_lock_has_flower_and_all_packages_for_all_machines_by_hash(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm>=4")
    found = lock(asked_of(app), PYTHONS)
    packages = {one.name: one for one in found.packages}
    assert packages["flwr"].version == RELEASE
    assert (packages["tqdm"].via, packages["tqdm"].marker) == (("",), "")
    assert packages["colorama"].marker == 'sys_platform == "win32"'  # for laptops of a kind that this is not
    assert packages["numpy"].via == ("flwr",)
    assert len(packages["numpy"].hashes) > 20  # wheels for many machines
    assert [one.name for one in found.of_the_app(HERE)] == ["tqdm"]
    text = found.render()
    assert read_app_lock(text, "app.lock") == found
    assert "http" not in text
    assert str(tmp_path) not in text


def test_versions_stay_until_they_are_asked_to_change(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm<4.66")
    before = lock(asked_of(app), PYTHONS)
    old = next(one.version for one in before.packages if one.name == "tqdm")
    write(app, "tqdm", "six")
    kept = lock(asked_of(app), PYTHONS, before)
    assert next(one.version for one in kept.packages if one.name == "tqdm") == old
    newest = lock(asked_of(app), PYTHONS)
    assert next(one.version for one in newest.packages if one.name == "tqdm") != old


def test_a_lock_is_of_what_was_asked_for_and_of_nothing_else(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm", "six")
    found = AppLock(RELEASE, "3.11", asked_of(app).digest)
    write(app, "six", "tqdm")
    assert asked_of(app).is_answered_by(found)  # the order does not count
    assert not read_asked(app, release="1.42.0", python=current()).is_answered_by(found)
    write(app, "six", "tqdm", more='[tool.uv]\nconstraint-dependencies = ["tqdm<5"]\n')
    assert not asked_of(app).is_answered_by(found)
    write(app, "six")
    assert not asked_of(app).is_answered_by(found)
    assert not asked_of(app).is_answered_by(None)


def test_the_environment_of_this_machine_is_that_of_the_lock(tmp_path: Path) -> None:
    constraint = '[tool.uv]\nconstraint-dependencies = ["tqdm>=4"]\n'  # is for solving, and has no hash
    app = write(tmp_path / "app", "tqdm", more=constraint)
    newest = lock(asked_of(app), PYTHONS)
    write(app, "tqdm<4.66")
    old = lock(asked_of(app), PYTHONS)
    write(app, "tqdm", more=constraint)
    # As if it had been locked when that was the newest.
    (app / "app.lock").write_text(AppLock(RELEASE, "3.11", asked_of(app).digest, old.packages).render())
    environment = ensure(request(app, release=RELEASE, python=current()))
    locked = {one.name: one.version for one in old.installed({**HERE, **current().markers()})}
    assert dict(one.split("==") for one in environment.packages) == locked
    assert [one.version for one in newest.packages if one.name == "tqdm"] != [locked["tqdm"]]
    imported = subprocess.run(
        [environment.python, "-c", "import flwr, tqdm; print(tqdm.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout.strip() == locked["tqdm"]


def test_a_lock_that_is_not_of_this_is_told_and_left_alone(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm")
    told: list[str] = []

    def without_a_lock(written: AppLock) -> str:
        told.clear()
        (app / "app.lock").write_text(written.render())
        assert request(app, release=RELEASE, python=current(), progress=told.append).lock is None
        return "\n".join(told)

    digest = asked_of(app).digest
    assert "`flowerbed build` writes it anew" in without_a_lock(AppLock(RELEASE, "3.11", f"sha256:{'1' * 64}"))
    assert "is of Flower 1.42.0" in without_a_lock(AppLock("1.42.0", "3.11", digest))
    assert "Python 3.99 and newer" in without_a_lock(AppLock(RELEASE, "3.99", digest))
    (app / "app.lock").write_text(AppLock(RELEASE, "3.11", digest).render())
    assert request(app, release=RELEASE, python=current(), progress=told.append).lock is not None


def test_a_lock_makes_another_environment_and_none_leaves_the_key_as_it_was(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm")
    without = request(app, release=RELEASE, python=current()).key
    (app / "app.lock").write_text(AppLock(RELEASE, "3.11", asked_of(app).digest, (package("tqdm", ""),)).render())
    one = request(app, release=RELEASE, python=current()).key
    (app / "app.lock").write_text(AppLock(RELEASE, "3.11", asked_of(app).digest, (package("six", ""),)).render())
    assert len({without, one, request(app, release=RELEASE, python=current()).key}) == 3
    (app / "app.lock").unlink()
    assert request(app, release=RELEASE, python=current()).key == without


def test_a_file_that_is_not_what_was_locked_is_not_installed(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm")
    found = lock(asked_of(app), PYTHONS)
    changed = [
        Package(one.name, one.version, (f"sha256:{'0' * 64}",), one.marker, one.via) if one.name == "tqdm" else one
        for one in found.packages
    ]
    (app / "app.lock").write_text(AppLock(RELEASE, "3.11", found.asked, tuple(changed)).render())
    with pytest.raises(EnvironmentFailed, match="hash mismatch"):
        ensure(request(app, release=RELEASE, python=current()))


# --- what an image needs ---------------------------------------------------------------------------------


def test_what_only_flower_needs_is_left_to_the_base() -> None:
    found = AppLock(
        RELEASE,
        "3.11",
        f"sha256:{'0' * 64}",
        (
            package("flwr", ""),
            package("grpcio", "flwr"),
            package("numpy", "flwr", "scipy"),
            package("scipy", "sklearn"),
            package("sklearn", ""),
            package("torch", ""),
            package("triton", "torch", marker="sys_platform == 'linux'"),
            package("wincertstore", "sklearn", marker="sys_platform == 'win32'"),
        ),
    )
    assert [one.name for one in found.of_the_app(HERE)] == ["numpy", "scipy", "sklearn", "torch", "triton"]
    assert [one.name for one in found.of_the_app(HERE, ["Torch"])] == ["numpy", "scipy", "sklearn"]


def test_packages_that_need_each_other_are_found_once() -> None:
    found = AppLock(RELEASE, "3.11", f"sha256:{'0' * 64}", (package("a", "", "b"), package("b", "a")))
    assert [one.name for one in found.of_the_app(HERE)] == ["a", "b"]


# --- what cannot be locked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dependency", "more", "why"),
    [
        ("mine @ git+https://example.org/mine@0123456789abcdef0123456789abcdef01234567", "", "'mine' is a commit"),
        ("mine", '[tool.uv.sources]\nmine = {git = "https://example.org/mine"}\n', "'mine' is a commit"),
        ("mine", '[tool.uv.sources]\nmine = {path = "../mine"}\n', "'mine' lies in '../mine', on this machine"),
        ("mine @ file:///opt/mine", "", "'mine' lies in '/opt/mine', on this machine"),
        ("mine @ https://example.org/mine-1.0-py3-none-any.whl", "", "'mine' comes from an address of its own"),
    ],
)
def test_what_others_could_not_get_is_refused_with_a_reason(
    dependency: str, more: str, why: str, tmp_path: Path
) -> None:
    app = write(tmp_path / "app", dependency, more=more)
    with pytest.raises(AppError, match=why) as caught:
        lock(asked_of(app), PYTHONS)
    assert caught.value.where == str(app / "pyproject.toml")
    assert caught.value.hint


def test_an_app_for_no_python_of_the_release_is_told_so() -> None:
    asked = Asked(RELEASE, "<3.11", Wanted(), "app/pyproject.toml")
    with pytest.raises(AppError, match=r"needs Python <3.11, and Flower 1.22.0 runs on 3.11, 3.12, 3.13"):
        lock(asked, PYTHONS)


def test_what_cannot_be_solved_is_told_with_uvs_reason(tmp_path: Path) -> None:
    app = write(tmp_path / "app", "tqdm>4000")
    with pytest.raises(EnvironmentFailed, match="cannot be solved"):
        lock(asked_of(app), PYTHONS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version = 1\nflower = ", "is damaged"),
        ('version = 1\nflower = "1.42"\npython = "3.11"\nasked = "x"\n', "flower: found '1.42'"),
        ('version = 0\nflower = "1.42.0"\n', "version: found 0"),
        ("version = 2\n", "version 2 is of a newer Flowerbed"),
        ("version = 1\npackage = 3\n", "wanted a list of tables"),
        ('version = 1\n[[package]]\nname = "a"\nversion = "1"\nhashes = []\n', "a: wanted sha256 hashes"),
        (
            f'version = 1\npackage = [{{name = "a", version = "1", marker = "so", hashes = ["sha256:{"0" * 64}"]}}]',
            "is damaged",
        ),
    ],
)
def test_a_damaged_lock_says_what_is_wrong_and_what_to_do(text: str, why: str) -> None:
    with pytest.raises(AppError, match=why) as caught:
        read_app_lock(text, "app/app.lock")
    assert caught.value.where == "app/app.lock"
    assert caught.value.hint


def test_a_lock_of_strange_bytes_is_told_and_none_is_none(tmp_path: Path) -> None:
    assert app_lock_at(tmp_path) is None
    (tmp_path / "app.lock").write_bytes(b"\xff")
    with pytest.raises(AppError, match="UTF-8"):
        app_lock_at(tmp_path)
