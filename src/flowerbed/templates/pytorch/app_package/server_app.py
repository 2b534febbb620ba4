"""The ServerApp: sends the network round, averages what comes back, and keeps the result."""

import json
import os
from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from app_package.task import evaluate, load_test_set, new_model, use_threads

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds, and save the network and the metrics of every round."""
    config = context.run_config
    use_threads(int(config["torch-threads"]))
    model = new_model(int(config["seed"]))
    images, digits = load_test_set(int(config["seed"]))

    def judge(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        loss, accuracy = evaluate(model, images, digits)
        return MetricRecord({"loss": loss, "accuracy": accuracy})

    nodes = int(config["min-nodes"])
    strategy = FedAvg(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(model.state_dict()),
        num_rounds=int(config["num-server-rounds"]),
        timeout=float(config["round-timeout"]),
        evaluate_fn=judge,
    )
    save(result, context)


def save(result, context: Context) -> None:
    """Write model.pt and metrics.json, if there is a folder for them."""
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
        torch.save(result.arrays.to_torch_state_dict(), folder / "model.pt")
