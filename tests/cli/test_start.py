"""What a command imports: each is a process of its own, and pydantic's models take longer than all else."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["down", "logs", "results", "runs", "status", "stop"])
def test_a_command_that_needs_no_federation_file_does_not_learn_what_may_stand_in_it(command: str) -> None:
    script = f"import sys, flowerbed.cli.failure, flowerbed.cli.{command}; print('pydantic' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
