"""The ServerApp of the benchmark of large models: one round with a model of 100 MB, in four arrays."""

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

ARRAYS, BYTES = 4, 100_000_000

app = ServerApp()


@app.main()
def main(grid: Grid, _context: Context) -> None:
    numbers = np.random.default_rng(0)
    model = [numbers.random(BYTES // ARRAYS // 4, dtype=np.float32) for _ in range(ARRAYS)]
    FedAvg(min_available_nodes=2).start(grid=grid, initial_arrays=ArrayRecord(model), num_rounds=1)
