"""The new apps learn: their own ServerApp and ClientApps, in one process, on real releases of Flower."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from environments import flower_process_environment
from flowerbed.flower.releases import Row

DEBIAN_PYTHON = Path("/usr/bin/python3")
RUN = Path(__file__).with_name("run_in_one_process.py")


def run(python: Path, app: Path, nodes: int, *config: str, results: Path | None) -> subprocess.CompletedProcess[str]:
    environment = flower_process_environment(app) | {"OMP_NUM_THREADS": "1"}
    if results:
        environment["FLOWERBED_RESULTS"] = str(results)
    return subprocess.run(
        [str(python), str(RUN), str(app), str(nodes), *config],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def ask(python: Path, script: str, app: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(python), "-c", script, str(app)],
        env=flower_process_environment(app),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_learned(metrics: Path, rounds: int = 3) -> None:
    found: list[dict[str, Any]] = json.loads(metrics.read_text())["rounds"]
    assert [entry["round"] for entry in found] == list(range(rounds + 1))
    assert found[0].keys() == {"round", "server"}
    assert found[0]["server"]["accuracy"] < 0.3
    for entry in found[1:]:
        assert entry["train"].keys() == {"train_loss", "train_accuracy"}
        assert entry["evaluate"].keys() == {"eval_loss", "eval_accuracy"}
        assert entry["server"].keys() == {"loss", "accuracy"}
    assert found[-1]["server"]["accuracy"] > 0.9
    assert found[-1]["evaluate"]["eval_accuracy"] > 0.9
    assert found[-1]["server"]["loss"] < found[1]["server"]["loss"]


def test_the_scikit_learn_app_learns_in_three_rounds(
    row: Row, sklearn_python: Path, new_app: Callable[[str], Path], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    done = run(sklearn_python, new_app("sklearn"), 2, results=results)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    check_learned(results / "metrics.json")
    assert names_in(results) == ["metrics.json", "model.npz"]
    assert sorted(zipfile.ZipFile(results / "model.npz").namelist()) == ["coefficients.npy", "intercept.npy"]


def test_the_pytorch_app_learns_in_three_rounds(
    row: Row, torch_python: Path, new_app: Callable[[str], Path], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    done = run(torch_python, new_app("pytorch"), 2, results=results)
    assert done.returncode == 0, done.stderr
    check_learned(results / "metrics.json")
    assert names_in(results) == ["metrics.json", "model.pt"]


def test_results_go_where_the_run_config_says_if_nothing_else_does(
    newest_sklearn_python: Path, new_app: Callable[[str], Path], tmp_path: Path
) -> None:
    app = new_app("sklearn")
    before = {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts}
    short = ["num-server-rounds=1", "local-epochs=1"]
    assert run(newest_sklearn_python, app, 2, *short, results=None).returncode == 0
    assert {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts} == before
    named = run(newest_sklearn_python, app, 2, *short, f"results-dir='{tmp_path}/named'", results=None)
    assert named.returncode == 0
    assert names_in(tmp_path / "named") == ["metrics.json", "model.npz"]


def test_a_supernode_that_never_saw_some_digits_learns_the_others(
    newest_sklearn_python: Path, new_app: Callable[[str], Path]
) -> None:
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from ward_digits.task import evaluate, initial_parameters, load_partition, train

images, digits, _, _ = load_partition(0, 100, seed=7)
before = evaluate(initial_parameters(), images, digits)[1]
parameters = train(initial_parameters(), images, digits, epochs=20, learning_rate=0.1, seed=7)
print(len(set(digits)), [array.shape for array in parameters], before, evaluate(parameters, images, digits)[1])
"""
    done = ask(newest_sklearn_python, script, new_app("sklearn"))
    answer = re.fullmatch(r"(\d+) (\[.*\]) (\S+) (\S+)\n", done.stdout)
    assert answer, done.stdout
    seen, shapes, before, after = answer.groups()
    assert int(seen) < 10
    assert shapes == "[(10, 64), (10,)]"
    assert float(before) < 0.5 < 0.9 < float(after)


PARTITIONS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ward_digits.task import load_partition, load_test_set

def rows(images):
    return [image.tobytes().hex() for image in images]

parts = [load_partition(number, 7, seed=3) for number in range(7)]
again = load_partition(4, 7, seed=3)
print(json.dumps({
    "parts": [rows(train) + rows(validation) for train, _, validation, _ in parts],
    "validation": [len(validation) for _, _, validation, _ in parts],
    "test": rows(load_test_set(seed=3)[0]),
    "again": rows(again[0]) + rows(again[2]),
    "other": rows(load_partition(4, 7, seed=4)[0]),
}))
for wrong in ((7, 7), (-1, 7), (0, 1000)):
    try:
        load_partition(*wrong, seed=3)
    except ValueError as error:
        print(error)
"""


@pytest.mark.parametrize("template", ["sklearn", "pytorch"])
def test_every_image_belongs_to_one_supernode_or_to_the_test_set(
    template: str, new_app: Callable[[str], Path], request: pytest.FixtureRequest
) -> None:
    if template == "sklearn":
        python, script = request.getfixturevalue("newest_sklearn_python"), PARTITIONS
    else:
        request.getfixturevalue("debian_numpy")  # skips where there is no torch
        python, script = DEBIAN_PYTHON, PARTITIONS.replace(".tobytes()", ".numpy().tobytes()")
    first, *refusals = ask(python, script, new_app(template)).stdout.splitlines()
    found = json.loads(first)
    images = [image for part in [*found["parts"], found["test"]] for image in part]
    assert len(images) == len(set(images)) == 1797  # the digits of scikit-learn, no two alike
    assert {len(part) for part in found["parts"]} == {205, 206}
    assert set(found["validation"]) <= {41, 42}
    assert found["again"] == found["parts"][4]
    assert found["other"] != found["parts"][4][: len(found["other"])]
    assert refusals == [
        "partition 7 is none of the 7 from 0",
        "partition -1 is none of the 7 from 0",
        "1000 partitions leave 2 images for each SuperNode",
    ]


def test_a_supernode_without_a_partition_says_so(newest_sklearn_python: Path, new_app: Callable[[str], Path]) -> None:
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from flwr.app import Context, RecordDict
from ward_digits.client_app import own_images

try:
    own_images(Context(run_id=1, node_id=2, node_config={"partition-id": 0}, state=RecordDict(), run_config={}))
except ValueError as error:
    print(error)
"""
    done = ask(newest_sklearn_python, script, new_app("sklearn"))
    assert done.stdout == "the SuperNode's node config has no 'num-partitions'\n"
