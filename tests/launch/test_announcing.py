"""A message is announced once its objects are there, or soon after it was stored."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from flowerbed_inside.levers.announcing import SECONDS, Announcements


class Told:
    """Keeps what was announced, and what is to be called later."""

    def __init__(self) -> None:
        self.topics: list[Hashable] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.announcements = Announcements(self.bring)

    def bring(self, topics: Iterable[Hashable]) -> None:
        self.topics += topics

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        self.due.append((seconds, function))

    def stored(self, sender: str, topic: str, objects: int) -> None:
        self.announcements.stored(sender, [topic], objects, self.later)

    def pass_time(self) -> None:
        for _, function in self.due:
            function()


def test_a_message_is_announced_with_its_last_object() -> None:
    told = Told()
    told.stored("grid", "node 1", 2)
    told.announcements.came("grid")
    told.announcements.came("somebody else")
    assert told.topics == []
    told.announcements.came("grid")
    assert told.topics == ["node 1"]
    told.announcements.came("grid")
    told.pass_time()
    assert told.topics == ["node 1"]


def test_a_message_without_objects_is_announced_at_once() -> None:
    told = Told()
    told.stored("grid", "node 1", 0)
    assert told.topics == ["node 1"]
    assert told.due == []


def test_a_message_whose_objects_take_long_is_announced_before_they_are_there() -> None:
    told = Told()
    told.stored("grid", "node 1", 2)
    assert [seconds for seconds, _ in told.due] == [SECONDS]
    told.pass_time()
    assert told.topics == ["node 1"]


def test_who_brings_the_next_message_has_announced_the_one_before() -> None:
    told = Told()
    told.stored("grid", "node 1", 2)
    told.stored("grid", "node 2", 1)
    assert told.topics == ["node 1"]
    told.announcements.came("grid")
    told.pass_time()
    assert told.topics == ["node 1", "node 2"]
