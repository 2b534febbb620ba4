"""`flowerbed doctor`."""

from __future__ import annotations

from pathlib import Path

from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.counting import counted
from flowerbed.local.doctor import State, check_federation, check_machine, look
from flowerbed.local.source import find
from flowerbed.spec.load import FEDERATION_FILE

SIGNS = {State.OK: "ok     ", State.WARNING: "warning", State.WRONG: "WRONG  "}


def doctor(*, file: Where = Path(), json: Json = False) -> int:
    """Say what is wrong, and the next command to type. The exit status is 1 if anything is wrong."""
    out = Output(as_json=json)

    def validate() -> str:
        source = find(file)
        federation = source.federation
        return (
            f"{federation.metadata.name}: {counted(federation.spec.supernode_count, 'SuperNode')}"
            f" for the app {source.manifest}" + ("" if source.loaded else " (no federation.yaml: the default one)")
        )

    with out.working("looking"):
        checks = check_machine(look())
        if (file / FEDERATION_FILE).exists() or (file / "pyproject.toml").exists() or file.is_file():
            checks += check_federation(file, validate)
    for check in checks:
        out.data("check", check)
        out.say(f"{SIGNS[check.state]}  {check.id}: {check.message}")
        if check.next and check.state is not State.OK:
            out.say(f"         next: {check.next}")
    return 1 if any(check.state is State.WRONG for check in checks) else 0
