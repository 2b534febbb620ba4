"""cosign signs what was baked, verifies it, and Flowerbed verifies it too."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from flowerbed.registry.client import Registries
from flowerbed.registry.signatures import read_key, verify
from image.beds import Place, Say, build

pytestmark = [pytest.mark.usefixtures("registry_here"), pytest.mark.timeout(300)]

needs_cosign = pytest.mark.skipif(shutil.which("cosign") is None, reason="no cosign on PATH; Go builds it in minutes")


def cosign(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = ["cosign", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def _nobody_else(place: Place) -> list[str]:
    """Return what has cosign 3 verify by a key alone: it would fetch sigstore's root of trust, and here is none."""
    if "--trusted-root" not in cosign("verify", "--help", cwd=place.folder).stdout:
        return []
    made = cosign("trusted-root", "create", "--out", "root.json", cwd=place.folder)
    assert made.returncode == 0, made.stderr
    return ["--trusted-root", "root.json"]


@needs_cosign
def test_what_cosign_signs_both_verify(place: Place, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "of no worth")
    place.base()
    for name in ("ours", "others"):
        made = cosign("generate-key-pair", "--output-key-prefix", name, cwd=place.folder)
        assert made.returncode == 0, made.stderr
    key = place.folder / "ours.key"
    image = build(say, place, "--push", "--sign", str(key))
    assert image["signed"]

    name = f"{place.address}/team/tiny"
    how = ["--insecure-ignore-tlog=true", "--allow-http-registry", *_nobody_else(place), f"{name}@{image['digest']}"]
    assert cosign("verify", "--key", "ours.pub", *how, cwd=place.folder).returncode == 0
    assert cosign("verify", "--key", "others.pub", *how, cwd=place.folder).returncode != 0
    keys = {one: read_key((place.folder / f"{one}.pub").read_bytes(), one) for one in ("ours", "others")}
    with closing(Registries()) as registries:
        assert verify(registries, f"{name}:1", image["digest"], [keys["ours"]]) == ""
        assert "none by a key that is named" in verify(registries, f"{name}:1", image["digest"], [keys["others"]])
        (place.app / "tiny" / "client.py").write_text("# tampered with\n")
        tampered = build(say, place, "--push")
        assert verify(registries, f"{name}:1", tampered["digest"], [keys["ours"]]) == "it has no signature"


def test_nothing_is_built_that_could_not_be_signed(
    place: Place, say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status, said = say("build", str(place.app), "--sign", "cosign.key")
    assert (status, "Say --push as well" in said) == (2, True)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    status, said = say("build", str(place.app), "--push", "--sign", "cosign.key")
    assert (status, "there is no program cosign" in said) == (1, True)
    (programs / "cosign").write_text("#!/bin/sh\nexit 1\n")
    (programs / "cosign").chmod(0o755)
    status, said = say("build", str(place.app), "--push", "--sign", "cosign.key")
    assert (status, "there is no such key" in said) == (1, True)
