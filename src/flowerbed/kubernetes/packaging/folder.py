"""The folder that `flowerbed render` writes: ours, but for what belongs to the user once it is there."""

from __future__ import annotations

from flowerbed.folders import OwnFolder

MARKER = ".flowerbed-rendered"
FOLDER = OwnFolder(
    MARKER,
    command="flowerbed render",
    option="--output",
    instead="Keep changes in an overlay or in values of your own",
)
