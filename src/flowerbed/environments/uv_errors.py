"""What uv's complaints mean to whoever asked for a federation."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowerbed.errors import EnvironmentFailed

PLACEHOLDER = "the-app"
"""The name under which uv meets the app."""

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]*@")
_MOST_LINES = 24
_YANKED = re.compile(r"warning: `(?P<what>[^`]+)` is yanked(?: \(reason: \"(?P<why>.*)\"\))?\.?")

_NO_NETWORK = (
    r"error sending request|dns error|Could not resolve host|tcp connect error|Connection (refused|reset)"
    r"|timed out|Network is unreachable"
)
_NO_COMPILER = (
    r"(gcc|g\+\+|cc|c\+\+|clang|cl\.exe|rustc|cargo|cmake|gfortran|nvcc)['’`]? (failed|not found|is not installed)"
    r"|No such file or directory: '[^']*(gcc|g\+\+|cc|c\+\+|clang|cargo|cmake)'"
    r"|need an? (C|C\+\+|Rust|Fortran) compiler"
    r"|Unknown compiler|No (C|CXX|CMAKE_C)\w* compiler|can't find Rust compiler|unable to execute '"
)
_INDEX = "UV_DEFAULT_INDEX (or PIP_INDEX_URL) names another index; pip.conf is not read."
_MEANINGS: tuple[tuple[str, str, str | None], ...] = (
    # (what uv or a build back end writes, what it means, what to do); the first that is found counts
    (
        r"No space left on device|os error 28\b|Disk quota exceeded",
        "there is no space left on the disk",
        (
            "Free some space (`flowerbed env prune`, `flowerbed images prune`, `uv cache prune`),"
            " or set FLOWERBED_CACHE_DIR and UV_CACHE_DIR."
        ),
    ),
    (
        r"Hash mismatch",
        "a downloaded file is not the one that the index promised (hash mismatch)",
        "Try again; if it stays so, ask whoever runs the index, and install nothing from it until then.",
    ),
    (
        r"invalid peer certificate|UnknownIssuer|certificate verify failed",
        "the package index's certificate is not trusted",
        "Set SSL_CERT_FILE to the bundle that contains your certificate authority.",
    ),
    (
        r"\b(401 Unauthorized|403 Forbidden|407 Proxy)",
        "the package index refused access",
        "Give uv the credentials that your index wants, for example in ~/.netrc or UV_INDEX_<NAME>_PASSWORD.",
    ),
    (
        r"network was disabled",
        "the packages are not in uv's cache, and the network is switched off (UV_OFFLINE)",
        "Unset UV_OFFLINE once; an environment that was built needs no network any more.",
    ),
    (
        _NO_NETWORK,
        "there is no network, or the place where the packages come from does not answer",
        f"Check the network. {_INDEX} An environment that was built needs no network any more.",
    ),
    (
        _NO_COMPILER,
        "a dependency has no wheel for this Python and platform and needs a compiler, which failed",
        "Choose a version of it that has a wheel, another Python (spec.python), or install that compiler.",
    ),
    (
        r"Git operation failed",
        "a dependency cannot be fetched by git",
        "Check its address and that `git clone` of it works here.",
    ),
    (
        r"No solution found",
        "the app's dependencies cannot be solved together with this Flower release",
        f"Change the app's dependencies or the federation's `flower`. {_INDEX}",
    ),
    (
        r"Failed to build|Failed to download and build",
        "a dependency has no wheel for this Python and platform and cannot be built here",
        "Choose a version of it that has a wheel, or another Python (spec.python).",
    ),
    (r"No interpreter found", "uv found no such Python", None),
)


def essential(lines: Iterable[str]) -> str:
    """Return the part of uv's output that says why it failed, without credentials, warnings and progress."""
    text = [_CREDENTIALS.sub("***@", line.rstrip()) for line in lines if not line.startswith("warning:")]
    start = next((number for number, line in enumerate(text) if line.startswith(("error:", "  × ", "× "))), None)
    reason = text[start:] if start is not None else text[-_MOST_LINES:]
    reason = [line for line in reason if line.strip()]
    if len(reason) > _MOST_LINES:  # a compiler's output: its end says why, the beginning says of what
        reason = [*reason[: _MOST_LINES // 3], "  […]", *reason[-(_MOST_LINES - _MOST_LINES // 3) :]]
    return "\n".join(reason).replace(PLACEHOLDER, "the app").replace("your requirements", "the requirements")


def yanked(lines: Iterable[str]) -> list[str]:
    """Return what uv warns of: versions that their publishers took back, with the reason where they gave one.

    Examples
    --------
    >>> yanked(["Resolved 1 package", 'warning: `tiny==2.0` is yanked (reason: "it eats files")'])
    ['tiny==2.0 (it eats files)']
    """
    found = filter(None, map(_YANKED.fullmatch, lines))
    return [f"{one['what']} ({one['why']})" if one["why"] else one["what"] for one in found]


def blamed(lines: Iterable[str]) -> list[str]:
    """Return the requirements of the app that uv names as the reason why there is no solution, as uv writes them.

    Examples
    --------
    >>> blamed(["  cause: Because there is no version of numpy==99.0 and the-app depends on numpy==99.0, we can"])
    ['numpy==99.0']
    """
    text = " ".join(line.strip() for line in lines)
    return re.findall(rf"\b{PLACEHOLDER} depends on ([^\s]+?),?(?=\s|$)", text)


def explain(lines: Iterable[str], *, doing: str, where: str | None = None) -> EnvironmentFailed:
    """Return the error that stands for a failed uv.

    Parameters
    ----------
    lines : iterable of str
        What uv wrote to its standard error.
    doing : str
        What it was asked for: "preparing Flower 1.42.0".
    where : str or None
        The app's pyproject.toml, or a folder.
    """
    text = list(lines)
    reason = essential(text)
    everything = "\n".join(text)
    for pattern, meaning, hint in _MEANINGS:
        if re.search(pattern, everything):
            return EnvironmentFailed(f"{doing} failed: {meaning}\n{reason}", where=where, hint=hint)
    return EnvironmentFailed(f"{doing} failed\n{reason}", where=where)
