"""The end of a program in a Pod, as the API server tells it on the last channel."""

from __future__ import annotations

from typing import Any

import pytest

from flowerbed.kubernetes.exec_stream import exit_code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"status": "Success"}, 0),
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}, 3),
        ({"status": "Failure", "message": "container not found"}, -1),
        ({"status": "Failure", "details": {"causes": [{"reason": "Other"}]}}, -1),
    ],
)
def test_the_exit_status_is_the_programs(status: dict[str, Any], code: int) -> None:
    assert exit_code(status) == code
