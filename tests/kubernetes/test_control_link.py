"""The control client's connection may break at any moment, also while something is written to it."""

from __future__ import annotations

from typing import Any

import pytest

from flowerbed.errors import ClusterForbidden, ControlError
from flowerbed.kubernetes.control import ControlLink, Place


class Broken:
    """A connection that is gone, and nobody has noticed yet."""

    def write(self, data: bytes) -> None:
        raise OSError(9, "Bad file descriptor")

    def hang_up(self) -> None:
        pass


def test_a_request_on_a_connection_that_is_gone_is_one_that_nobody_answers() -> None:
    cluster: Any = None
    link = ControlLink(cluster, lambda: None)
    link.close()
    link._thread.join()
    broken: Any = Broken()
    link._stream = broken
    with pytest.raises(ControlError) as caught:
        link.ask("runs")
    assert caught.value.where == "unavailable"
    link.follow("1", print, lambda: 0.0)


def test_who_may_not_exec_waits_for_nothing() -> None:
    class Cluster:
        def stream(self, *_: object) -> None:
            raise ClusterForbidden("you may not exec into Pods", role=[])

    cluster: Any = Cluster()
    link = ControlLink(cluster, lambda: Place("here", "superlink-0", "superlink", ()))
    with pytest.raises(ControlError, match="may not exec"):
        link.ask("runs", timeout=3600.0)
    link.close()
