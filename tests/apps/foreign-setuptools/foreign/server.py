"""A ServerApp made by a function, with the older API's FedAvg."""

import numpy as np
from flwr.common import Context, ndarrays_to_parameters
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg


def weighted_rmse(metrics):
    total = sum(examples for examples, _ in metrics)
    return {"rmse": sum(examples * metric["rmse"] for examples, metric in metrics) / total}


def server_fn(context: Context):
    start = np.zeros(int(context.run_config["model.features"]))
    strategy = FedAvg(
        initial_parameters=ndarrays_to_parameters([start]),
        evaluate_metrics_aggregation_fn=weighted_rmse,
    )
    return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=int(context.run_config["rounds"])))


server = ServerApp(server_fn=server_fn)
