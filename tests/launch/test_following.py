"""Who streams a log is woken by each piece of it, and misses none."""

from __future__ import annotations

import threading
from collections.abc import Callable

from flowerbed_inside.levers.following import Stream

FOREVER = 600.0  # no test waits for it: a wake that does not come would make the test time out


def in_a_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_every_thread_that_streams_is_woken_by_what_is_noted() -> None:
    stream = Stream()
    note = stream.bringing(lambda number: number + 1)
    threads = [in_a_thread(lambda: stream.sleep(FOREVER)) for _ in range(3)]
    assert note(1) == 2
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_what_is_noted_between_two_sleeps_is_looked_for_at_once() -> None:
    stream = Stream()
    note, looks = stream.bringing(lambda: None), 3

    def streaming() -> None:
        for _ in range(looks):
            note()
            stream.sleep(FOREVER)

    thread = in_a_thread(streaming)
    thread.join(30)
    assert not thread.is_alive()


def test_a_note_that_fails_wakes_too_and_fails() -> None:
    stream = Stream()

    def failing() -> None:
        raise ValueError("a full disk")

    thread = in_a_thread(lambda: stream.sleep(FOREVER))
    try:
        stream.bringing(failing)()
    except ValueError as error:
        assert str(error) == "a full disk"
    thread.join(30)
    assert not thread.is_alive()
