"""What is learnt: the images, the model, and how the model is trained and judged.

Nothing in this file knows of Flower. To make the app your own, start here.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

CLASSES = np.arange(10)  # the digits
PIXELS = 64  # an image has 8 x 8 of them
FEWEST_IMAGES = 5  # a SuperNode with fewer has nothing to learn from


def _images():
    """Return all images as rows of numbers from 0 to 1, and the digit on each."""
    images, digits = load_digits(return_X_y=True)
    return images / 16.0, digits


def _split(images, digits, part, seed):
    """Set a part of the images aside; return (kept, kept digits, aside, aside digits)."""
    kept, aside, kept_digits, aside_digits = train_test_split(
        images, digits, test_size=part, random_state=seed
    )
    return kept, kept_digits, aside, aside_digits


def load_test_set(seed):
    """Return the images that no SuperNode ever sees, and their digits."""
    _, _, images, digits = _split(*_images(), 0.2, seed)
    return images, digits


def load_partition(partition_id, num_partitions, seed):
    """Return one SuperNode's own images: (train, digits, validation, digits).

    The same seed gives every SuperNode the same shuffled deck, of which it takes every
    num_partitions-th card: no image is on two SuperNodes, and none is left over.
    """
    if not 0 <= partition_id < num_partitions:
        raise ValueError(f"partition {partition_id} is none of the {num_partitions} from 0")
    images, digits, _, _ = _split(*_images(), 0.2, seed)
    images = images[partition_id::num_partitions]
    digits = digits[partition_id::num_partitions]
    if len(images) < FEWEST_IMAGES:
        raise ValueError(
            f"{num_partitions} partitions leave {len(images)} images for each SuperNode"
        )
    return _split(images, digits, 0.2, seed)


def initial_parameters():
    """Return the model that has seen nothing: a row of weights and a threshold for each digit."""
    return [np.zeros((len(CLASSES), PIXELS)), np.zeros(len(CLASSES))]


def _model(parameters, learning_rate, seed):
    """Return a classifier that goes on from the given parameters."""
    model = SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=learning_rate, random_state=seed
    )
    # Copies, since training changes them in place. A SuperNode need not have every digit, so
    # the classes are named here instead of found in its images.
    model.coef_, model.intercept_ = (np.array(array, dtype=np.float64) for array in parameters)
    model.classes_ = CLASSES
    return model


def train(parameters, images, digits, epochs, learning_rate, seed):
    """Train on the images; return the new parameters."""
    model = _model(parameters, learning_rate, seed)
    for _ in range(epochs):
        model.partial_fit(images, digits)
    return [model.coef_, model.intercept_]


def evaluate(parameters, images, digits):
    """Return (loss, accuracy) of the parameters on the images."""
    model = _model(parameters, learning_rate=1.0, seed=0)  # neither matters: nothing is trained
    loss = log_loss(digits, model.predict_proba(images), labels=CLASSES)
    accuracy = accuracy_score(digits, model.predict(images))
    return float(loss), float(accuracy)
