"""`flowerbed render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowerbed.cli.manifests import print_objects
from flowerbed.cli.options import FlowerVersion, Json, Where
from flowerbed.cli.output import Output
from flowerbed.errors import UsageError
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.kubernetes.opening import Opened, open_file
from flowerbed.kubernetes.packaging import folder, helm, kustomize
from flowerbed.kubernetes.yaml_text import dump_all

STREAM = "manifests.yaml"


def render(
    *,
    file: Where = Path(),
    format: Literal["stream", "kustomize", "helm"] = "stream",  # noqa: A002 - the option's name
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    flower: FlowerVersion = None,
    json: Json = False,
) -> int:
    """Print the Kubernetes manifests of a federation, or write them as a Kustomize base or a Helm chart.

    No cluster is touched, and no app folder is needed: the file names the app's image. The same file gives the same
    text, byte for byte.

    Parameters
    ----------
    format
        One stream of manifests; a Kustomize base with two overlays to start from; or a Helm chart.
    output
        The folder to write into. What flowerbed wrote there before is replaced, unless somebody changed it.
    """
    out = Output(as_json=json)
    found = open_file(file)
    row = found.row(flower)
    found = found.pinned(row)
    found.check_images(row)
    made = objects(found.federation, row)
    if output is None:
        if format != "stream":
            raise UsageError(
                f"--format {format} writes a folder", where="--output", hint="Name it: --output deploy, for example."
            )
        print_objects(out, made)
        return 0
    files = _files(found, made, format, str(row.release))
    changed = folder.write(output, files, only_once=lambda path: path.startswith(kustomize.OVERLAYS))
    for path in changed:
        out.data("file", {"path": str(path)})
    out.say(f"{output}: {len(files)} files, {len(changed)} changed" if changed else f"{output}: nothing changed")
    return 0


def _files(found: Opened, made: list[dict[str, object]], form: str, release: str) -> dict[str, str]:
    if form == "kustomize":
        return kustomize.files(found.federation, made)
    if form == "helm":
        return helm.files(found.federation, made, release)
    return {STREAM: dump_all(made)}
