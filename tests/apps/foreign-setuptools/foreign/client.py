"""A NumPyClient of the older API."""

from flwr.client import ClientApp, NumPyClient
from flwr.common import Context

from foreign.model import descend, sample, squared_error


class LeastSquaresClient(NumPyClient):
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def fit(self, parameters, config):
        return [descend(parameters[0], self.x, self.y)], len(self.y), {}

    def evaluate(self, parameters, config):
        error = squared_error(parameters[0], self.x, self.y)
        return error, len(self.y), {"rmse": error**0.5}


def client_fn(context: Context):
    x, y = sample(
        features=int(context.run_config["model.features"]),
        noise=float(context.run_config["model.noise"]),
        seed=int(context.node_config.get("partition-id", 0)),
    )
    return LeastSquaresClient(x, y).to_client()


client = ClientApp(client_fn=client_fn)
