"""`flowerbed render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowerbed.cli.manifests import print_objects
from flowerbed.cli.options import FlowerVersion, Json, Where
from flowerbed.cli.output import Output
from flowerbed.counting import counted
from flowerbed.errors import UsageError
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import images
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.needed import Needed, needed
from flowerbed.kubernetes.opening import Opened, open_file
from flowerbed.kubernetes.packaging import folder, helm, kustomize
from flowerbed.kubernetes.packaging.policies import Admission, policies
from flowerbed.kubernetes.packaging.secrets import PAGE, Skeleton, header, page, skeletons
from flowerbed.kubernetes.yaml_text import dump_all
from flowerbed.spec.run_config_check import run_config

STREAM = "manifests.yaml"


def render(
    *,
    file: Where = Path(),
    format: Literal["stream", "kustomize", "helm"] = "stream",  # noqa: A002 - the option's name
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    secrets: Literal["ExternalSecret", "SealedSecret"] | None = None,
    policy: Literal["Kyverno", "PolicyController"] | None = None,
    chart_version: str | None = None,
    flower: FlowerVersion = None,
    json: Json = False,
) -> int:
    """Print the Kubernetes manifests of a federation, or write them as a Kustomize base or a Helm chart.

    No cluster is touched, and no app folder is needed: the file names the app's image. The same file gives the same
    text, byte for byte. No secret is in it: Secrets are referred to by name, and which those are is listed.

    Parameters
    ----------
    format
        One stream of manifests; a Kustomize base with two overlays to start from; or a Helm chart.
    output
        The folder to write into. What flowerbed wrote there before is replaced, unless somebody changed it.
    secrets
        Also skeletons for the Secrets that are referred to: ExternalSecrets that name keys of a store, or SealedSecrets
        to fill with kubeseal.
    policy
        Also a policy by which the cluster refuses images that are not signed by security.signatures.
    chart_version
        The Helm chart's version, such as 1.4.0. Left out, it is 0.1.0 and a digest of the chart's content.
    """
    out = Output(as_json=json)
    found = open_file(file)
    row = found.row(flower)
    run_config(found.loaded, found.manifest)
    found = found.pinned(row)
    _check_version(chart_version, format)
    placed = found.moved(helm.placeless) if format == "helm" else found
    made = placed.rendered(row)
    referred = needed(found.federation, row)
    if secrets is not None:
        identity = Identity.of(placed.federation, row, None)
        made += skeletons(Skeleton(secrets), referred, identity)
    if policy is not None:
        made += _policies(found, row, Admission(policy))
    if output is None:
        if format != "stream":
            raise UsageError(
                f"--format {format} writes a folder", where="--output", hint="Name it: --output deploy, for example."
            )
        _tell(out, referred)
        print_objects(out, made)
        return 0
    if format == "helm":
        files = helm.files(found.federation, made, str(row.release), needed=referred, version=chart_version)
    else:
        files = kustomize.files(found.federation, made) if format == "kustomize" else {STREAM: dump_all(made)}
    if referred:
        files[PAGE] = page(referred, found.name)
    changed = folder.FOLDER.write(output, files, only_once=lambda path: path.startswith(kustomize.OVERLAYS))
    for path in changed:
        out.data("file", {"path": str(path)})
    out.say(
        f"{output}: {counted(len(files), 'file')}, {len(changed)} changed" if changed else f"{output}: nothing changed"
    )
    return 0


def _policies(found: Opened, row: Row, who: Admission) -> list[Object]:
    from flowerbed.kubernetes.signing import key_texts  # cryptography takes a moment, and few renders need it

    keys = key_texts(found)
    if not keys:
        raise UsageError("the file names no keys", where="--policy", hint="Name them: spec.security.signatures.keys.")
    named = [image for _, image in images.used(found.federation.spec, row)]
    return policies(who, named, keys, Identity.of(found.federation, row, None))


def _tell(out: Output, referred: list[Needed]) -> None:
    """Say what is mounted and not rendered: above a stream as a comment, for programs as lines of their own."""
    for one in referred:
        out.data(
            "needed", {"kind": one.kind, "name": one.name, "keys": one.keys, "by": one.by, "secret_type": one.type}
        )
    if referred and not out.as_json:
        print(header(referred), end="")


def _check_version(version: str | None, form: str) -> None:
    if version is None:
        return
    if form != "helm":
        raise UsageError("only a Helm chart has a version", where="--chart-version", hint="Add --format helm.")
    if not helm.VERSION.fullmatch(version):
        raise UsageError(f"{version!r} is no version of SemVer", where="--chart-version", hint="For example 1.4.0.")
