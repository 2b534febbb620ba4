"""Running a program in an image without a container engine: in namespaces of its own, without a network.

The layers' folders lie on each other as an overlay, so nothing that runs changes them. This needs Linux and either root
or user namespaces with overlays (from Linux 5.11 on); where that is not to be had, `Sandbox.works` says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from flowerbed.processes import death_sentence

SECONDS = 600.0
"""After so long a program in an image is ended."""

# $1: where the image's root is mounted; $2: the overlay's options; $3: a list of what is removed; the rest: what runs.
_SCRIPT = """\
set -e
root=$1 options=$2 gone=$3; shift 3
mount -t overlay overlay -o "$options" "$root"
(cd "$root" && xargs -0 -r rm -f -- < "$gone")
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs none "$root/dev"
for device in null zero random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs none "$root/tmp"
[ $# -eq 0 ] || exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Sandbox:
    """An image to run programs in.

    Parameters
    ----------
    layers : sequence of Path
        The folders of its files, the lowest first.
    environment : mapping of str to str
        Its environment.
    gone : sequence of str
        Paths of lower layers that an upper one removes.
    """

    layers: Sequence[Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    gone: Sequence[str] = ()

    def run(self, argv: Sequence[str], changes: Path, *, seconds: float = SECONDS) -> tuple[int, str, str]:
        """Run a program and return its status, its output and what it said besides.

        Parameters
        ----------
        argv : sequence of str
            The program, with its path in the image; empty to see whether there could be one.
        changes : Path
            A folder whose files lie on top of all; what the program writes is there afterwards.
        seconds : float
            When it is ended; its status is 124 then.
        """
        with self.started(argv, changes) as running:
            return running.finish(seconds)

    @contextmanager
    def started(self, argv: Sequence[str], changes: Path) -> Iterator[Running]:
        """Start a program, as `run` does; what is left of it at the end is ended."""
        with tempfile.TemporaryDirectory(dir=changes.parent, ignore_cleanup_errors=True) as work:
            mounted, scratch = Path(work, "root"), Path(work, "work")
            mounted.mkdir()
            scratch.mkdir()
            lower = ":".join(str(folder) for folder in reversed(self.layers))
            options = f"lowerdir={lower},upperdir={changes},workdir={scratch}"
            gone = Path(work, "gone")
            gone.write_text("".join(f"{path}\0" for path in self.gone), encoding="utf-8")
            child = _start([str(mounted), options, str(gone), *argv], self.environment)
            try:
                yield Running(child)
            finally:
                if child.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGKILL)
                    child.communicate()


class Running:
    """A program that runs in an image."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._result: tuple[int, str, str] | None = None

    def finish(self, seconds: float = SECONDS) -> tuple[int, str, str]:
        """Wait for it; return what `Sandbox.run` does, however often it is asked."""
        if self._result is None:
            try:
                output, errors = self._child.communicate(timeout=seconds)
                self._result = self._child.returncode, output, errors
            except subprocess.TimeoutExpired:
                self._result = 124, "", f"did not end within {seconds:g} s"
        return self._result


def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*_namespaces(), "/bin/sh", "-c", _SCRIPT, "sh", *arguments],
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=death_sentence(os.getpid()),
    )


def _namespaces() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    kinds = ["--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child=KILL"]
    return [shutil.which("unshare") or "unshare", *as_root, *kinds]


@cache
def works(folder: Path) -> str:
    """Return why nothing can be run in an image here; empty if it can.

    Parameters
    ----------
    folder : Path
        Where the images' files are.
    """
    if shutil.which("unshare") is None:
        return "there is no `unshare` (util-linux)"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place:
        lower, changes = Path(place, "lower"), Path(place, "changes")
        lower.mkdir()
        changes.mkdir()
        status, _, errors = Sandbox([lower]).run([], changes, seconds=60)
    return "" if status == 0 else (errors.strip().splitlines() or [f"`unshare` ended with {status}"])[0]
