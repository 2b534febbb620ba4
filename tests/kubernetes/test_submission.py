"""What an image brings is compared with what the app's folder asks for; the folder travels whole."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from flowerbed.errors import ClusterUnreachable
from flowerbed.kubernetes.exec_stream import NOT_STARTED
from flowerbed.kubernetes.submission import TRIES, Submission, another_flower, missing, pack

IMAGE = {"flwr": "1.42.0", "scikit-learn": "1.5.2", "Numpy": "1.26.4", "typing_extensions": "4.12.2"}


EXTRAS = {
    "scikit-learn": [
        'pandas>=1.1.5; extra == "docs"',
        'Numpy>=2; extra == "docs"',
        'scikit-learn[plot]; extra == "all"',
        'matplotlib>=3.3.4; extra == "plot"',
        'win32; extra == "plot" and sys_platform == "win32"',
    ]
}
MARKERS = {name: str(value) for name, value in default_environment().items()} | {"sys_platform": "plan9"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["scikit-learn>=1.3", "numpy", "typing-extensions"], []),
        (["flwr[simulation]>=9"], []),
        (["torch"], ["torch is not there"]),
        (["scikit-learn>=1.6"], ["scikit-learn>=1.6 is asked for and 1.5.2 is there"]),
        (["torch; python_version < '3'"], []),
        (["torch; sys_platform == 'plan9'"], ["torch is not there"]),
        (["NumPy<1.20", "pandas>2"], ["NumPy<1.20 is asked for and 1.26.4 is there", "pandas is not there"]),
        (
            ["scikit-learn[docs]"],
            [
                "pandas is not there (of scikit-learn[docs])",
                "Numpy>=2 is asked for and 1.26.4 is there (of scikit-learn[docs])",
            ],
        ),
        (["scikit-learn[all,plot]"], ["matplotlib is not there (of scikit-learn[plot])"]),
        (["scikit-learn[nothing-like-it]", "typing-extensions[docs]"], []),
        (["torch[docs]"], ["torch is not there"]),
    ],
)
def test_what_is_missing_is_told_in_words(wanted: list[str], said: list[str]) -> None:
    assert missing(tuple(Requirement(text) for text in wanted), IMAGE, MARKERS, EXTRAS) == said


@pytest.mark.parametrize(
    ("found", "release", "said"),
    [
        ("1.42.0", "1.42.0", ""),
        ("1.42.3", "1.42.0", ""),
        ("1.22.0", "1.42.0", "Flower 1.22.0"),
        ("1.4.1", "1.42.0", "Flower 1.4.1"),
        (None, "1.42.0", "no Flower"),
    ],
)
def test_an_image_of_another_minor_release_of_flower_is_told(found: str | None, release: str, said: str) -> None:
    assert another_flower(found, release) == said


def test_a_packed_folder_is_the_same_each_time_but_for_its_content(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "task.py").write_text("x = 1\n")
    with tarfile.open(fileobj=io.BytesIO(pack(tmp_path))) as archive:
        members = {member.name: member for member in archive.getmembers()}
        assert set(members) == {".", "./app", "./app/task.py"}
        assert {(member.uid, member.gid, member.mtime, member.uname) for member in members.values()} == {(0, 0, 0, "")}


class Flaky:
    """A cluster whose connections break off a few times, and then last."""

    def __init__(self, breaks: int) -> None:
        self.left = breaks
        self.sent: list[bytes] = []

    @contextmanager
    def stream(self, *_: object) -> Iterator[Any]:
        outer = self

        class Stream:
            exit_code = 0
            errors = b""

            def write(self, data: bytes) -> None:
                outer.sent.append(data)

            def read(self) -> Iterator[bytes]:
                if outer.left:
                    outer.left -= 1
                    raise ClusterUnreachable("it broke off")
                yield b"received"

        yield Stream()


def test_a_program_that_could_not_be_started_is_started_again() -> None:
    class Busy(Flaky):
        @contextmanager
        def stream(self, *arguments: object) -> Iterator[Any]:
            busy, self.left = self.left, max(self.left - 1, 0)
            kept, self.left = self.left, 0
            with super().stream(*arguments) as stream:
                stream.exit_code = NOT_STARTED if busy else 0
                yield stream
            self.left = kept

    for busy, came in ((TRIES - 1, 0), (TRIES, NOT_STARTED)):
        cluster: Any = Busy(busy)
        submission = Submission(cluster, {"metadata": {"namespace": "ns"}}, lambda: "")
        assert submission._executed("pod", ["receive"])[0].exit_code == came
        assert len(cluster.sent) == TRIES


def test_a_connection_that_breaks_off_is_made_again_with_all_of_it() -> None:
    cluster: Any = Flaky(TRIES - 1)
    submission = Submission(cluster, {"metadata": {"namespace": "ns"}}, lambda: "")
    assert submission._executed("pod", ["receive"], b"an app")[1] == b"received"
    assert cluster.sent == [b"an app"] * TRIES
    with pytest.raises(ClusterUnreachable):
        Submission(Flaky(TRIES), {"metadata": {"namespace": "ns"}}, lambda: "")._executed("pod", ["x"])  # type: ignore[arg-type]
