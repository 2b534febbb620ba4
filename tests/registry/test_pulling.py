"""A blob is in its file whole, or there is no file."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import digest_of
from flowerbed.registry.pulling import pull_blob
from flowerbed.registry.pushing import push_blob
from registry.cutting import cable
from registry.test_client import odd

pytestmark = pytest.mark.usefixtures("registry_here")

MiB = 2**20
CONTENT = random.Random(2).randbytes(8 * MiB)  # noqa: S311 - bytes, not secrets
DIGEST = digest_of(CONTENT)


@pytest.fixture
def pushed(shared: str, nobody: Registries) -> str:
    push_blob(nobody, f"{shared}/pull/app", DIGEST, len(CONTENT), CONTENT)
    return shared


@pytest.mark.usefixtures("at_once")
def test_what_is_there_already_is_not_fetched_again(pushed: str, nobody: Registries, tmp_path: Path) -> None:
    went: list[int] = []
    with cable(pushed) as before:
        before.down.extend([5 * MiB, 2 * MiB])
        pull_blob(nobody, f"{before.address}/pull/app", DIGEST, len(CONTENT), tmp_path / "blob", went.append)
        assert before.down == []
        assert before.received < len(CONTENT) + MiB
        assert len(before.requests("GET")) == 3
    assert (tmp_path / "blob").read_bytes() == CONTENT
    assert (sum(went), min(went) > 0) == (len(CONTENT), True)
    assert [file.name for file in tmp_path.iterdir()] == ["blob"]


@pytest.mark.usefixtures("at_once")
def test_a_registry_that_breaks_off_again_and_again(pushed: str, nobody: Registries, tmp_path: Path) -> None:
    with cable(pushed) as before:
        before.down.extend([MiB, *[0] * 20])
        with pytest.raises(RegistryUnreachable, match="does not answer"):
            pull_blob(nobody, f"{before.address}/pull/app", DIGEST, len(CONTENT), tmp_path / "blob")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_once")
def test_a_registry_that_knows_no_ranges(nobody: Registries, tmp_path: Path) -> None:
    went: list[int] = []
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {f"/v2/app/blobs/{DIGEST}": (200, {}, CONTENT)}
    with odd(answers) as (address, asked), cable(address) as before:
        before.down.append(5 * MiB)
        pull_blob(nobody, f"{before.address}/app", DIGEST, len(CONTENT), tmp_path / "blob", went.append)
    assert (tmp_path / "blob").read_bytes() == CONTENT
    assert ["Range" in request for request in asked] == [False, True]
    assert (sum(went), min(went) < -4 * MiB) == (len(CONTENT), True)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"other", f"answers with something else than {DIGEST}"),
        (b"longer", f"answers with more than the 5 bytes of {DIGEST}"),
    ],
)
def test_a_registry_that_gives_something_else(body: bytes, why: str, nobody: Registries, tmp_path: Path) -> None:
    with odd({f"/v2/app/blobs/{DIGEST}": (200, {}, body)}) as (address, asked):
        with pytest.raises(RegistryError, match=why):
            pull_blob(nobody, f"{address}/app", DIGEST, 5, tmp_path / "blob")
        assert len(asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("status", "why"), [(404, "does not have sha256:"), (403, "does not let this login read it"), (500, "with 500")]
)
def test_a_registry_that_does_not_give_it(status: int, why: str, nobody: Registries, tmp_path: Path) -> None:
    with odd({f"/v2/app/blobs/{DIGEST}": (status, {}, b"")}) as (address, asked):
        with pytest.raises(RegistryError, match=why):
            pull_blob(nobody, f"{address}/app", DIGEST, 5, tmp_path / "blob")
        assert len(asked) == (4 if status == 500 else 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(pushed: str, nobody: Registries, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be written: No such file") as caught:
        pull_blob(nobody, f"{pushed}/pull/app", DIGEST, len(CONTENT), tmp_path / "none" / "blob")
    assert caught.value.where == str(tmp_path / "none" / "blob")


PULL = """
import sys
from contextlib import closing
from pathlib import Path
from flowerbed.errors import RegistryError
from flowerbed.registry.client import Registries
from flowerbed.registry.pulling import pull_blob

name, digest, size, to = sys.argv[1:]
with closing(Registries({})) as registries:
    try:
        pull_blob(registries, name, digest, int(size), Path(to))
    except RegistryError as error:
        print(error)
print([file.name for file in Path(to).parent.iterdir()])
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0,
    reason="needs a mount namespace of its own",
)
def test_a_full_disk(pushed: str, tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    place = tmp_path / "full"
    place.mkdir()
    name = f"{pushed}/pull/app"
    command = [sys.executable, "-c", PULL, name, DIGEST, str(len(CONTENT)), str(place / "blob")]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(place), *command],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        check=True,
    )
    said = f"{place}: there is no space left for {len(CONTENT)} bytes of {name}\nMake room there.\n[]\n"
    assert done.stdout == said


def test_no_more_than_a_piece_is_held(pushed: str, nobody: Registries, large: Path, tmp_path: Path) -> None:
    content = large.read_bytes()
    digest, size = digest_of(content), len(content)
    push_blob(nobody, f"{pushed}/memory/app", digest, size, large)
    code = PULL + "\nimport resource\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    peaks = []
    for name, of, many in (("small", DIGEST, len(CONTENT)), ("large", digest, size)):
        repository = "pull/app" if name == "small" else "memory/app"
        command = [sys.executable, "-c", code, f"{pushed}/{repository}", of, str(many), str(tmp_path / name)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peaks.append(int(re.findall(r"\d+", said)[-1]))
    assert (tmp_path / "large").read_bytes() == content
    assert peaks[1] - peaks[0] < 8 * 1024  # KiB: the two files differ by 32 MiB
