"""Fetching what a run's ServerApp saved, from its volume to this machine."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

from flowerbed.errors import ControlError, NotRunning, UsageError
from flowerbed.kubernetes.living import name
from flowerbed.kubernetes.manifests.places import RESULTS
from flowerbed.kubernetes.runtime import KubernetesRuntime
from flowerbed.runs.records import RunRecord
from flowerbed.topology.model import Role

MARK = ".fetched-by-flowerbed"
"""In a folder of results that was fetched, and may be replaced by fetching them again."""

PACK = (
    "import os, sys, tarfile\n"
    "with tarfile.open(fileobj=sys.stdout.buffer, mode='w|gz') as archive:\n"
    "    if os.path.isdir(sys.argv[1]):\n"
    "        archive.add(sys.argv[1], arcname='.')\n"
)


def fetch(runtime: KubernetesRuntime, record: RunRecord, into: Path) -> None:
    """Copy a run's results into a folder, which they then are the whole content of.

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
            hint="Name an empty folder with --output, or one that is not there yet.",
        )
    pods = runtime.look().pods_of(Role.SERVERAPP_SUPEREXEC)
    if not pods:
        raise NotRunning(
            "the results lie on the volume of the ServerApp's SuperExec, which is not up",
            where=f"{runtime.namespace}/{runtime.federation}",
            hint="Bring the federation up again: its claims were kept.",
        )
    command = ["python", "-c", PACK, f"{RESULTS}/{record.flower_id}"]
    container = pods[0]["spec"]["containers"][0]["name"]
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as beside:
        archive, fresh = Path(beside) / "results.tar.gz", Path(beside) / "results"
        with (
            runtime.cluster.stream(name(pods[0]), runtime.namespace, container, command) as stream,
            archive.open("wb") as file,
        ):
            for data in stream.read():
                file.write(data)
        if stream.exit_code != 0:
            raise ControlError(f"the results did not arrive: {stream.errors.decode(errors='replace').strip()[-300:]}")
        with tarfile.open(archive) as packed:
            packed.extractall(fresh, filter="data")
        fresh.mkdir(exist_ok=True)
        (fresh / MARK).touch()
        shutil.rmtree(into, ignore_errors=True)
        fresh.rename(into)
