"""The proof behind the table of releases: the bundled app, really run, on each release and each Python it names.

``make test-releases`` runs all of it and writes ``docs/flower-releases.md`` from what came out; with ``FLOWER=1.42``
it runs one release and writes its line. ``make test`` runs the oldest release, one in the middle and the newest, and
checks that the page agrees with the table.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from federation.beds import Bed
from flowerbed import processes, templates
from flowerbed.flower.releases import RELEASES, Row
from flowerbed_inside.levers.lever import NAMES
from releases.page import ALONE, PAGE, Proof, read_proofs, render, write_proof
from releases.taken import levers, offered

FOUND = {
    minor: shutil.which(f"python{minor}") for minor in sorted({minor for row in RELEASES for minor in row.pythons})
}


def works(python: str | None) -> bool:
    """Tell whether an executable of that name is a Python (a version manager's stand-in may be none)."""
    return python is not None and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("python", sorted(FOUND))
def test_the_bundled_app_succeeds(tmp_path: Path, row: Row, python: str) -> None:
    if python not in row.pythons:
        pytest.skip(f"Flower {row.minor} is not offered on Python {python}")
    if not works(FOUND[python]) and python != f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip(f"this machine has no Python {python}")
    folder = tmp_path / "digits"
    templates.write("sklearn", folder, "digits", str(row.minor))
    file = folder / "federation.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("spec:\n", f'spec:\n  python: "{python}"\n', 1), encoding="utf-8")

    app = Bed(folder)
    said = app("run", timeout=400)

    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "succeeded"), run
    assert len(run["rounds"]) == 3
    accuracy = run["rounds"][-1]["metrics"]["server/accuracy"]
    assert accuracy > 0.9
    saved = {Path(item["path"]).name for item in app("results").last("results")["files"]}
    assert saved == {"metrics.json", "model.npz"}
    assert json.loads((folder / ".flowerbed" / "plan.json").read_text())["release"] == str(row.release)
    assert app.processes() == []
    took = levers(folder / ".flowerbed" / "logs", str(row.minor))
    assert "fork" in took or not processes.LINUX
    write_proof(Proof(str(row.release), python, accuracy, took))


@pytest.mark.matrix
def test_the_page_is_written_from_the_proofs() -> None:
    """Last of ``make test-releases``: every release of the table has been proven in this run, or the one asked for."""
    before = PAGE.read_text(encoding="utf-8") if ALONE else ""
    PAGE.write_text(render(read_proofs(), before), encoding="utf-8")


def test_a_release_that_did_not_run_keeps_its_line_if_the_table_says_the_same_of_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    newest = RELEASES[-1]
    [line] = [line for line in page.splitlines() if line.startswith(f"| {newest.minor} |")]
    taken = [("fork", "hold", "pace"), *[("hold", "pace", "backoff")] * (len(newest.pythons) - 1)]
    ran = [Proof(str(newest.release), python, 0.5, took) for python, took in zip(newest.pythons, taken, strict=True)]
    *said, _, _ = line.split(" | ")
    assert render(ran, page) == page.replace(line, " | ".join([*said, "0.500", "hold, pace |"]))
    another = page.replace(f"| {newest.release} |", "| 1.0.0 |")
    assert render(ran, another) == render(ran, page)
    for proofs, before in ((ran, ""), ([], another), (ran[1:], another)):
        with pytest.raises(LookupError, match="is not proven"):
            render(proofs, before)


def test_the_page_agrees_with_the_table() -> None:
    """Whoever changes the table has to prove it again."""
    page = PAGE.read_text(encoding="utf-8")
    for row in RELEASES:
        line = next(line for line in page.splitlines() if line.startswith(f"| {row.minor} |"))
        assert f"| {row.release} |" in line
        assert f"| {', '.join(row.pythons)} |" in line
        assert row.contract.family in line


def test_levers_are_those_that_no_program_does_without(tmp_path: Path) -> None:
    def log(name: str, *lines: str) -> None:
        (tmp_path / f"{name}.log").write_text("".join(f"[flowerbed: {line}]\n" for line in lines))

    assert offered() <= set(NAMES) - {"fork"}
    log("superlink", "without the lever hold: no module")
    log("superexec-serverapp", "processes of apps are Warm: Flower is loaded")
    log("site-0-superexec", "processes of apps are Isolated: 5 threads", "processes of apps are Warm: Flower is loaded")
    assert set(levers(tmp_path, "1.42")) == (offered() | {"fork"}) - {"hold", "announce"}
    log("site-0-superexec", "processes of apps are Warm: Flower is loaded, but no libraries: 300 MB of 400 MB")
    assert set(levers(tmp_path, "1.42")) == offered() - {"hold", "announce"}
    log("site-0-superexec")
    assert "fork" not in levers(tmp_path, "1.42")
