"""Who is connected to a port, from the kernel's own table of a Pod's connections. Pure."""

from __future__ import annotations

ESTABLISHED = "01"
"""State of a connection in `/proc/net/tcp` (Linux, include/net/tcp_states.h)."""


def peers(table: str, port: int) -> set[str]:
    """Return the addresses, as the kernel writes them, that hold a connection to a local port.

    Parameters
    ----------
    table : str
        The text of ``/proc/net/tcp`` and ``/proc/net/tcp6``.
    port : int
        The local port.
    """
    found = set()
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[0].endswith(":") and fields[0][:-1].isdigit():
            local, remote, state = fields[1], fields[2], fields[3]
            if state == ESTABLISHED and int(local.rpartition(":")[2], 16) == port:
                found.add(remote.rpartition(":")[0])
    return found
