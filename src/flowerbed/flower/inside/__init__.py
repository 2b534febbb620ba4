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
    launcher, app_launcher = _HERE / "launcher.py", _HERE / "app_launcher.py"
    return {
        "flower-superlink": _HERE / "superlink_launcher.py",
        "flower-supernode": launcher,
        "flower-superexec": launcher,
        "flwr-serverapp": app_launcher,
        "flwr-clientapp": app_launcher,
    }


RESULTS = _HERE / "inside_results.py"
"""Tells and packs what a run's ServerApp has saved; sent to where that lies."""

START = _HERE / "start.py"
"""Starts the SuperNode of a kit, at a site."""


def checking() -> tuple[Path, ...]:
    """Return the files of the check of an app, its main module first: it can be sent to where it shall run."""
    return (CHECK, _HERE / "inside_fab.py")


def control_client() -> tuple[Path, ...]:
    """Return the control client's files, its main module first: they can be sent to where it shall run."""
    return (CLIENT, *(_HERE / f"{name}.py" for name in ("inside_control", "inside_fab", "inside_replies")))


def at_sites() -> dict[str, Path]:
    """Return the scripts that run a SuperNode's unit elsewhere: file name → file."""
    names = (
        *("unit.py", "unit_options.py", "wedge.py", "node_keys.py", "inside_finishing.py"),
        *("inside_health.py", "inside_proc.py", "inside_programs.py", "inside_ready.py", "inside_text.py"),
        *("first_request.py", "inside_endings.py"),
    )
    return {name: _HERE / name for name in names}


def in_pods() -> dict[str, Path]:
    """Return the scripts that run in a federation's Pods: file name → file."""
    names = (
        *("unit.py", "unit_options.py", "wedge.py", "inside_finishing.py"),
        *("inside_health.py", "inside_proc.py", "inside_programs.py", "inside_ready.py", "inside_text.py"),
        *("first_request.py", "inside_endings.py"),
        *("inside_admission.py", "register_nodes.py", "node_keys.py"),
        *("submit.py", "inside_inbox.py"),
        *("client.py", "inside_control.py", "inside_fab.py", "inside_replies.py"),
        *("launcher.py", "superlink_launcher.py", "app_launcher.py"),
    )
    return {name: _HERE / name for name in names}
