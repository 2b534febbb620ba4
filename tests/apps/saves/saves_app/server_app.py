"""FedAvg; afterwards it saves by relative paths, changes its folder, and goes on saving when it has returned."""

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

AT_IMPORT = Path.cwd()
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    Path("data").mkdir()
    Path("colorsys.py").write_text("raise ImportError('this file is a result and no module')\n")
    import colorsys

    rounds = int(context.run_config["num-server-rounds"])
    result = FedAvg().start(grid=grid, initial_arrays=ArrayRecord([np.zeros(3)]), num_rounds=rounds)
    np.savez("final_model", *result.arrays.to_numpy_ndarrays())
    if context.run_config["fill"]:
        fill(Path("checkpoint.bin"))
    os.chdir("data")
    where = {"import": str(AT_IMPORT), "variable": os.environ.get("FLOWERBED_RESULTS"), "module": colorsys.__file__}
    Path("where.json").write_text(json.dumps(where))
    threading.Thread(target=late).start()


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as out:
        while True:
            out.write(b"\0" * 65536)


def late() -> None:
    """Save something after the ServerApp has returned."""
    time.sleep(0.5)
    Path("late.txt").write_text("saved after the end\n")
