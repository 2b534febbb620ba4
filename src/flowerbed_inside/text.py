"""Terminal control sequences out of the text that a program prints: colours may stay, nothing else does.

Standard library only. What a terminal obeys is read in ECMA-48 (control
sequences, control strings and the C1 set, by ESC and a letter or as one character) and in xterm's list of them.
"""

from __future__ import annotations

import re

# A control string (DCS, SOS, OSC, PM, APC) with what is in it; one without an end loses only its beginning.
_STRING = r"(?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
_SEQUENCE = r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)(?P<middle>[ -/]*)(?P<end>[@-~])"
_ESCAPE = r"\x1b[ -/]*[0-~]?"
_CONTROL = r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\udc80-\udc9f]"
_CODES = re.compile(f"{_STRING}|{_SEQUENCE}|{_ESCAPE}|{_CONTROL}")
_COLOUR = re.compile(r"[0-9:;]*")
_ANY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udc9f]")
_OFF = "\x1b[0m"
_LONGEST_LINE = 2**20  # characters


def size_text(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plain(text: str, *, colours: bool = False) -> str:
    """Return the text as it is safe to show: without control characters but tab and newline.

    Of a line that a progress bar wrote over and over, by carriage returns, its last state is left.

    Parameters
    ----------
    text : str
        Whole lines; a sequence that goes on in the next line is none for this.
    colours : bool
        Leave colours (SGR) where they are, and end them with the line.
    """
    if not _ANY.search(text):
        return text
    return "\n".join(_line(line, colours) for line in text.split("\n"))


def plain_bytes(line: bytes) -> bytes:
    """Return a line, as a program wrote it, without colours and other control sequences."""
    return plain(line.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def without_codes(text: str) -> str:
    """Return the text without control characters but tab, newline and carriage return."""
    return _CODES.sub("", text) if _ANY.search(text) else text


def _line(line: str, colours: bool) -> str:
    state = line
    if "\r" in line:
        states = [state for state in line.split("\r") if without_codes(state).strip()]
        state = states[-1] if states else ""
    if not colours:
        return without_codes(state)
    shown = _CODES.sub(_colour, state)
    last = shown.rfind("\x1b[")
    return shown if last < 0 or shown.startswith((_OFF, "\x1b[m"), last) else shown + _OFF


def _colour(found: re.Match[str]) -> str:
    is_colour = found["end"] == "m" and not found["middle"] and _COLOUR.fullmatch(found["parameters"])
    return f"\x1b[{found['parameters']}m" if is_colour else ""


class WholeLines:
    """Text in pieces, cut anywhere, into whole lines."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """Take the next piece; return the lines that are whole now. One that is far too long is cut."""
        *lines, self._rest = (self._rest + text).split("\n")
        return lines if len(self._rest) < _LONGEST_LINE else [*lines, *self.finish()]

    def finish(self) -> list[str]:
        """Return a last line without an end, if there is one."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []
