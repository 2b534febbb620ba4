"""What this machine has: cores, memory, GPUs. Read from what the kernel shows; no program is started."""

from __future__ import annotations

import os
from pathlib import Path

from flowerbed.processes import LINUX

_CGROUP = Path("/sys/fs/cgroup")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_DRM = Path("/sys/class/drm")
_KFD = Path("/dev/kfd")
"""What programs open to compute on AMD's GPUs."""
_AMD = "0x1002"
"""The vendor's number on the PCI bus."""


def cores() -> int:
    """Return how many cores this process may use."""
    usable = len(os.sched_getaffinity(0)) if LINUX else os.cpu_count() or 1
    quota, _, period = _read(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        usable = min(usable, max(1, int(quota) // int(period)))
    return usable


def memory() -> int:
    """Return the memory in bytes that this process and its children may have."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read(_CGROUP / "memory.max")
    return min(physical, int(limit)) if limit.isdigit() else physical


def memory_available() -> int | None:
    """Return the memory in bytes that is free or can be freed; None where the system does not tell."""
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return min(int(line.split()[1]) * 1024, memory())
    return None


def gpus() -> list[str]:
    """Return the names of the GPUs that programs here can use, of NVIDIA and AMD."""
    found = []
    for card in sorted(_NVIDIA.glob("*/information")):
        model = next((line for line in _read(card).splitlines() if line.startswith("Model:")), "Model: NVIDIA GPU")
        found.append(model.partition(":")[2].strip())
    cards = [card / "device" for card in sorted(_DRM.glob("card[0-9]*")) if "-" not in card.name]
    amd = [card for card in cards if _read(card / "vendor") == _AMD] if _KFD.exists() else []
    return found + [_read(card / "product_name") or "AMD GPU" for card in amd]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
