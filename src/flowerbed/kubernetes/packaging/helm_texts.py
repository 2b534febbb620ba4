"""The texts of a Helm chart beside its templates: what it is, its values with their explanations, and its notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowerbed.counting import counted
from flowerbed.kubernetes.manifests.needed import Needed
from flowerbed.kubernetes.yaml_text import dump
from flowerbed.spec.model import Federation, Layout

EXPLANATIONS = {
    "namespace": ("Where everything lives, whichever namespace the release itself is in; empty for the release's."),
    "createNamespace": (
        "Whether the chart makes that namespace. With false it has to be there: `helm install --create-namespace`\n"
        "makes only the release's own, and Helm refuses a namespace in a chart that is there already."
    ),
    "images": (
        "The images: `app` has the app's dependencies and Flower's programs. Flower's release is that of Chart.yaml."
    ),
    "imagePullSecrets": "Secrets for the images' registries: [{name: …}].",
    "resources": "What each Pod asks for and gets at most; SuperNodes by their pool. A PyTorch app needs more memory.",
    "storage": (
        "The claim for the SuperLink's database; an empty class is the cluster's default. It cannot be changed once\n"
        "the chart is installed."
    ),
    "results": "The claim for the ServerApp's results; it is kept when the release is uninstalled.",
}


def chart(name: str, version: str, release: str) -> str:
    """Return Chart.yaml."""
    return dump(
        {
            "apiVersion": "v2",
            "name": name,
            "description": f"The Flower federation {name}, rendered by Flowerbed",
            "type": "application",
            "version": version,
            "appVersion": release,
        }
    )


def values(found: dict[str, Any]) -> str:
    """Return values.yaml, each value with its explanation."""
    parts = []
    for key, value in found.items():
        comment = "".join(f"# {line}\n" for line in EXPLANATIONS[key].splitlines())
        parts.append(comment + dump({key: value}))
    return "\n".join(parts)


def notes(federation: Federation, needed: Sequence[Needed]) -> str:
    """Return NOTES.txt: what to look at once it is installed, and what the chart does not bring."""
    name = federation.metadata.name
    namespace = "{{ .Release.Namespace }}"
    if federation.metadata.namespace:
        namespace = "{{ .Values.namespace | default .Release.Namespace }}"
    count = federation.spec.supernode_count
    selector = (
        f"app.kubernetes.io/instance={name}" if federation.spec.layout is Layout.COLOCATED else f"app={name}-superlink"
    )
    return f"""\
The federation {name}, Flower {{{{ .Chart.AppVersion }}}}: a SuperLink and {counted(count, "SuperNode")}.

  kubectl get pods --namespace {namespace} --selector {selector}

The SuperLink is reached at {name}-superlink in that namespace. How many SuperNodes there are is not a value: change the
federation file, and render the chart again.
{_missing(namespace, needed)}"""


def _missing(namespace: str, needed: Sequence[Needed]) -> str:
    if not needed:
        return ""
    listed = "".join(f"  {one.kind.lower()}/{one.name} (made by {one.by})\n" for one in needed)
    return f"""
The Pods wait until there are, in the namespace {namespace}:

{listed}
The chart has none of them. `flowerbed up --on kubernetes` makes those that are made by flowerbed; without it,
`flowerbed trust make` does.
"""
