"""What fits on one machine."""

from __future__ import annotations

from flowerbed.counting import counted
from flowerbed.spec.finding import Finding
from flowerbed.spec.model import Federation

# Resident memory in bytes of one idle daemon, from the given minor release on, whatever its role. Measured with
# Python 3.11 on Linux: 75 MB for 1.22 and 126 to 144 MB for 1.42; those between by what their imports take.
_IDLE_MEMORY = (((1, 22), 75_000_000), ((1, 26), 110_000_000), ((1, 33), 140_000_000))

# Beside the SuperNodes: the SuperLink and the ServerApp's SuperExec. For each SuperNode: itself and its SuperExec.
_COMMON_DAEMONS = 2
_DAEMONS_PER_SUPERNODE = 2


def check_local(federation: Federation, cores: int, memory_bytes: int) -> list[Finding]:
    """Check whether a federation fits on one machine, with nothing to do.

    Parameters
    ----------
    federation : Federation
        What shall run.
    cores : int
        The machine's cores; only told.
    memory_bytes : int
        The machine's physical memory.

    Returns
    -------
    list of Finding
        At the replicas of the largest pool, if the daemons take more memory idle than there is.
    """
    daemon = idle_memory(federation.spec.flower)
    wanted = sum(pool.replicas for pool in federation.spec.own_pools)
    needed = (_COMMON_DAEMONS + _DAEMONS_PER_SUPERNODE * wanted) * daemon
    if needed <= memory_bytes:
        return []
    fitting = max(0, (memory_bytes // daemon - _COMMON_DAEMONS) // _DAEMONS_PER_SUPERNODE)
    pools = federation.spec.supernodes
    largest = max(range(len(pools)), key=lambda index: (not pools[index].external, pools[index].replicas))
    return [
        Finding(
            ("spec", "supernodes", largest, "replicas"),
            f"{counted(wanted, 'SuperNode takes', 'SuperNodes take')} about {_gigabytes(needed)} of memory when idle "
            f"(two programs each, {daemon // 1_000_000} MB a program); "
            f"this machine has {_gigabytes(memory_bytes)} and {counted(cores, 'core')}",
            f"at most {fitting} fit" if fitting else "not even one fits",
        )
    ]


def idle_memory(flower: str | None) -> int:
    """Return the resident memory in bytes of one idle daemon of a Flower release (None: the newest)."""
    if flower is None:
        return _IDLE_MEMORY[-1][1]
    major, minor = (int(part) for part in flower.split(".")[:2])
    return next((memory for since, memory in reversed(_IDLE_MEMORY) if (major, minor) >= since), _IDLE_MEMORY[0][1])


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
