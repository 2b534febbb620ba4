"""FedAvg; the model counts the rounds it was trained in, and is saved as counted.json.

A round in which training was lost, or was counted twice, shows in that file.
"""

import json
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    result = FedAvg(min_available_nodes=int(context.run_config["min-available-nodes"])).start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(3)]),
        num_rounds=int(context.run_config["num-server-rounds"]),
    )
    counted = [float(array[0]) for array in result.arrays.to_numpy_ndarrays()]
    Path("counted.json").write_text(json.dumps(counted))
