"""One node of a cluster: namespaces of its own, containerd, a kubelet, kube-proxy."""

from __future__ import annotations

import time
from pathlib import Path

from cluster import configuration
from cluster.addresses import GATEWAY, NODES, node_address, node_pods
from cluster.build import Binaries
from cluster.configuration import write
from cluster.inside import Place, Program
from cluster.leftovers import CGROUP_PREFIX, make_cgroups
from cluster.packages import cni_folder

# What a kubelet would set for the whole machine. It finds these values there already, and leaves the machine alone.
KERNEL_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

# In the node's own mount namespace ($1: the node's folder): what its programs write to the system's folders stays here.
_MOUNTS = """
set -e
mount --make-rshared /
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir -p /run/netns
for folder in /var/lib/kubelet /var/lib/cni /var/log/pods; do
  mkdir -p "$folder" "$1$folder"
  mount --bind "$1$folder" "$folder"
done
cd "$1/tunables"
find * -type f | while read -r file; do mount --bind "$file" "/proc/sys/$file"; done
"""


class Node:
    """A node, from its namespaces up; `start_runtime` and `start_agents` start its programs.

    Parameters
    ----------
    number : int
        Counted from 0; node 0 shares its network with the control plane.
    count : int
        How many nodes the cluster has.
    whole : Place
        The whole cluster's namespaces.
    folder : Path
        The node's own folder.
    keys : Path
        The cluster's certificates.
    programs : Binaries
        What was built.
    """

    def __init__(self, number: int, count: int, whole: Place, folder: Path, keys: Path, programs: Binaries) -> None:
        self.number = number
        self.name = f"node-{number}"
        self.programs: list[Program] = []
        self._folder = folder
        self._keys = keys
        self._binaries = programs
        self._logs = folder.parent / "logs"
        (folder / "tmp").mkdir(parents=True)
        network = [] if number == 0 else ["--net"]
        holder = self._program("namespaces", whole, ["unshare", "--mount", "--uts", *network, str(programs.pause)])
        self.place = Place(whole.identity, _arrived(holder, programs.pause), folder / "tmp")
        self._prepare()
        self._connect(count, whole)

    def _prepare(self) -> None:
        for path, value in KERNEL_TUNABLES.items():
            write(self._folder / "tunables" / path, value)
        self.place.run("sh", "-c", _MOUNTS, "mounts", str(self._folder))
        self.place.run("hostname", self.name)
        self._cgroup = f"{CGROUP_PREFIX}{self.place.identity}/{self.name}"
        make_cgroups(Path(self._cgroup))

    def _connect(self, count: int, whole: Place) -> None:
        """Join the network of the nodes: a bridge on node 0, a cable from there to each other node."""
        if self.number == 0:
            self.place.ip("link", "add", "nodes", "type", "bridge")
            interface = "nodes"
        else:
            port, interface = self.name, "uplink"
            peer = ["type", "veth", "peer", "name", interface, "netns", str(self.place.process)]
            whole.ip("link", "add", port, *peer)
            whole.ip("link", "set", port, "master", "nodes", "up")
        self.place.ip("address", "add", f"{node_address(self.number)}/{NODES.prefixlen}", "dev", interface)
        self.place.ip("link", "set", interface, "up")
        self.place.ip("link", "set", "lo", "up")
        self._go_nowhere()
        self.place.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        for other in range(count):
            if other != self.number:
                self.place.ip("route", "add", str(node_pods(other)), "via", str(node_address(other)))

    def _go_nowhere(self) -> None:
        """Have a way to everywhere else, as every node has, at whose end is nobody: a bridge without a port.

        Without one the kernel itself turns away what goes to a Service, before kube-proxy's rules see it; with one, a
        Service that nobody is behind is refused, and one that kube-proxy does not know yet is silent.
        """
        self.place.ip("link", "add", "elsewhere", "type", "bridge")
        self.place.ip("link", "set", "elsewhere", "up")
        nobody = [str(GATEWAY), "lladdr", "02:00:00:00:00:01", "dev", "elsewhere", "nud", "permanent"]
        self.place.ip("neighbour", "add", *nobody)
        self.place.ip("route", "add", "default", "via", str(GATEWAY), "dev", "elsewhere", "onlink")

    def start_runtime(self) -> None:
        """Start containerd."""
        plugins = cni_folder()
        assert plugins is not None, "cluster.packages.missing() looks for it"
        snapshotter = "native" if _is_overlay(self._folder) else "overlayfs"  # an overlay cannot lie on an overlay
        file = write(
            self._folder / "containerd.toml",
            configuration.containerd(self.number, plugins, self._folder, snapshotter),
        )
        write(self._folder / "cni" / "pods.conflist", configuration.network(self.number))
        write(self._folder / "registries" / "_default" / "hosts.toml", configuration.registries())
        self._program("containerd", self.place, ["containerd", "--config", str(file)])

    def start_agents(self, kubeconfig: Path, proxy_kubeconfig: Path) -> None:
        """Start the kubelet and kube-proxy, when containerd and the API server are there."""
        kubelet = write(self._folder / "kubelet.json", configuration.kubelet(self._keys, self.name, f"/{self._cgroup}"))
        arguments = [str(self._binaries.kubernetes / "kubelet"), f"--config={kubelet}", f"--kubeconfig={kubeconfig}"]
        arguments += [f"--hostname-override={self.name}", f"--node-ip={node_address(self.number)}"]
        self.kubelet = self._program("kubelet", self.place, arguments, again=True)
        proxy = write(self._folder / "proxy.json", configuration.proxy(proxy_kubeconfig, self.name))
        self._program("kube-proxy", self.place, [str(self._binaries.kubernetes / "kube-proxy"), f"--config={proxy}"])

    def start_policy_enforcer(self, program: str, kubeconfig: Path) -> None:
        """Start a program that enforces NetworkPolicies, with kube-router's arguments for its firewall mode."""
        modes = ["--run-firewall=true", "--run-router=false", "--run-service-proxy=false"]
        arguments = [program, "--kubeconfig", str(kubeconfig), *modes, f"--hostname-override={self.name}"]
        self._program("policy-enforcer", self.place, arguments, {"NODE_NAME": self.name})

    def _program(
        self,
        name: str,
        place: Place,
        arguments: list[str],
        environment: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> Program:
        log = self._logs / f"{self.name}-{name}.log"
        program = Program(f"{name} of {self.name}", place, arguments, log, environment, again=again)
        self.programs.append(program)
        return program


def _arrived(holder: Program, program: Path) -> int:
    """Wait until a process has its namespaces: they are made before it becomes the program that holds them."""
    process = holder.pid()
    while Path(f"/proc/{process}/exe").readlink() != program.resolve():
        holder.check()
        time.sleep(0.002)
    return process


def _is_overlay(folder: Path) -> bool:
    """Tell whether a folder lies on an overlay, as in a container."""
    mounts = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        mounts[Path(fields[4])] = fields[fields.index("-") + 1]
    return next(mounts[parent] for parent in [folder, *folder.parents] if parent in mounts) == "overlay"
