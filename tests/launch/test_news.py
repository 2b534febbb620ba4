"""Who waits for news is woken by it, and nobody misses any."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from flowerbed_inside.levers.news import News

TOPICS = st.sampled_from("abc")


def test_who_waits_is_woken_once_by_news_of_his_topic() -> None:
    news, woken = News(), []
    since = news.now()
    assert news.wait("a", since, lambda: woken.append("first"))
    assert news.wait("a", since, lambda: woken.append("second"))
    assert news.wait("b", since, lambda: woken.append("other"))
    news.bring(["a"])
    news.bring(["a"])
    assert woken == ["first", "second"]


def test_nobody_waits_for_what_has_come_since_he_looked() -> None:
    news = News()
    since = news.now()
    news.bring(["b"])
    assert news.wait("a", since, lambda: None)
    news.bring(["a"])
    assert not news.wait("a", since, lambda: None)
    assert news.wait("a", news.now(), lambda: None)


def test_who_has_left_is_not_woken() -> None:
    news, woken = News(), []

    def wake() -> None:
        woken.append("left")

    assert news.wait("a", news.now(), wake)
    news.leave("a", wake)
    news.leave("a", wake)
    news.bring(["a"])
    assert woken == []


def test_all_are_woken_at_the_end_and_nobody_waits_after_it() -> None:
    news, woken = News(), []
    assert news.wait("a", news.now(), lambda: woken.append("a"))
    assert news.wait("b", news.now(), lambda: woken.append("b"))
    news.close()
    assert woken == ["a", "b"]
    assert not news.wait("a", news.now(), lambda: None)


def test_a_thread_waits_until_another_brings_news() -> None:
    news = News()
    since, waits = news.now(), threading.Event()
    news.wait("a", since, waits.set)  # it is the first to be woken, so the thread waits by then or has no need to
    thread = threading.Thread(target=news.wait_here, args=("a", since, 60))
    thread.start()
    news.bring(["a"])
    thread.join(30)
    assert not thread.is_alive()
    assert waits.is_set()


@given(st.lists(st.tuples(st.sampled_from(("look", "bring", "wait")), TOPICS)))
def test_no_news_is_missed(steps: list[tuple[str, str]]) -> None:
    """Between a look and the next there is either a wake, or no wait, or nothing new."""
    news = News()
    looked = dict.fromkeys("abc", 0)
    fresh: set[str] = set()
    waiting: set[str] = set()
    woken: set[str] = set()
    for step, topic in steps:
        if step == "look":
            looked[topic] = news.now()
            fresh.discard(topic)
        elif step == "bring":
            news.bring([topic])
            fresh.add(topic)
            assert woken >= waiting & {topic}
            waiting.discard(topic)
        elif topic not in waiting:
            woken.discard(topic)
            waits = news.wait(topic, looked[topic], lambda topic=topic: woken.add(topic))  # type: ignore[misc]
            assert waits == (topic not in fresh)
            waiting |= {topic} if waits else set()
