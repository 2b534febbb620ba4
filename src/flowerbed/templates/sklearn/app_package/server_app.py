"""The ServerApp: sends the model round, averages what comes back, and keeps the result."""

import json
import os
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from app_package.task import evaluate, initial_parameters, load_test_set

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds, and save the model and the metrics of every round."""
    config = context.run_config
    images, digits = load_test_set(int(config["seed"]))

    def judge(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        loss, accuracy = evaluate(arrays.to_numpy_ndarrays(), images, digits)
        return MetricRecord({"loss": loss, "accuracy": accuracy})

    nodes = int(config["min-nodes"])
    strategy = FedAvg(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(initial_parameters()),
        num_rounds=int(config["num-server-rounds"]),
        timeout=float(config["round-timeout"]),
        evaluate_fn=judge,
    )
    save(result, context)


def save(result, context: Context) -> None:
    """Write model.npz and metrics.json, if there is a folder for them."""
    folder = os.environ.get("FLOWERBED_RESULTS") or context.run_config["results-dir"]
    if not folder:
        return
    folder = Path(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    phases = {
        "train": result.train_metrics_clientapp,
        "evaluate": result.evaluate_metrics_clientapp,
        "server": result.evaluate_metrics_serverapp,
    }
    rounds = [
        {"round": number}
        | {phase: dict(seen[number]) for phase, seen in phases.items() if number in seen}
        for number in sorted(set().union(*phases.values()))
    ]
    (folder / "metrics.json").write_text(json.dumps({"rounds": rounds}, indent=2) + "\n")
    if len(result.arrays):  # there is no model if no SuperNode ever sent one
        coefficients, intercept = result.arrays.to_numpy_ndarrays()
        np.savez(folder / "model.npz", coefficients=coefficients, intercept=intercept)
