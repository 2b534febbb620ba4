"""The door: what a user types. One module per command, loaded only when it is called; no logic here."""

from __future__ import annotations

import sys

from cyclopts import App

from flowerbed import __version__

EPILOGUE = (
    "Start with `flowerbed demo`, or `flowerbed new my-app` and `flowerbed run my-app`. "
    "When something is wrong: `flowerbed doctor`."
)

COMMANDS = {
    # name: (function, what it does in one line)
    "demo": ("demo:demo", "Run a whole federation on this machine, once, from nothing to a verdict."),
    "new": ("new:new", "Write a working Flower App with its federation.yaml."),
    "up": ("up:up", "Start a federation and return when it is observed ready."),
    "run": ("run:run", "Run a Flower App, follow it and judge it."),
    "status": ("status:status", "Show what is running, as last observed."),
    "runs": ("runs:runs", "Show the history of runs, or one run round by round."),
    "results": ("results:results", "List what a run's ServerApp saved."),
    "logs": ("logs:logs", "Show the log of a component or of a run."),
    "stop": ("stop:stop", "Stop a run."),
    "down": ("down:down", "Take a federation down; its history stays."),
    "doctor": ("doctor:doctor", "Say what is wrong and the next command to type."),
    "render": ("render:render", "Print the Kubernetes manifests of a federation, or write them as files."),
    "audit": ("audit:audit", "Say what can be said against a federation, in its file or in a cluster."),
    "build": ("build:build", "Bake a Flower App into an image."),
    "lock": ("lock:lock", "Write what the images' names stand for into federation.lock."),
    "rbac": ("rbac:rbac", "Print the Roles that users need in a cluster."),
    "schema": ("schema:schema", "Print the JSON Schema of federation.yaml, for editors."),
}
ENVIRONMENT_COMMANDS = {
    "list": ("env:list_", "List Flower's environments in the cache."),
    "prune": ("env:prune", "Delete environments that nobody uses."),
}
TRUST_COMMANDS = {
    "show": ("trust:show", "Show a federation's certificates."),
    "rotate": ("trust:rotate", "Give the SuperLink a fresh certificate."),
    "export": ("trust:export", "Print the certificate of the federation's authority."),
    "make": ("trust:make", "Write the Secrets of a federation on Kubernetes as files, without a cluster."),
}
NODE_COMMANDS = {
    "list": ("node:list_", "List the SuperNodes that have a key."),
    "revoke": ("node:revoke", "Let a SuperNode join no more."),
    "add": ("node:add", "Let a SuperNode that was revoked join again."),
    "kit": ("node:kit", "Write what a site needs to start a SuperNode of an external pool."),
}
IMAGE_COMMANDS = {
    "list": ("images:list_", "List what `build` keeps in the cache."),
    "prune": ("images:prune", "Delete what no build has used for a while."),
    "mirror": ("images:mirror", "Copy what a federation needs into a registry of your own."),
}
GROUPS = {
    "env": ("Look after Flower's environments.", ENVIRONMENT_COMMANDS),
    "trust": ("Look after certificates.", TRUST_COMMANDS),
    "node": ("Look after the identity of SuperNodes.", NODE_COMMANDS),
    "images": ("Look after images.", IMAGE_COMMANDS),
}


def app(called: str | None = None) -> App:
    """Return the command line with its commands not yet loaded.

    Parameters
    ----------
    called : str or None
        The command that is about to run: its help is its whole docstring, not the one line of the list.
    """
    door = App(
        name="flowerbed",
        help="One typed file describes a Flower federation; one set of verbs runs it for real.",
        help_epilogue=EPILOGUE,
        version=__version__,
        help_format="markdown" if called in (*COMMANDS, *GROUPS) else "plaintext",  # Markdown costs half of the start
        result_action="return_value",
    )
    for name, (target, help_line) in COMMANDS.items():
        door.command(f"flowerbed.cli.{target}", name=name, help=None if name == called else help_line)
    for group, (about, commands) in GROUPS.items():
        inner = App(name=group, help=about)
        for name, (target, help_line) in commands.items():
            inner.command(f"flowerbed.cli.{target}", name=name, help=help_line)
        door.command(inner)
    return door


def main(tokens: list[str] | None = None) -> None:
    """Run a command and exit with its status: 0 means that it is true."""
    from flowerbed.cli.failure import call

    typed = sys.argv[1:] if tokens is None else tokens
    sys.exit(call(app(typed[0] if typed else None), typed))
