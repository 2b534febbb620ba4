"""What is decided of servers' certificates before there is one: how long they are good, and their names at home."""

from __future__ import annotations

SERVER_DAYS = 90
"""How long the SuperLink's certificate is good; it is renewed when a third of that is left."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""What every server of a federation can be called on its own machine."""
