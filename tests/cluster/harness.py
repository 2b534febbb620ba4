"""A Kubernetes cluster for tests: a context manager that starts it and takes all of it down again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster import build, configuration, control_plane, manifests
from cluster.addresses import API_PORT, REGISTRY_PORT, Cable, lay_cable, node_address
from cluster.api import Api
from cluster.configuration import write
from cluster.inside import MARK, ClusterFailed, Place, Program
from cluster.leftovers import claim
from cluster.manifests import NodeSpec
from cluster.node import Node
from cluster.packages import cluster_cache, missing
from cluster.pki import Authority
from cluster.registry import add_images, serving
from flowerbed.environments.cache import Progress, silent

POLICY_ENFORCER = "FLOWERBED_POLICY_ENFORCER"
"""Names a program that enforces NetworkPolicies; see `cluster.node.Node.start_policy_enforcer` for its arguments."""

_TESTS = Path(__file__).parents[1]


class KubectlFailed(Exception):
    """kubectl ended with an error; the message is what it said."""


class Cluster:
    """A real Kubernetes in namespaces of its own, without a way out of them.

    Parameters
    ----------
    nodes : int or sequence of NodeSpec
        How many nodes, or what is special about each.
    images : iterable of Path
        Sets of images that its registry offers from the start (`cluster.images`).
    progress : callable
        Is told what happens.

    Attributes
    ----------
    kubeconfig : Path
        An administrator's, for use on this host; it goes away with the cluster.
    folder : Path
        Everything that the cluster writes; ``logs/`` is in there.
    kubectl_program : Path
        The kubectl of the cluster's release.
    nodes : list of Node
        Its nodes, named ``node-0`` and so on.
    """

    def __init__(
        self, nodes: int | Sequence[NodeSpec] = 1, *, images: Iterable[Path] = (), progress: Progress = silent
    ) -> None:
        self.identity = secrets.token_hex(4)
        self.folder = cluster_cache() / "running" / self.identity
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.nodes: list[Node] = []
        self._specs = [NodeSpec()] * nodes if isinstance(nodes, int) else list(nodes)
        self._images = list(images)
        self._progress = progress
        self._programs: list[Program] = []
        self._guard: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if problem := missing():
            raise ClusterFailed(problem)
        from cluster.images import system_images

        self._binaries = build.ensure(self._progress)
        self._images.append(system_images(self._binaries, self._progress))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every process of the cluster and remove what it left; doing it twice does no harm."""
        if self._guard is None:
            return
        with self._guard as guard:  # closes the pipe to it
            guard.terminate()
            guard.wait()
        for program in [*self._programs, *(program for node in self.nodes for program in node.programs)]:
            program.forget()
        self._guard = None

    # --- what tests do with it

    @property
    def kubectl_program(self) -> Path:
        """The kubectl of the cluster's release."""
        return self._binaries.kubernetes / "kubectl"

    @property
    def registry(self) -> str:
        """Where its registry is for whoever reaches the cluster's network (http)."""
        return f"{self._cable.cluster}:{REGISTRY_PORT}"

    @contextmanager
    def door(self) -> Iterator[str]:
        """Open a door to its registry on this host's loopback interface, where `flowerbed build` pushes by http.

        Yields the address. Nodes take images of any registry's name from there.
        """
        folder = self.folder / "door"
        folder.mkdir(exist_ok=True)
        with serving(self.folder / "registry", folder) as address:
            yield address

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - as in subprocess.run
        """Run kubectl as an administrator and return its output.

        Raises
        ------
        KubectlFailed
            With what it said.
        """
        done = subprocess.run(
            [str(self.kubectl_program), *arguments],
            input=input,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KubectlFailed(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return the environment for a client of the cluster: no proxy of the machine stands between."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        kubectl = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "tmp"), "KUBERC": "off"}
        return kept | kubectl | {MARK: self.identity}

    def offer(self, images: Path) -> None:
        """Offer one more set of images in the cluster's registry."""
        add_images(images, self.folder / "registry")

    def restart_kubelet(self, node: int = 0, number: signal.Signals = signal.SIGTERM) -> None:
        """Restart the kubelet of a node, whose containers run on; return when the new one says that it is ready."""
        self.nodes[node].kubelet.restart(number)
        last = self._ready(node)
        self.wait(lambda: self._ready(node) not in (last, None), f"node {node} is ready again")

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Wait until a condition holds, as long as the cluster's programs live.

        Raises
        ------
        ClusterFailed
            When a program has ended, or the time is over.
        """
        until = time.monotonic() + seconds
        while not condition():
            for program in [*self._programs, *(program for node in self.nodes for program in node.programs)]:
                program.check()
            if time.monotonic() > until:
                raise ClusterFailed(f"after {seconds:g} s still not: {what} (the logs: {self._keep_logs()})")
            time.sleep(0.05)

    def _keep_logs(self) -> Path:
        """Copy the logs to where they outlive the cluster, until the next failure."""
        kept = cluster_cache() / "last-failure"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.folder / "logs", kept)
        return kept

    # --- how it starts

    def _start(self) -> None:
        self._progress(f"starting a cluster with {len(self._specs)} node{'s' if len(self._specs) > 1 else ''}")
        self._whole = self._make_namespaces()
        self._cable = self._connect_to_host()
        keys = self._issue_certificates()
        for images in self._images:
            self.offer(images)
        self._make_nodes(keys)
        self._start_control_plane(keys)
        self._start_nodes(keys)
        self._progress("waiting for the nodes and for DNS")
        self.wait(self._nodes_ready, "all nodes are ready")
        if enforcer := os.environ.get(POLICY_ENFORCER):  # it asks for its node's addresses once, at its start
            for node in self.nodes:
                node.start_policy_enforcer(enforcer, keys / "admin.kubeconfig")
        self.wait(self._dns_ready, "CoreDNS is ready")
        self.wait(lambda: self.api.get("/api/v1/namespaces/default/serviceaccounts/default"), "service accounts")

    def _make_namespaces(self) -> Place:
        lock = claim(self.folder)
        (self.folder / "logs").mkdir()
        (self.folder / "tmp").mkdir()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "cluster.guard", str(self.folder), str(self._binaries.pause), str(os.getpid())],
            env={**os.environ, "PYTHONPATH": str(_TESTS), MARK: self.identity},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=[lock],
        )
        os.close(lock)  # from now on the guard holds it
        assert self._guard.stdout is not None
        if not (first := self._guard.stdout.readline().strip()):
            raise ClusterFailed("the namespaces could not be made (see the lines above)")
        return Place(self.identity, int(first), self.folder / "tmp")

    def _connect_to_host(self) -> Cable:
        cable = lay_cable(self.identity, self._whole.process)
        write(self.folder / "interface", cable.interface)
        self._whole.ip("address", "add", f"{cable.cluster}/30", "dev", "host")
        self._whole.ip("link", "set", "host", "up")
        return cable

    def _issue_certificates(self) -> Path:
        authority = Authority(self.folder / "keys")
        authority.found()
        outside = f"https://{self._cable.cluster}:{API_PORT}"
        inside = f"https://{node_address(0)}:{API_PORT}"
        authority.issue("api", "/CN=kube-apiserver", control_plane.server_names(str(self._cable.cluster)))
        clients = {
            "admin": "/O=system:masters/CN=admin",
            "controller-manager": "/CN=system:kube-controller-manager",
            "scheduler": "/CN=system:kube-scheduler",
            "proxy": "/CN=system:kube-proxy",
        }
        for name, subject in clients.items():
            authority.issue(name, subject)
            authority.kubeconfig(authority.folder / f"{name}.kubeconfig", inside, name)
        for number in range(len(self._specs)):
            name = f"node-{number}"
            authority.issue(
                name, f"/O=system:nodes/CN=system:node:{name}", [f"DNS:{name}", f"IP:{node_address(number)}"]
            )
            authority.kubeconfig(authority.folder / f"{name}.kubeconfig", inside, name)
        authority.kubeconfig(self.kubeconfig, outside, "admin")
        return authority.folder

    def _make_nodes(self, keys: Path) -> None:
        count = len(self._specs)
        for number in range(count):
            folder = self.folder / f"node-{number}"
            self.nodes.append(Node(number, count, self._whole, folder, keys, self._binaries))
            self.nodes[-1].start_runtime()

    def _start_control_plane(self, keys: Path) -> None:
        data = self.folder / "etcd"
        data.mkdir(mode=0o700)
        # In memory: what a test cluster knows need not survive it, and no disk makes it wait.
        self.nodes[0].place.run("mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", str(data))
        self._program("etcd", control_plane.etcd(data))
        settings = write(
            self.folder / "registry.json", configuration.registry(self.folder / "registry", f":{REGISTRY_PORT}")
        )
        self._program("registry", ["docker-registry", "serve", str(settings)])
        programs = self._binaries.kubernetes
        self._program("kube-apiserver", control_plane.api_server(programs, keys))
        self.api = Api(self.kubeconfig)
        self.wait(self.api.ready, "the API server is ready")
        manager = control_plane.controller_manager(programs, keys, keys / "controller-manager.kubeconfig")
        self._program("kube-controller-manager", manager)
        scheduler = write(self.folder / "scheduler.json", configuration.scheduler(keys / "scheduler.kubeconfig"))
        self._program("kube-scheduler", control_plane.scheduler(programs, scheduler))
        volumes = [str(keys / "admin.kubeconfig"), str(self.folder / "volumes")]
        python = {"PYTHONPATH": str(_TESTS)}
        self._program("storage", [sys.executable, "-m", "cluster.storage", *volumes], python)

    def _start_nodes(self, keys: Path) -> None:
        for node, spec in zip(self.nodes, self._specs, strict=True):
            self.api.create("/api/v1/nodes", manifests.node(node.name, node.number, spec))
            node.start_agents(keys / f"{node.name}.kubeconfig", keys / "proxy.kubeconfig")
        self.api.create("/apis/storage.k8s.io/v1/storageclasses", manifests.storage_class())
        for path, manifest in manifests.dns():
            self.api.create(path, manifest)

    def _nodes_ready(self) -> bool:
        return all(self._ready(node) for node in range(len(self._specs)))

    def _ready(self, node: int) -> str | None:
        """Return when a node's kubelet said last that it is ready, if that is the last that it said."""
        conditions = (self.api.get(f"/api/v1/nodes/node-{node}") or {}).get("status", {}).get("conditions", [])
        said = {one["type"]: one for one in conditions}.get("Ready", {})
        return said["lastHeartbeatTime"] if said.get("status") == "True" else None

    def _dns_ready(self) -> bool:
        deployment = self.api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns") or {}
        return bool(deployment.get("status", {}).get("readyReplicas"))

    def _program(self, name: str, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        """Start a program of the control plane, which lives on node 0."""
        log = self.folder / "logs" / f"{name}.log"
        self._programs.append(Program(name, self.nodes[0].place, arguments, log, environment))
