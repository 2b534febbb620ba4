"""A package index of a test's own, on loopback: what no public one would do, it does."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

_BLOCK = 2**20


def wheel(name: str, version: str) -> tuple[str, bytes]:
    """Return the file name and the content of a wheel with one module, empty, of that name."""
    content = io.BytesIO()
    _write(content, name, version)
    return f"{name}-{version}-py3-none-any.whl", content.getvalue()


def large_wheel(folder: Path, name: str, version: str, size: int) -> None:
    """Write a wheel with a file of so many bytes, which no compression makes smaller."""
    with (folder / f"{name}-{version}-py3-none-any.whl").open("wb") as file:
        _write(file, name, version, size)


def _write(to: IO[bytes], name: str, version: str, size: int = 0) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(to, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
            record += f"{path},{_named(hashlib.sha256(text.encode()))},{len(text)}\n"
        if size:
            whole = hashlib.sha256()
            with archive.open(f"{name}/data", "w", force_zip64=True) as data:
                for start in range(0, size, _BLOCK):
                    block = os.urandom(min(_BLOCK, size - start))
                    whole.update(block)
                    data.write(block)
            record += f"{name}/data,{_named(whole)},{size}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


def _named(digest: hashlib._Hash) -> str:
    return f"sha256={base64.urlsafe_b64encode(digest.digest()).decode().rstrip('=')}"


class Index:
    """What an index has; it may change while it is served.

    Parameters
    ----------
    address : str
        Where it is, for uv.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes] = {}
        self.yanked: dict[str, str] = {}

    def add(self, name: str, version: str) -> None:
        file, content = wheel(name, version)
        self.files[file] = content

    def yank(self, name: str, version: str, reason: str) -> None:
        """Take a version back, as its publisher can: who asks for just that one still gets it."""
        self.yanked[f"{name}-{version}-py3-none-any.whl"] = reason

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Return the kind and the content of what is asked for (packaging.python.org, simple repository API)."""
        kind, _, name = path.strip("/").partition("/")
        if kind == "files" and name in self.files:
            return "application/octet-stream", self.files[name]
        files = [file for file in self.files if file.partition("-")[0] == name.replace("-", "_")]
        if kind != "simple" or not files:
            return None
        links = ""
        for file in files:
            digest = hashlib.sha256(self.files[file]).hexdigest()
            back = f' data-yanked="{html.escape(self.yanked[file])}"' if file in self.yanked else ""
            links += f'<a href="/files/{file}#sha256={digest}"{back}>{file}</a>\n'
        return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()


@contextmanager
def indexing() -> Iterator[Index]:
    """Serve an index that is empty at first."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = index.answer(self.path)
            self.send_response(200 if found else 404)
            kind, content = found or ("text/plain", b"")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        index = Index(f"http://127.0.0.1:{server.server_port}/simple")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
