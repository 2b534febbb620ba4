"""What of a program's text reaches a terminal: colours, where they are wanted, and no other control sequence."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed_inside.text import WholeLines, plain, without_codes

CASES = [
    # (what it is, as printed, plain, with colours)
    ("a colour", "\x1b[92mINFO \x1b[0m: hello", "INFO : hello", "\x1b[92mINFO \x1b[0m: hello"),
    ("a colour of many", "\x1b[38;5;9mred\x1b[m", "red", "\x1b[38;5;9mred\x1b[m"),
    ("a colour with colons", "\x1b[38:2::1:2:3mred\x1b[0m", "red", "\x1b[38:2::1:2:3mred\x1b[0m"),
    ("a colour that is left on", "\x1b[31mred", "red", "\x1b[31mred\x1b[0m"),
    ("clear the screen", "a\x1b[2J\x1b[Hb", "ab", "ab"),
    ("the cursor up", "a\x1b[1Ab", "ab", "ab"),
    ("a private mode", "a\x1b[?1049hb", "ab", "ab"),
    ("keyboard modes that end like a colour", "a\x1b[>4;2mb", "ab", "ab"),
    ("the window's title", "a\x1b]0;mine\x07b", "ab", "ab"),
    ("a link", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text", "text"),
    ("the clipboard", "a\x1b]52;c;aGk=\x1b\\b", "ab", "ab"),
    ("a string for the device", "a\x1bPq#0~\x1b\\b", "ab", "ab"),
    ("a string without an end", "a\x1b]0;mine", "a0;mine", "a0;mine"),
    ("a reset", "a\x1bcb", "ab", "ab"),
    ("another character set", "a\x1b(0b", "ab", "ab"),
    ("C1: clear the screen", "a\x9b2Jb", "ab", "ab"),
    ("C1: a colour", "\x9b31mred\x9b0m", "red", "\x1b[31mred\x1b[0m"),
    ("C1: the window's title", "a\x9d0;mine\x9cb", "ab", "ab"),
    ("C1: next line", "a\x85b", "ab", "ab"),
    ("a byte of C1 that is not UTF-8", "a\udc9b2Jb", "a2Jb", "a2Jb"),
    ("a bell and a backspace", "a\x07b\x08c\x7f", "abc", "abc"),
    ("an escape at the end", "a\x1b", "a", "a"),
    ("tabs and other letters", "a\tb é 花 ▏\u00a0", "a\tb é 花 ▏\u00a0", "a\tb é 花 ▏\u00a0"),
    ("lines of Windows", "one\r\ntwo\r\n", "one\ntwo\n", "one\ntwo\n"),
    ("a progress bar", "\r 10%|█ \r 50%|█████ \r100%|██████████\n", "100%|██████████\n", "100%|██████████\n"),
    ("a bar that ends in front", "50%\r100%\r", "100%", "100%"),
    ("a bar that clears its line", "50%\r\x1b[K\rdone", "done", "done"),
]


@pytest.mark.parametrize(("printed", "without", "coloured"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_a_terminal_obeys_nothing_but_colours(printed: str, without: str, coloured: str) -> None:
    assert plain(printed) == without
    assert plain(printed, colours=True) == coloured


PIECES = st.sampled_from([*"\x1b\x9b\x9d[](;0m2JHq\\\x07\x08\r\n\t é", "\x1b[31m", "\x1b[0m", "\x1b]0;t\x07", "text"])
TEXTS = st.one_of(st.lists(PIECES).map("".join), st.text())


@given(TEXTS)
def test_no_other_control_character_is_left(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain(text))
    without_colours = re.sub(r"\x1b\[[0-9:;]*m", "", plain(text, colours=True))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", without_colours)
    assert plain(plain(text)) == plain(text)
    assert "\x1b" not in without_codes(text)


@given(TEXTS, st.lists(st.integers(0, 60)))
def test_it_does_not_matter_where_text_is_cut(text: str, cuts: list[int]) -> None:
    lines, start = WholeLines(), 0
    found: list[str] = []
    for end in [*sorted(cuts), len(text)]:
        found += lines.feed(text[start:end])
        start = max(start, end)
    assert "\n".join(map(plain, [*found, *(lines.finish() or [""])])) == plain(text)
