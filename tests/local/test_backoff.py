"""When a unit that ended is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowerbed.local.backoff import LONGEST_SECONDS, LOOP_AFTER, SETTLED_SECONDS, Backoff


def test_delays_double_from_half_a_second_and_stop_growing() -> None:
    state, delays = Backoff(), []
    for _ in range(9):
        state = state.ended(lived=1.0)
        delays.append(state.delay)
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_third_quick_end_is_a_crash_loop() -> None:
    state = Backoff()
    loops = []
    for _ in range(3):
        state = state.ended(lived=0.2)
        loops.append(state.looping)
    assert loops == [False, False, True]


def test_a_unit_that_ran_long_enough_starts_over() -> None:
    state = Backoff(ends=LOOP_AFTER + 4).ended(lived=SETTLED_SECONDS)
    assert (state.ends, state.delay, state.looping) == (1, 0.5, False)


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=200))
def test_the_delay_is_always_bounded(lives: list[float]) -> None:
    state = Backoff()
    for lived in lives:
        state = state.ended(lived)
        assert 0 < state.delay <= LONGEST_SECONDS
