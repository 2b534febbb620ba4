"""What is learnt: the images, the network, and how it is trained and judged.

Nothing in this file knows of Flower. To make the app your own, start here.
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FEWEST_IMAGES = 5  # a SuperNode with fewer has nothing to learn from


class Net(nn.Module):
    """Two layers of convolutions and one that decides; 3,818 weights."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 8 x 8 pixels become 4 x 4
            nn.Conv2d(8, 16, kernel_size=3, padding=1),
            nn.ReLU(),
        )
        self.decide = nn.Linear(16 * 4 * 4, 10)

    def forward(self, images):
        """Return ten numbers for each image; the largest stands at the digit that is meant."""
        return self.decide(self.features(images).flatten(start_dim=1))


def new_model(seed):
    """Return the network that has seen nothing; the same one for the same seed."""
    torch.manual_seed(seed)
    return Net()


def use_threads(number):
    """Compute with so many threads, or with PyTorch's own choice if the number is 0."""
    if number > 0:
        torch.set_num_threads(number)


def _images():
    """Return all images as (image, channel, row, column) of numbers from 0 to 1, and their digits."""
    images, digits = load_digits(return_X_y=True)
    return (images / 16.0).reshape(-1, 1, 8, 8).astype("float32"), digits


def _split(images, digits, part, seed):
    """Set a part of the images aside; return (kept, kept digits, aside, aside digits)."""
    kept, aside, kept_digits, aside_digits = train_test_split(
        images, digits, test_size=part, random_state=seed
    )
    return kept, kept_digits, aside, aside_digits


def load_test_set(seed):
    """Return the images that no SuperNode ever sees, and their digits."""
    _, _, images, digits = _split(*_images(), 0.2, seed)
    return torch.from_numpy(images), torch.from_numpy(digits)


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
    return tuple(torch.from_numpy(part) for part in _split(images, digits, 0.2, seed))


def train(model, images, digits, epochs, batch_size, learning_rate, seed):
    """Train the network on the images, in place."""
    shuffle = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=shuffle).split(batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), digits[batch]).backward()
            optimizer.step()


def evaluate(model, images, digits):
    """Return (loss, accuracy) of the network on the images."""
    model.eval()
    with torch.no_grad():
        output = model(images)
        loss = nn.functional.cross_entropy(output, digits)
        right = (output.argmax(dim=1) == digits).sum()
    return loss.item(), right.item() / len(images)
