"""The page that says which Flower releases are proven, from the proofs of a run of the matrix."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from flowerbed.flower.releases import DEFAULT, RELEASES, Row

PAGE = Path(__file__).parents[2] / "docs" / "flower-releases.md"
PROOFS = Path(os.environ.get("FLOWERBED_PROOFS", Path(tempfile.gettempdir(), f"flowerbed-proofs-{os.getuid()}.jsonl")))
"""Where a run of the matrix collects what it has proven."""
ALONE = os.environ.get("FLOWERBED_PROVE", "")
"""The one release that a run of the matrix proves, so that the others keep their lines; empty for all."""

HEAD = """\
# Flower releases

Written by `make test-releases`, which runs the bundled app (scikit-learn on its digits data, FedAvg, 3 rounds,
2 SuperNodes, each SuperNode with its own SuperExec, process isolation) as a real federation on every release below
and on every Python that its row names. A row is proven when the run's verdict was *succeeded*, all three rounds had
a result from every SuperNode, and the model and the metrics were saved. *Accuracy* is that of the final model on
data that no SuperNode had. *Levers* are those of [the fast path](fast-path.md) that the programs of that run took;
a dash says that no run has shown it yet.

`spec.flower: "1.26"` takes the exact release of the row. Anything that has no row is refused, with the nearest
release that has one. The default is {default}.

| Flower | Exact | Python | Family | SuperLink's ports | Control API | SuperNodes are listed by | Accuracy | Levers |
|---|---|---|---|---|---|---|---|---|
"""
TAIL = """
## Families

Releases whose programs take the same flags and speak the same protocols are one family: one module in
`src/flowerbed/flower/families/`. For every release a test compares each flag that Flowerbed emits with what that
release's own programs accept, and each private name of Flower that Flowerbed uses with what is there.

## Refused

| Flower | Why |
|---|---|
| before 1.22 | another deployment contract (no SuperExec as it is used here) |
| newer | not proven yet: add a row, run `make test-releases` |
"""


@dataclass(frozen=True)
class Proof:
    """One real run that succeeded: the exact release, the minor version of Python, the final accuracy, the levers."""

    release: str
    python: str
    accuracy: float
    levers: tuple[str, ...] = ()


def write_proof(proof: Proof) -> None:
    """Keep a proof for the page."""
    with PROOFS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(proof)) + "\n")


def read_proofs() -> list[Proof]:
    """Return the proofs so far, the newest of each release and Python."""
    lines = PROOFS.read_text(encoding="utf-8").splitlines() if PROOFS.exists() else []
    found = [Proof(**json.loads(line)) for line in lines]
    return list({(proof.release, proof.python): proof for proof in found}.values())


def render(proofs: list[Proof], before: str = "") -> str:
    """Return the page.

    Parameters
    ----------
    proofs : list of Proof
        What ran.
    before : str
        An earlier page. A release that did not run keeps its line there, if that says of it what the table does.

    Raises
    ------
    LookupError
        If a release of the table is proven by neither.
    """
    earlier = {line.split("|")[1].strip(): f"{line}\n" for line in before.splitlines() if line.startswith("| 1.")}
    lines = [_line(row, proofs) or _kept(row, earlier) for row in RELEASES]
    return HEAD.format(default=DEFAULT.release) + "".join(lines) + TAIL


def _line(row: Row, proofs: list[Proof]) -> str:
    mine = [proof for proof in proofs if proof.release == str(row.release)]
    if not {proof.python for proof in mine}.issuperset(row.pythons):
        return ""
    accuracies = sorted({f"{proof.accuracy:.3f}" for proof in mine})
    levers = [lever for lever in mine[0].levers if all(lever in proof.levers for proof in mine)]
    cells = " to ".join(dict.fromkeys((accuracies[0], accuracies[-1]))), ", ".join(levers) or "none"
    return f"{_said(row)}{' | '.join(cells)} |\n"


def _kept(row: Row, earlier: dict[str, str]) -> str:
    line = earlier.get(str(row.minor), "")
    if not line.startswith(_said(row)):
        pythons = ", ".join(row.pythons)
        raise LookupError(f"Flower {row.release} on Python {pythons} is not proven; is each of them on PATH?")
    return line


def _said(row: Row) -> str:
    """Return a row's line up to what only a run tells."""
    cells = [
        str(row.minor),
        str(row.release),
        ", ".join(row.pythons),
        row.contract.family,
        ", ".join(f"{port.name} {port.protocol}" for port in row.contract.superlink(row.minor).ports),
        "HTTP" if row.contract.dialect == "http" else "gRPC",
        "the Control API" if row.contract.lists_nodes else "the SuperLink's database",
    ]
    return f"| {' | '.join(cells)} | "
