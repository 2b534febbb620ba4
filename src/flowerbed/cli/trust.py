"""`flowerbed trust show`, `flowerbed trust rotate` and `flowerbed trust export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.cli.place import runtime_at
from flowerbed.local import trusting
from flowerbed.local.runtime import LocalRuntime, only_one_verb
from flowerbed.local.source import find


def show(*, file: Where = Path(), json: Json = False) -> None:
    """Show a federation's certificates: for which names they are, and until when they are good."""
    out = Output(as_json=json)
    _show(out, trusting.show(runtime_at(file).folder))


def rotate(*, file: Where = Path(), json: Json = False) -> None:
    """Give the SuperLink a fresh certificate, good for 90 days from now.

    A SuperLink that is running is started again, and nothing else; a run that is going on goes on from its database.
    `up` renews a certificate by itself when a third of its time is left.
    """
    out = Output(as_json=json)
    source = find(file)
    runtime = LocalRuntime(source.folder)
    trusting.authority(source.folder)  # nothing is locked, and nothing made, where there is nothing to renew
    with only_one_verb(source.folder, waiting=out.step), out.working("renewing the certificate"):
        restarted = trusting.rotate(source.federation, runtime, watch=out.event)
    _show(out, trusting.show(source.folder))
    out.say("The SuperLink was started again with it." if restarted else "The next `flowerbed up` starts with it.")


def export(
    *,
    file: Where = Path(),
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
) -> None:
    """Print the certificate of the federation's authority, by which others know its SuperLink. It is no secret.

    Parameters
    ----------
    output
        The file to write it into instead.
    """
    out = Output(as_json=json)
    text = trusting.authority(runtime_at(file).folder)
    out.data("authority", {"certificate": text})
    if output is not None:
        output.write_text(text, encoding="ascii")
    else:
        out.say(text.rstrip())


def _show(out: Output, found: list[trusting.Certificate]) -> None:
    for one in found:
        out.data("certificate", one)
    out.table(
        ["CERTIFICATE", "GOOD UNTIL", "FOR", "SHA-256"],
        [[one.name, one.not_after[:10], " ".join(one.names) or "-", one.fingerprint[:16]] for one in found],
    )
