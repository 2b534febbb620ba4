"""Federations in a real cluster, driven as a user drives them."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster import Cluster
from cluster.workshop import repository
from federation.beds import Bed
from flowerbed.kubernetes.cluster import Cluster as Connection

DIGITS = "registry.example/digits"
"""The bundled app's image, with a Flower release as its tag; tests' own apps need what Flower's images have."""

SITES = ("test-site-0", "test-site-1")
"""The Pods of the SuperNodes."""

_FLWR_RUN = """
import base64, io, os, subprocess, sys, tarfile
home = "/tmp/stock"
tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.stdin.read()))).extractall(home + "/app")
words = open("/proc/1/cmdline").read().split("\\0")
authority = words[words.index("--root-certificates") + 1]
port = words[words.index("--ready-request") + 1].rpartition(":")[2]
with open(home + "/config.toml", "w") as file:
    file.write(f'[superlink]\\ndefault = "ours"\\n[superlink.ours]\\naddress = "127.0.0.1:{port}"\\n')
    file.write(f'root-certificates = "{authority}"\\n')
command = ["flwr", "run", home + "/app", "ours", "--run-config", sys.argv[1], "--format", "json"]
sys.exit(subprocess.run(command, env={**os.environ, "FLWR_HOME": home, "HOME": home}).returncode)
"""
"""What a user of Flower 1.42 does who may exec into the SuperLink's container."""

_TRAINED = "/tmp/trained"
LONG_ROUND_2 = ("--run-config", f'seconds=0.0 until="{_TRAINED}" only-round=2 num-server-rounds=3')
"""The slow app trains in round 2 until a test lets it go on. Flower 1.22 keeps arrays that nobody has fetched in memory
alone, which are lost with a SuperLink: while both SuperNodes train there are none."""


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

    def next_run(self) -> int:
        """Return the number of the next run."""
        return len(self("runs").lines) + 1

    def begin_run(self, *arguments: str) -> Callable[[], dict[str, object]]:
        """Begin a run, and wait for its second round; return what waits for its end and gives it."""
        number = self.next_run()
        running = self.start("run", *arguments)
        self.wait_for_round(2, run=number)

        def end() -> dict[str, object]:
            said = self.finish(running)
            return {**said.last("run"), "status": said.status}

        return end

    def flwr_run(self, config: str) -> str:
        """Submit the app with Flower's own `flwr run`, in the SuperLink's container; return Flower's id of the run."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for part in ("pyproject.toml", "slow_app"):
                archive.add(self.folder / part, arcname=part)
        [pod] = [name for name in self.pods() if name.startswith("test-superlink-")]
        said = self.cluster.kubectl(
            *("--namespace", self.namespace, "exec", "--stdin", pod, "--", "python", "-c", _FLWR_RUN, config),
            input=base64.b64encode(packed.getvalue()).decode(),
        )
        answer = json.loads(said[said.index("{") :])
        assert answer["success"], said
        return str(answer["run-id"])

    def wait_until_both_train(self) -> None:
        """Wait until both SuperNodes train in a run's second round."""
        self.wait(lambda: all(self.kubectl("logs", pod).count("slow: training") == 2 for pod in SITES), "round 2")

    def let_both_finish(self) -> None:
        """End a training that lasts until then."""
        for pod in SITES:
            self.let_finish(pod)

    def let_finish(self, pod: str) -> None:
        """End such a training in one Pod."""
        self.kubectl("exec", pod, "--", "touch", _TRAINED)

    def pods(self) -> dict[str, str]:
        """Return the uid of each Pod by its name."""
        listed = self.kubectl(
            "get", "pods", "--output", "jsonpath={range .items[*]}{.metadata.name}={.metadata.uid} {end}"
        )
        return dict(pair.split("=") for pair in listed.split())

    def write(
        self, release: str, *, layout: str = "Colocated", image: str | None = None, pool: str = "", more: str = ""
    ) -> None:
        """Write the federation file, with more for its pool and more below its spec."""
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
                f"  supernodes: [{{name: site, replicas: 2{pool}}}]",
                *([more] if more else []),
                "",
            ]
        )
        (self.folder / "federation.yaml").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Baking:
    """Bakes apps into a cluster's registry, as a user does with `flowerbed build --push`.

    Parameters
    ----------
    registry : str
        A door to that registry on the loopback interface; nodes take images of any registry's name from it.
    """

    registry: str

    def bake(self, app: Path, name: str, release: str) -> dict[str, Any]:
        """Bake an app with a Flower release; return what was said of the image."""
        words = ["--flower", release[: release.rindex(".")], "--base", f"{self.registry}/flwr/superexec:{release}"]
        said = Bed(app)("build", ".", "--push", *words, "--tag", f"{self.registry}/{repository(name)}")
        assert said.status == 0, (said.lines[-1:], said.errors)
        return said.last("built")


Make = Callable[..., ClusterBed]

Connect = Callable[[Path], Connection]
