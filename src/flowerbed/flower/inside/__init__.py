"""What runs inside Flower's environments: scripts that know the standard library and flwr, and nothing of ours.

They are started as files by an environment's own Python, or copied into it as launchers.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
CLIENT = _HERE / "client.py"
CHECK = _HERE / "check.py"


def launchers() -> dict[str, Path]:
    """Return the scripts that stand before Flower's own programs on PATH: program name → file."""
    launcher = _HERE / "launcher.py"
    return {
        "flower-superlink": launcher,
        "flower-supernode": launcher,
        "flower-superexec": launcher,
        "flwr-serverapp": _HERE / "serverapp_launcher.py",
    }
