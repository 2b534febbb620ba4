"""What a person sees: colours where they are wanted, nothing that steers a terminal, and no line again and again."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from flowerbed.cli import logs
from flowerbed.cli.failure import READER_LEFT
from flowerbed.cli.output import Output, takes_colours
from flowerbed.cli.progress import Progress
from flowerbed.runs.history import stopped
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.runs.runtime import Event
from saying import Say

CLEAR = "\x1b[2J"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}, {"NO_COLOR": ""}], ids=str)
@pytest.mark.parametrize("forced", [{}, {"FORCE_COLOR": "1"}, {"FORCE_COLOR": ""}], ids=str)
@pytest.mark.parametrize("term", ["xterm-256color", "dumb", "unknown"])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_colours_are_wanted_where_rich_writes_them(
    colour: dict[str, str], forced: dict[str, str], term: str, is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**colour, **forced, "TERM": term}.items():
        monkeypatch.setenv(name, value)
    file = Terminal() if is_terminal else StringIO()
    Console(file=file).print("red", style="red")
    assert takes_colours(is_terminal=is_terminal) == ("\x1b[31m" in file.getvalue())


def test_what_an_app_says_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.say(f"a {CLEAR}reason")
    out.step(f"a \x1b[31mround{CLEAR}")
    out.table(["FILE"], [[f"model{CLEAR}.npz"]])
    out.log_line(f"\x1b[31mlog{CLEAR}")
    Output(as_json=True).data("run", {"reason": f"\x1b[31mred{CLEAR}", "rounds": [{"kind": "\x07bell"}]})
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert json.loads(said.splitlines()[-1]) == {"type": "run", "reason": "red", "rounds": [{"kind": "bell"}]}


def test_an_app_s_brackets_are_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    out = Output()
    with out.working("[/nothing] is closed"):
        out.step("loss[/x]=[red]0.5")
    assert "loss[/x]=[red]0.5" in terminal.getvalue()


def test_a_line_of_a_log_is_shown_once_it_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sequence and a letter that are cut in two, a log that is trimmed, and a last line without an end."""
    path = tmp_path / "superlink.log"
    pieces = [b"one \x1b[3", b"1mred\x1b[0m and \xc3", b"\xa9\ntw", b"o\n", b"three"]
    path.write_bytes(b"")
    wrote: list[bytes] = []

    def write(_seconds: float) -> None:
        wrote.append(pieces[len(wrote)])
        with path.open("ab") as log:
            log.write(wrote[-1])

    monkeypatch.setattr("time.sleep", write)
    logs._show(Output(), path, True, lambda: len(wrote) < len(pieces))
    assert capsys.readouterr().out == "one red and é\ntwo\nthree\n"


def test_a_step_that_goes_on_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    for text in ("waiting for run 3", "waiting for run 3", "waiting for run 4", "waiting for run 3"):
        out.step(text)
    assert [line.partition("] ")[2][-1] for line in capsys.readouterr().out.splitlines()] == ["3", "4", "3"]


def test_an_event_of_a_run_names_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Output().event(Event(0.0, "run", "8", "stopped: on request"))
    assert capsys.readouterr().out.endswith("] run 8: stopped: on request\n")


@pytest.mark.parametrize(
    ("verdict", "before", "said"),
    [
        (Verdict.STOPPED, False, "Run 9 is stopped."),
        (Verdict.STOPPED, True, "Run 9 was already stopped."),
        (Verdict.SUCCEEDED, True, "Run 9 had already finished: succeeded."),
        (Verdict.FAILED, False, "Run 9 had already finished: failed."),
    ],
)
def test_what_stop_says(verdict: Verdict, before: bool, said: str) -> None:
    assert stopped(RunRecord(9, "1", "app", Phase.FINISHED, verdict=verdict), before=before) == said


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["stop", "4", "5"], "an argument too many: 5\nSee `flowerbed stop --help`."),
        (["runs", "1", "2", "3"], "arguments too many: 2 3\nSee `flowerbed runs --help`."),
        (["trust", "show", "x"], "an argument too many: x\nSee `flowerbed trust show --help`."),
    ],
)
def test_arguments_that_are_too_many_are_named(say: Say, tokens: list[str], said: str) -> None:
    assert say(*tokens) == (2, f"flowerbed: {said}\n")


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["--verison"], "Unknown option: --verison. Did you mean --version?"),
        (["--file=x", "run"], "Unknown option: --file=x. The command comes first."),
    ],
)
def test_an_option_before_the_command_is_no_command(say: Say, tokens: list[str], said: str) -> None:
    assert say(*tokens) == (2, f"flowerbed: {said}\nSee `flowerbed --help`.\n")


def test_a_log_before_any_federation_says_what_to_type(say: Say, tmp_path: Path) -> None:
    (tmp_path / "federation.yaml").write_text("")
    said = f"flowerbed: {tmp_path}: no federation was started here yet\nStart it: flowerbed up\n"
    assert say("logs", "nothing", "--file", str(tmp_path)) == (1, said)


@pytest.mark.parametrize(
    ("done", "total", "said"), [(50, 100, "50 bytes of 100 bytes"), (2 * 10**6, 4 * 10**6, "2.0 MB of 4.0 MB")]
)
def test_progress_is_told_in_sizes_that_people_read(
    capsys: pytest.CaptureFixture[str], done: int, total: int, said: str
) -> None:
    Progress(Output(), "results of run 2")(done, total)
    assert capsys.readouterr().out.endswith(f"] results of run 2: {said}\n")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("schema | true", READER_LEFT),
        ("--help | true", READER_LEFT),
        ("run 2>&1 | true", READER_LEFT),  # nothing ran, and nobody can read why
        ("nosuch 2>&1 | true", READER_LEFT),
        ("schema >&-", 0),
        ("env list >&- 2>&-", 0),
    ],
)
def test_nobody_reads(command: str, status: int, tmp_path: Path) -> None:
    """A reader that went away is one exit status, never 0; it and streams that are closed are no traceback."""
    flowerbed = Path(sys.executable).with_name("flowerbed")
    script = f"{flowerbed} {command}".replace("| true", "| (exec <&-; true)")
    bash = ["bash", "-c", f"set -o pipefail; {script}"]
    done = subprocess.run(bash, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (status, "")
    assert READER_LEFT == 141


def test_what_has_to_be_done_goes_on_when_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    out, done = Output(), []

    def run() -> None:
        try:
            out.say("round 1")
        finally:
            with out.working("taking the federation down"):
                done.append("down")

    with pytest.raises(BrokenPipeError):
        run()
    assert done == ["down"]
