"""Where the launchers have apps work, and when their folders go: without Flower, but for what they wrap of it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowerbed.runs.tracebacks import last_traceback
from flowerbed.runs.verdict import Observation, judge
from flowerbed_inside.launch import launcher
from flowerbed_inside.launch.app import Workplace, hold
from flowerbed_inside.launch.launcher import IDLE_SECONDS, LONGEST_IDLE_SECONDS, Scratch, remove_unheld
from flowerbed_inside.text import size_text

HEAD = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from flowerbed_inside.launch.app import Workplace
context = SimpleNamespace(run_id=7, run_config={})
"""


def work(root: Path, code: str, *, results: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process whose ``app`` is called as Flower calls an app."""
    script = root.parent / "script.py"
    end = f"Workplace({str(root)!r}, results={results}).entered(app)(context)\n"
    script.write_text(HEAD + code + end)
    env = {"PATH": os.defpath, **environment}
    return subprocess.run(
        [sys.executable, script], cwd=root.parent, env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_a_serverapp_saves_by_a_relative_path_is_in_its_runs_folder(tmp_path: Path) -> None:
    code = """
def app(context):
    Path("data").mkdir()
    Path("data", "model.bin").write_bytes(b"m")
    print(os.getcwd() == os.environ["FLOWERBED_RESULTS"])
"""
    done = work(tmp_path / "results", code)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert (tmp_path / "results" / "7" / "data" / "model.bin").read_bytes() == b"m"


def test_an_app_that_changed_its_folder_while_it_was_imported_stays_there(tmp_path: Path) -> None:
    code = """
def app(context):
    print(os.getcwd())
place = Workplace({root!r}, results=True)
place.enter(context)
os.mkdir("mine")
os.chdir("mine")
place.entered(app)(context)
"""
    done = work(tmp_path / "results", code.format(root=str(tmp_path / "results")))
    assert done.stdout.splitlines()[0] == str(tmp_path / "results" / "7" / "mine"), done.stderr


def test_no_file_that_an_app_saves_becomes_a_module(tmp_path: Path) -> None:
    """Neither for itself nor for a program that it starts, whatever relative entries the import path had."""
    code = """
sys.path[:0] = ["", "."]
def app(context):
    Path("colorsys.py").write_text("raise ImportError('a result')")
    import colorsys, subprocess
    helper = Path(os.environ["HELPER"])
    helper.write_text("import colorsys, near; print('child')")
    print("own", flush=True)
    subprocess.run([sys.executable, str(helper)], check=True)
"""
    (tmp_path / "near.py").write_text("")
    (tmp_path / "bin").mkdir()
    helper = str(tmp_path / "bin" / "helper.py")
    done = work(tmp_path / "results", code, PYTHONPATH=os.pathsep.join([".", ""]), HELPER=helper)
    assert done.stdout == "own\nchild\n", done.stderr


def test_an_app_runs_where_it_is_if_its_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("in the way")
    done = work(tmp_path / "results", "def app(context): print(os.getcwd())\n")
    assert done.stdout == f"{tmp_path}\n"
    assert done.stderr.startswith("flowerbed: results cannot be kept: [Errno 20]")


FILLS = """
def app(context):
    Path("notes.txt").write_text("small")
    with open("checkpoint.bin", "wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
place = Workplace({root!r}, results=True)
place.explaining(place.entered(app))(context)
"""


@pytest.mark.parametrize("words", ["", "\n    except OSError as error: raise RuntimeError('writer failed') from None"])
def test_a_full_volume_is_said_with_the_file_that_grew(tmp_path: Path, words: str) -> None:
    """Also where a library calls it by another name."""
    root = tmp_path / "results"
    root.mkdir()
    code = FILLS.format(root=str(root))
    if words:
        code = code.replace('    with open("ch', '    try:\n     with open("ch').replace(
            "4096)\n", f"4096){words}\n", 1
        )
    script = tmp_path / "script.py"
    script.write_text(HEAD + code)
    mount = f'mount -t tmpfs -o size=1m none "{root}" && exec "{sys.executable}" "{script}"'
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--mount", "true"], check=False).returncode != 0:
        pytest.skip("no mounts of one's own here")
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", mount], capture_output=True, text=True, check=False, timeout=60
    )
    traceback = last_traceback(done.stderr)
    assert traceback is not None, done.stderr
    reason = judge(Observation(outcome="failed", serverapp_traceback=traceback)).reason
    assert reason == (
        "The ServerApp failed: OSError: [Errno 28] the volume for results is full: this run saved 1.0 MB of its"
        " 1.0 MB; the file that grew last is checkpoint.bin (1.0 MB)."
    )


def test_an_error_that_has_nothing_to_do_with_a_full_volume_stays_what_it_is(tmp_path: Path) -> None:
    place = Workplace(str(tmp_path), results=True)
    place.folder = tmp_path

    def app() -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x")

    with pytest.raises(OSError, match="No space left on device") as caught:
        place.explaining(app)()
    assert "volume" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (2_000_000_000, "2.0 GB")]
)
def test_sizes_are_told_as_people_read_them(count: int, text: str) -> None:
    assert size_text(count) == text


def test_a_folder_that_somebody_works_in_is_not_removed(tmp_path: Path) -> None:
    held = hold(tmp_path / "7")
    (tmp_path / "7" / "file").write_text("kept")
    assert not remove_unheld(tmp_path / "7")
    assert (tmp_path / "7" / "file").read_text() == "kept"
    os.close(held)
    assert remove_unheld(tmp_path / "7")
    assert not (tmp_path / "7").exists()
    assert remove_unheld(tmp_path / "7")


def test_a_forked_process_still_holds_the_folder_of_one_that_has_ended(tmp_path: Path) -> None:
    code = f"""
import os, sys
from flowerbed_inside.launch.app import hold
from pathlib import Path
hold(Path({str(tmp_path / "7")!r}))
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert child.wait(30) == 0
    assert not remove_unheld(tmp_path / "7")
    assert child.stdin is not None
    child.stdin.close()
    for _ in range(1000):
        if remove_unheld(tmp_path / "7"):
            return
        threading.Event().wait(0.02)
    pytest.fail("the fork has ended and still holds it")


def test_who_comes_while_a_folder_is_removed_gets_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    removing = os.open(folder, os.O_RDONLY)
    fcntl.flock(removing, fcntl.LOCK_EX)
    held: list[int] = []
    coming = threading.Thread(target=lambda: held.append(hold(folder)))
    coming.start()
    shutil.rmtree(folder)
    os.close(removing)
    coming.join(30)
    assert os.fstat(held[0]).st_ino == folder.stat().st_ino
    os.close(held[0])


class EndedError(Exception):
    """The run has ended."""


class Node:
    """A SuperNode's loop as the launcher wraps it: what it pulls, and what the SuperLink says of runs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.asked: list[tuple[float, int]] = []
        self.over: set[int] = set()
        monkeypatch.setattr(launcher, "time", SimpleNamespace(monotonic=lambda: self.now))
        self._pulled: int | None = None
        self._pull = Scratch(root).watched(lambda **_: self._pulled, EndedError)

    def __call__(self, run: int | None = None, *, after: float = 3.0) -> None:
        self.now += after
        self._pulled = run
        self._pull(get_run=self._get_run)

    def _get_run(self, run: int) -> None:
        self.asked.append((self.now, run))
        if run in self.over:
            raise EndedError


def test_a_runs_folder_goes_once_the_superlink_says_that_the_run_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, monkeypatch)
    for run in (7, 8):
        (tmp_path / str(run)).mkdir()
        node(run)
    node.over = {7}
    while (tmp_path / "7").exists():
        assert node.now < 30
        node()
    assert (tmp_path / "8").exists()
    held = hold(tmp_path / "8")
    node.over = {7, 8}
    for _ in range(30):
        node()
    assert (tmp_path / "8").exists()
    os.close(held)
    for _ in range(int(LONGEST_IDLE_SECONDS)):
        node()
    assert list(tmp_path.iterdir()) == []
    asked = len(node.asked)
    node(after=1000.0)
    node()
    assert len(node.asked) == asked


def test_the_superlink_is_asked_seldom_of_a_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path, monkeypatch)
    (tmp_path / "7").mkdir()
    for _ in range(20):  # messages, each of which took long
        node(7, after=100.0)
    assert node.asked == []
    while node.now < 2600:
        node(after=1.0)
    times = [when for when, _ in node.asked]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == pytest.approx(2001 + IDLE_SECONDS)
    assert pauses[:4] == pytest.approx([2 * IDLE_SECONDS, 4 * IDLE_SECONDS, 8 * IDLE_SECONDS, LONGEST_IDLE_SECONDS])
    assert max(pauses) == pytest.approx(LONGEST_IDLE_SECONDS)


def test_what_an_earlier_supernode_left_goes_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "7" / "deep").mkdir(parents=True)
    held = hold(tmp_path / "8")
    Scratch(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["8"]
    os.close(held)
    Scratch(tmp_path / "not there").clear()
