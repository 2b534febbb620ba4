"""What pip needs to know inside of a build: this machine's index, as its own pip and uv know it.

It goes into a build as secrets, so it may have passwords in it. Folders of this machine are not there in a build and
are left out, and so is what a keyring or a netrc knows.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flowerbed.environments.uv import run

_TAKEN = ("index-url", "extra-index-url", "find-links", "trusted-host", "no-index", "proxy", "retries", "timeout")
_SECTIONS = ("global", "install", "wheel", ":env:")
"""Of pip's settings, the later ones before the earlier ones."""

_LISTED = re.compile(r"(?P<section>[^.]*)\.(?P<option>[^=]+)=(?P<value>.+)")
_FROM_UV = {
    "UV_INDEX_URL": "index-url",
    "UV_DEFAULT_INDEX": "index-url",
    "UV_EXTRA_INDEX_URL": "extra-index-url",
    "UV_INDEX": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
    "UV_INSECURE_HOST": "trusted-host",
    "UV_NO_INDEX": "no-index",
    "UV_HTTP_TIMEOUT": "timeout",
}
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def listed() -> dict[str, str]:
    """Return pip's settings, as `pip config list` tells them; none where there is no pip."""
    for command in ([sys.executable, "-m", "pip"], [shutil.which("pip3") or shutil.which("pip") or ""]):
        if command[0]:
            code, output, _ = run([*command, "config", "list"], cwd=Path.cwd(), env=os.environ)
            if code == 0:
                return read_listed(output)
    return {}


def read_listed(output: str) -> dict[str, str]:
    """Return the settings in what `pip config list` writes."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in output.splitlines():
        match = _LISTED.fullmatch(line)
        if match and match["section"] in found:
            found[match["section"]][match["option"].replace("_", "-")] = str(ast.literal_eval(match["value"]))
    return {option: value for section in _SECTIONS for option, value in found[section].items()}


def settings(of_pip: Mapping[str, str], environ: Mapping[str, str], of_app: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings for a build: uv's variables go before pip's, as they do outside of it.

    Parameters
    ----------
    of_pip : mapping of str to str
        What pip on this machine says.
    environ : mapping of str to str
        The environment.
    of_app : mapping
        The app's own settings for uv: its indexes come on top.
    """
    known = dict(of_pip)
    for option in (*_TAKEN, "default-timeout"):
        if value := environ.get(f"PIP_{option.upper().replace('-', '_')}"):
            known[option] = value
    if "default-timeout" in known:
        known.setdefault("timeout", known["default-timeout"])
    for name, option in _FROM_UV.items():
        if value := environ.get(name, "").strip():
            known[option] = " ".join(_urls(re.split(r"[\s,]+" if option == "find-links" else r"\s+", value)))
    default, more = _indexes(of_app)
    known["index-url"] = known.get("index-url") or default
    known["extra-index-url"] = " ".join(dict.fromkeys([*known.get("extra-index-url", "").split(), *more]))
    links = [*known.get("find-links", "").split(), *map(str, of_app.get("find-links", []))]
    known["find-links"] = " ".join(dict.fromkeys(link for link in links if "://" in link))
    return {option: known[option] for option in _TAKEN if known.get(option)}


def pip_conf(found: Mapping[str, str]) -> str:
    """Return them as pip's own file has them."""
    return "[global]\n" + "".join(f"{option} = {' '.join(value.split())}\n" for option, value in found.items())


def certificates(of_pip: Mapping[str, str], environ: Mapping[str, str]) -> Path | None:
    """Return the file with the certificates that an index is trusted by; None for pip's own."""
    for name in (environ.get("PIP_CERT"), of_pip.get("cert"), *(environ.get(name) for name in _CERTIFICATES)):
        if name and Path(name).is_file():
            return Path(name)
    return None


def _urls(words: Iterable[str]) -> list[str]:
    """Return the addresses of indexes, which may have names before them: ``torch=https://…``."""
    return [re.sub(r"^[A-Za-z0-9._-]+=(?=\w+://)", "", word) for word in words if word]


def _indexes(of_app: Mapping[str, Any]) -> tuple[str, list[str]]:
    entries = [one for one in of_app.get("index", []) if isinstance(one, dict) and "url" in one]
    default = [str(one["url"]) for one in entries if one.get("default")]
    more = [str(one["url"]) for one in entries if not one.get("default")]
    return str(of_app.get("index-url") or "".join(default[:1])), [*map(str, of_app.get("extra-index-url", [])), *more]
