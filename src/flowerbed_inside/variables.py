"""The environment variables by which launchers, and the programs that they start, are told something."""

from __future__ import annotations

WAIT_FOR = "FLOWERBED_WAIT_FOR"
"""Tells a launcher which addresses must accept connections before its program starts to dial them."""

WAIT_FOR_FILE = "FLOWERBED_WAIT_FOR_FILE"
"""Tells a launcher which file says that the SuperLink has answered a first request."""

SETTLE = "FLOWERBED_SETTLE_SECONDS"
"""Tells a launcher how long after its start its program begins at the soonest, unless it has to wait anyway."""

RESULTS_ROOT = "FLOWERBED_RESULTS_ROOT"
"""Tells the ServerApp's launcher below which folder each run gets one for its results."""

RESULTS = "FLOWERBED_RESULTS"
"""Tells an app the folder of its run for results."""

SCRATCH_ROOT = "FLOWERBED_SCRATCH_ROOT"
"""Tells the launchers of ClientApps and of their SuperNode below which folder each run has one to work in."""

EXECUTION = "FLOWERBED_EXECUTION"
"""Tells a SuperExec's launcher how the processes of its apps begin: ``Warm``, as without it, or ``Isolated``."""
