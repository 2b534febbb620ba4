"""Looking at what a run's ServerApp saved on its volume, and fetching it to this machine."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from flowerbed import placing
from flowerbed.errors import ControlError, NotRunning, UsageError
from flowerbed.kubernetes.control import BOOTSTRAP, program
from flowerbed.kubernetes.exec_stream import ExecStream
from flowerbed.kubernetes.living import name
from flowerbed.kubernetes.manifests.places import RESULTS
from flowerbed.kubernetes.observing import results_claim
from flowerbed.kubernetes.runtime import KubernetesRuntime
from flowerbed.runs.records import RunRecord
from flowerbed.runs.saved import Saved, SavedFile
from flowerbed.topology.model import Role
from flowerbed_inside import bundles

MARK = ".fetched-by-flowerbed"
"""In a folder of results that was fetched, and may be replaced by fetching them again."""

Progress = Callable[[int], None]
"""Is told how many more bytes have arrived."""


def saved(runtime: KubernetesRuntime, record: RunRecord) -> Saved:
    """Return what a run's ServerApp saved.

    Raises
    ------
    NotRunning
        If there is no Pod with the results volume.
    ControlError
        If it cannot be looked at.
    """
    with _running(runtime, ["list", f"{RESULTS}/{record.flower_id}"]) as stream:
        text = b"".join(stream.read())
    _check(stream)
    found = json.loads(text)
    return Saved(
        tuple(SavedFile(*file) for file in found["files"]), tuple((name, why) for name, why in found["left_out"])
    )


def fetch(runtime: KubernetesRuntime, record: RunRecord, what: Saved, into: Path, progress: Progress) -> None:
    """Copy files of a run's results into a folder, which they then are the whole content of.

    Raises
    ------
    NotRunning
        If there is no Pod with the results volume.
    UsageError
        If there is something else in the folder.
    ControlError
        If the copying breaks off; the folder is left as it was.
    """
    if into.exists() and not (into / MARK).exists() and any(into.iterdir()):
        raise UsageError(
            "the folder has files that were not fetched here, and would be replaced",
            where=str(into),
            hint="Name an empty folder with --output, one that is not there yet, or the files that you want.",
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as beside:
        fresh = Path(beside) / "results"
        fresh.mkdir()
        _unpack(runtime, record, what, fresh, progress)
        (fresh / MARK).touch()
        shutil.rmtree(into, ignore_errors=True)
        fresh.rename(into)


def fetch_some(
    runtime: KubernetesRuntime, record: RunRecord, what: Saved, into: Path, progress: Progress, *, ours: bool
) -> None:
    """Copy files of a run's results into a folder, among what is there; `ours` is one that nobody else writes into.

    Raises
    ------
    NotRunning
        If there is no Pod with the results volume.
    UsageError
        If another file would be replaced; one that was fetched before may be.
    ControlError
        If the copying breaks off; the folder is left as it was.
    """
    if not (ours or (into / MARK).exists()):
        placing.refuse_other_files(into, ((file.name, file.size, file.changed) for file in what.files))
    with placing.beside(into) as fresh:
        _unpack(runtime, record, what, fresh, progress)
        placing.move(fresh, into)
    if ours:
        (into / MARK).touch()


def _unpack(runtime: KubernetesRuntime, record: RunRecord, what: Saved, into: Path, progress: Progress) -> None:
    """Unpack files as they arrive: nothing of them is held in memory or written twice."""
    if not what.files:
        return
    names = [file.name for file in what.files]
    with _running(runtime, ["pack", f"{RESULTS}/{record.flower_id}", *names]) as stream:
        arriving = _Arriving(stream.read(), progress)
        broken = ""
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", arriving), mode="r|", bufsize=2**20) as archive:
                archive.extractall(into, filter="data")
        except tarfile.TarError as error:
            broken = str(error)
        arriving.read_to_the_end()
    _check(stream, broken)


class _Arriving:
    """What a program writes, as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes], progress: Progress) -> None:
        self._pieces, self._progress = pieces, progress
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end only."""
        taken = [self._rest]
        count = len(self._rest)
        while count < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._progress(len(piece))
            taken.append(piece)
            count += len(piece)
        whole = b"".join(taken)
        self._rest = whole[size:]
        return whole[:size]

    def read_to_the_end(self) -> None:
        """Take what comes after the archive's end; how the program ended is told only then."""
        for _ in self._pieces:
            continue


@contextmanager
def _running(runtime: KubernetesRuntime, arguments: Sequence[str]) -> Iterator[ExecStream]:
    """Run the script in the Pod that has the results volume."""
    pods = runtime.look().pods_of(Role.SERVERAPP_SUPEREXEC)
    where = f"{runtime.namespace}/{runtime.federation}"
    if not pods:
        raise NotRunning(
            "the results lie on the volume of the ServerApp's SuperExec, which is not up",
            where=where,
            hint="Bring the federation up again: its claims were kept.",
        )
    if results_claim(pods[0]) is None:
        raise UsageError(
            "this federation keeps no results: its ServerApp has no volume for them",
            where=where,
            hint="layout: Quickstart has none; layout: Colocated has.",
        )
    container: dict[str, Any] = pods[0]["spec"]["containers"][0]
    command = ["python", "-I", "-u", "-c", BOOTSTRAP]
    with runtime.cluster.stream(name(pods[0]), runtime.namespace, container["name"], command) as stream:
        stream.write(program(bundles.RESULTS, arguments))
        yield stream


def _check(stream: ExecStream, broken: str = "") -> None:
    said = stream.errors.decode(errors="replace").strip()[-300:] or broken
    if stream.exit_code != 0 or broken:
        raise ControlError(f"the results did not arrive: {said or 'the connection broke off'}")
