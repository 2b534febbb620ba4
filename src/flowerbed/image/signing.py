"""Signing an image by cosign, which is a program of its own (github.com/sigstore/cosign)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from flowerbed.environments.cache import Progress
from flowerbed.errors import ImageFailed
from flowerbed.registry.reference import Reference, is_loopback

KEYLESS = "keyless"
SECONDS = 600.0
"""How long cosign may take; keyless, somebody has to log in meanwhile."""


def check(how: str) -> None:
    """Make sure, before anything is pushed, that an image can be signed.

    Parameters
    ----------
    how : str
        A key that cosign takes, a file or ``kms://…``, or `KEYLESS`.

    Raises
    ------
    ImageFailed
        If there is no cosign, or no such key.
    """
    if shutil.which("cosign") is None:
        raise ImageFailed("there is no program cosign, which signs images", where="--sign", hint="Install cosign.")
    if how != KEYLESS and "://" not in how and not Path(how).is_file():
        raise ImageFailed(
            "there is no such key",
            where=how,
            hint="`cosign generate-key-pair` makes cosign.key and cosign.pub; or say `--sign keyless`.",
        )


def sign(name: str, digest: str, how: str, environment: Mapping[str, str], progress: Progress) -> None:
    """Sign an image by its digest; those of all platforms with it.

    Raises
    ------
    ImageFailed
        With cosign's reason. The image itself has been pushed.
    """
    place = Reference.parse(name)
    image = f"{place.host}/{place.repository}@{digest}"
    command = ["cosign", "sign", "--yes", "--recursive"]
    if how != KEYLESS:
        command += ["--key", how, "--tlog-upload=false"]
        if _knows("--use-signing-config", environment):  # from cosign 2.6 on, which would ask for a log's address
            command.append("--use-signing-config=false")
    if is_loopback(place.host):
        command += ["--allow-http-registry", "--allow-insecure-registry"]
    progress(f"signing {image}")
    try:
        done = subprocess.run(
            [*command, image],
            env=dict(environment),
            stdin=None,  # cosign asks for the key's password on a terminal, where COSIGN_PASSWORD does not say it
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ImageFailed(f"cosign did not end within {SECONDS:g} s", where=image) from None
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise ImageFailed(
            f"it was pushed, and cosign did not sign it: {said}", where=image, hint="The same command tries again."
        )


def _knows(option: str, environment: Mapping[str, str]) -> bool:
    """Tell whether this cosign has an option."""
    try:
        told = subprocess.run(
            ["cosign", "sign", "--help"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return option in told.stdout
