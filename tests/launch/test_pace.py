"""Clients poll quickly after work, and as seldom as Flower's own where nobody holds their polls."""

from __future__ import annotations

from flowerbed_inside.levers.pace import FIRST_SECONDS, HELD_SECONDS, POLL_SECONDS, QUICK_POLLS, Pace


class Polling:
    """A client that polls a server which takes so long for its answers, with a clock of its own."""

    def __init__(self, held: float = HELD_SECONDS) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.pace = Pace(held, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def poll(self, times: int, *, took: float, asked: float = 3.0) -> list[float]:
        del self.slept[:]
        for _ in range(times):
            self.now += took
            self.pace(asked)
        return self.slept


def test_a_server_that_holds_is_asked_again_at_once() -> None:
    assert set(Polling().poll(1000, took=3.0)) == {FIRST_SECONDS}


def test_a_server_that_does_not_hold_is_soon_asked_as_seldom_as_by_flower() -> None:
    slept = Polling().poll(100, took=0.005)
    assert slept == sorted(slept)
    assert slept[:QUICK_POLLS] == [FIRST_SECONDS] * QUICK_POLLS
    assert slept[QUICK_POLLS + 10 :] == [3.0] * (90 - QUICK_POLLS)


def test_nobody_sleeps_longer_than_flower() -> None:
    assert set(Polling().poll(100, took=0.0, asked=0.001)) == {0.001}


def test_work_makes_it_quick_again() -> None:
    polling = Polling()
    polling.poll(100, took=0.005)
    assert polling.poll(3, took=0.3) == [FIRST_SECONDS] * 3
    polling.poll(100, took=0.005)
    polling.pace.worked()
    assert polling.poll(3, took=0.005) == [FIRST_SECONDS] * 3


def test_a_server_that_is_far_away_does_not_hold() -> None:
    assert Polling().poll(100, took=0.3)[-1] == 3.0


def test_a_busy_server_does_not_hold_supernodes() -> None:
    polling = Polling(held=POLL_SECONDS)
    polling.poll(1, took=0.005)
    assert polling.poll(100, took=0.5)[-1] == 3.0
