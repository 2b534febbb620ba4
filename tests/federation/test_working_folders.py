"""Where apps work: a ServerApp in the folder of its run's results, a ClientApp in a folder that goes with the run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from federation.beds import Bed
from flowerbed.flower.releases import Row

Make = Callable[[str], Bed]
PLAIN = "  security: {tls: {mode: Disabled}, nodeAuth: false}"


def test_a_run_succeeds_without_tls_and_keys_and_what_its_apps_save_is_where_they_work(
    row: Row, bed: Make, federation_file: Callable[..., str]
) -> None:
    app = bed("saves")
    federation_file(app, flower=str(row.minor), more=PLAIN)
    app("up", "--detach")
    state = app.folder.resolve() / ".flowerbed"
    said = app("run")
    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "succeeded"), run

    folder = state / "results" / run["flower_id"]
    names = ["colorsys.py", "data/late.txt", "data/where.json", "final_model.npz"]
    app.wait(lambda: [file["name"] for file in results(app)] == names, "the file that comes late")
    where = json.loads((folder / "data" / "where.json").read_text())
    assert (where["import"], where["variable"]) == (str(folder), str(folder))
    assert not where["module"].startswith(str(state))

    for node in ("site-0", "site-1"):
        worked = re.findall(r"saves: message (\d) in (\S+), imported in (\S+)", app.log(f"{node}-superexec"))
        own = str(state / "scratch" / node / run["flower_id"])
        assert worked == [(str(number), own, own) for number in (1, 2, 3, 4)]
    app.wait(lambda: app.scratch() == [], "the end of the ClientApps' folders")


def results(app: Bed) -> list[dict[str, object]]:
    files = app("results").last("results")["files"]
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in files)
    return sorted(files, key=lambda file: str(file["name"]))
