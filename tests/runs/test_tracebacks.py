"""The traceback that explains a failure is found among everything else that a program printed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_samples import RELEASES, sample

from flowerbed.runs.tracebacks import (
    LIMIT,
    cause,
    last_killed,
    last_lines,
    last_traceback,
    serverapp_ending,
    summary_of,
)


@pytest.mark.parametrize("release", RELEASES)
def test_of_a_real_clientapp_with_the_error_that_it_came_from(release: str) -> None:
    found = last_traceback(sample(f"{release}-allfail.clientapp"))
    assert found is not None
    lines = found.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "KeyError: 'image'" in lines
    assert "The above exception was the direct cause of the following exception:" in lines
    assert lines[-1] == "ValueError: partition 0 has no images"
    assert summary_of(found) == "ValueError: partition 0 has no images"


@pytest.mark.parametrize("release", RELEASES)
def test_of_a_real_serverapp_without_flowers_farewell(release: str) -> None:
    found = last_traceback(sample(f"{release}-serverraise"))
    assert found is not None
    assert found.splitlines()[-1] == "RuntimeError: no weights to start from"
    assert "\x1b" not in found


@pytest.mark.parametrize("release", RELEASES)
def test_a_log_without_one(release: str) -> None:
    assert last_traceback(sample(f"{release}-good")) is None
    assert last_traceback("") is None


def printed(program: str) -> str:
    """Return what Python really prints of an exception."""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    return ran.stderr.rstrip()


PROGRAMS = {
    "plain": ("1/0", "ZeroDivisionError: division by zero"),
    "no message": ("raise ValueError", "ValueError"),
    "in a module of its own": ("import json; json.loads('')", "json.decoder.JSONDecodeError: Expecting value: line 1"),
    "while handling": ("try:\n 1/0\nexcept Exception:\n {}['k']", "KeyError: 'k'"),
    "several lines": ("raise ValueError('one\\ntwo\\n  three')", "ValueError: one"),
    "a syntax error": ("exec('a b')", "SyntaxError: invalid syntax"),
    "a group": ("raise ExceptionGroup('both', [ValueError(1), OSError(2)])", "ExceptionGroup: both (2 sub-exceptions)"),
    "a note": ("e = ValueError('v')\ne.add_note('look here')\nraise e", "ValueError: v"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_python_prints(name: str) -> None:
    program, word = PROGRAMS[name]
    text = printed(program)
    after = "\x1b[91mERROR \x1b[0m:     Exit Code: 201\n\nAn unhandled exception occurred.\n"
    found = last_traceback(f"INFO :      hello\nprinted\n{text}\n{after}")
    assert found == text
    assert summary_of(found).startswith(word)


def test_one_that_was_only_told_to_end_explains_nothing_if_there_is_another() -> None:
    error, interrupted = printed("1/0"), printed("raise KeyboardInterrupt")
    assert last_traceback(f"{error}\n\n{interrupted}\n") == error
    assert last_traceback(f"{interrupted}\n") == interrupted


def test_the_last_of_several() -> None:
    first, second = printed("1/0"), printed("{}['k']")
    assert last_traceback(f"{first}\nINFO :      next\n{second}\n") == second


def test_one_that_flower_logs_as_a_message() -> None:
    text = printed("1/0")
    assert last_traceback(f"\x1b[91mERROR \x1b[0m:     {text}\n") == text


def test_a_long_one_is_cut_in_the_middle_and_says_so() -> None:
    text = "Traceback (most recent call last):\n" + "".join(
        f'  File "deep.py", line {i}, in f{i}\n    f{i + 1}()\n' for i in range(1000)
    )
    found = last_traceback(f"{text}RecursionError: too deep\n")
    assert found is not None
    assert len(found) < LIMIT + 60
    assert found.startswith('Traceback (most recent call last):\n  File "deep.py", line 0, in f0')
    assert "characters left out" in found
    assert found.endswith("RecursionError: too deep")


def test_last_lines() -> None:
    assert last_lines("a\n\x1b[91mb\x1b[0m\nc\n\n", 2) == "b\nc"
    assert last_lines("a", 5) == "a"
    assert last_lines("", 5) == ""
    assert last_lines("a\nb", 0) == ""


START = "Traceback (most recent call last):"
CHAIN = "During handling of the above exception, another exception occurred:"
LOG_LINES = st.sampled_from([START, CHAIN, "  File x", "E: m", "", "INFO :      x", f"  + Exception Group {START}"])


@given(st.lists(LOG_LINES | st.text(max_size=20), max_size=40))
def test_there_is_one_exactly_where_one_starts(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = last_traceback(text, limit=100)
    assert (found is not None) == any(
        line.rstrip("\r") in (START, f"  + Exception Group {START}") for line in text.split("\n")
    )
    if found is not None:
        assert START in found or "left out" in found


def test_a_process_that_was_killed_explains_more_than_an_earlier_traceback() -> None:
    killed = "[flowerbed: the ClientApp was killed by SIGKILL, when the kernel had no memory left]\n"
    traceback = 'Traceback (most recent call last):\n  File "a.py"\nValueError: a\n'
    said = "the ClientApp was killed by SIGKILL, when the kernel had no memory left"
    assert last_killed(f"{traceback}{killed}a line\n") == said
    assert last_killed(f"{killed}{traceback}") == ""
    assert last_killed(traceback) == last_killed("") == ""


def test_how_a_serverapp_ended_is_read_from_its_unit_s_log() -> None:
    assert serverapp_ending("[flowerbed: the ServerApp ended with status 0]\na\n") == "its process ended with status 0"
    assert serverapp_ending("[flowerbed: the ServerApp was killed by SIGKILL]") == "its process was killed by SIGKILL"
    assert serverapp_ending("[flowerbed: the ServerApp ended with status 1]") == serverapp_ending("") == ""


def _raised(summary: str) -> str:
    return f'Traceback (most recent call last):\n  File "client_app.py"\n{summary}\n'


TRAIN, EVALUATE = "RuntimeError: no data on this disk", "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        ([TRAIN, EVALUATE], TRAIN),
        ([EVALUATE, TRAIN], EVALUATE),
        (["SuperNodeUnavailable: gone", EVALUATE], EVALUATE),
        (["of another log"], TRAIN),
        ([""], TRAIN),
        ([], TRAIN),
    ],
)
def test_the_traceback_of_the_first_error_reply_explains_the_others(errors: list[str], shown: str) -> None:
    logs = [("a", "INFO :      hello\n"), ("b", _raised(TRAIN) + _raised(EVALUATE)), ("c", _raised(EVALUATE))]
    assert cause(logs, errors) == _raised(shown).rstrip()
    assert cause(logs[:1], errors) == ""


def test_a_clientapp_that_was_killed_is_named_unless_an_error_reply_has_its_traceback() -> None:
    killed = "[flowerbed: the ClientApp was killed by SIGKILL]\n"
    logs = [("client-0", _raised(TRAIN) + killed), ("client-1", _raised(EVALUATE))]
    assert cause(logs, ["another"]) == "client-0: the ClientApp was killed by SIGKILL"
    assert cause(logs, [EVALUATE]) == _raised(EVALUATE).rstrip()
    # A SuperNode's own errors are no exception of a ClientApp.
    assert cause([("client-0", "")], [TRAIN]) == ""
