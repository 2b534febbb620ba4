"""y = x . truth + noise, a different sample for each client."""

import numpy as np


def sample(features, noise, seed):
    """Return (x, y) of one client."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(200, features))
    truth = np.arange(1.0, features + 1.0)
    return x, x @ truth + noise * draw.normal(size=200)


def descend(weights, x, y, steps=20, rate=0.1):
    """Return the weights after some steps of gradient descent."""
    for _ in range(steps):
        weights = weights - rate * 2 * x.T @ (x @ weights - y) / len(y)
    return weights


def squared_error(weights, x, y):
    """Return the mean squared error."""
    return float(np.mean((x @ weights - y) ** 2))
