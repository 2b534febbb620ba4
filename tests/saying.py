"""The command line in this process, for what needs no federation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowerbed.cli import app as command_line
from flowerbed.cli.failure import call

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in this process; return its exit status and what it said."""

    def run(*tokens: str) -> tuple[int, str]:
        status = call(command_line(tokens[0]), list(tokens))
        captured = capsys.readouterr()
        return status, captured.err + captured.out

    return run
