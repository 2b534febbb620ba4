"""Sets of images, each a folder as Debian's docker-registry keeps it, and a registry to put images into one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster.configuration import registry, write
from free_ports import free_port


def add_images(source: Path, target: Path) -> None:
    """Add a set of images to a registry's storage, also while the registry runs.

    Layers are shared, since they are never rewritten; the small files that point to them are copied, and come after
    what they point to.
    """
    blobs = source / "docker" / "registry" / "v2" / "blobs"
    files = [file for file in source.rglob("*") if file.is_file()]
    for file in sorted(files, key=lambda file: not file.is_relative_to(blobs)):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.is_relative_to(blobs):
            _share(file, copy)
        else:
            shutil.copyfile(file, copy)


def _share(file: Path, copy: Path) -> None:
    with suppress(FileExistsError):
        try:
            os.link(file, copy)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise
            shutil.copyfile(file, copy)  # another file system


@contextmanager
def serving(storage: Path, folder: Path) -> Iterator[str]:
    """Run a registry on the loopback interface, for images to be put into a folder; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    file = write(folder / "registry.json", registry(storage, address))
    with (folder / "registry.log").open("wb") as log:
        command = ["setpriv", "--pdeathsig", "KILL", "docker-registry", "serve", str(file)]
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
        try:
            _await(process, address, folder / "registry.log")
            yield address
        finally:
            process.terminate()
            process.wait()


def _await(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None:
        with suppress(OSError), opener.open(f"http://{address}/v2/", timeout=5):
            return
        time.sleep(0.02)
    raise RuntimeError(f"docker-registry ended with {process.returncode}: {log.read_text(errors='replace')[-1000:]}")
