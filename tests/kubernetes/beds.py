"""Federations in a real cluster, driven as a user drives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cluster import Cluster
from federation.beds import Bed

DIGITS = "registry.example/digits"
"""The image with scikit-learn, with a Flower release as its tag; tests' own apps need what Flower's images have."""


@dataclass
class ClusterBed(Bed):
    """A bed whose federation lives in a namespace of a cluster."""

    cluster: Cluster = field(kw_only=True)
    namespace: str = field(kw_only=True)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def clear(self) -> None:
        """End what a test left behind: its commands, and where there is a file the federation with its claims."""
        self.end_commands()
        if (self.folder / "federation.yaml").exists():
            self("down", "--volumes")

    def pods(self) -> dict[str, str]:
        """Return the uid of each Pod by its name."""
        listed = self.kubectl(
            "get", "pods", "--output", "jsonpath={range .items[*]}{.metadata.name}={.metadata.uid} {end}"
        )
        return dict(pair.split("=") for pair in listed.split())

    def write(self, release: str, *, layout: str = "Colocated", image: str | None = None, more: str = "") -> None:
        """Write the federation file."""
        name = f"{DIGITS}:{release}" if self.folder.name == "digits" else f"flwr/superexec:{release}"
        text = "\n".join(
            [
                "apiVersion: flowerbed.dev/v1alpha1",
                "kind: Federation",
                f"metadata: {{name: test, namespace: {self.namespace}}}",
                "spec:",
                f'  flower: "{release.rpartition(".")[0]}"',
                f"  layout: {layout}",
                f'  app: {{image: "{image or name}"}}',
                "  supernodes: [{name: site, replicas: 2}]",
                *([more] if more else []),
                "",
            ]
        )
        (self.folder / "federation.yaml").write_text(text, encoding="utf-8")


Make = Callable[..., ClusterBed]
