"""At its end a ServerApp waits until its log is uploaded, and no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, Queue

from flowerbed_inside.levers.logs import Uploads

LONG = 60.0
"""What a test waits at most; it fails by what was uploaded, not by the time."""


@contextmanager
def uploading(uploads: Uploads, queue: Queue[str], uploaded: list[str]) -> Iterator[None]:
    """A thread that uploads as Flower's does: what is in the queue, then a sleep."""
    ends = threading.Event()

    def upload() -> None:
        while not ends.is_set():
            taken = []
            try:
                while True:
                    taken.append(queue.get_nowait())
            except Empty:
                uploaded.extend(taken)
            uploads.sleep(LONG)

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    yield
    ends.set()
    uploads.hurry(0)
    thread.join(LONG)
    assert not thread.is_alive()


def test_all_that_was_said_is_uploaded_when_the_wait_is_over() -> None:
    uploads, queue, uploaded = Uploads(), Queue[str](), list[str]()
    with uploading(uploads, queue, uploaded):
        for number in range(200):
            queue.put(str(number))
            uploads.sleep(LONG)  # as in flush_logs, in the main thread
            assert uploaded[-1] == str(number)


def test_without_a_thread_that_uploads_the_wait_is_flowers() -> None:
    uploads, began = Uploads(), time.monotonic()
    uploads.sleep(0.2)
    assert time.monotonic() - began >= 0.2
