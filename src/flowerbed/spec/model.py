"""What a user writes: a federation, its app and its pools of SuperNodes.

The words below each field are what editors show; they reach them through `flowerbed.spec.schema`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from flowerbed.spec.consistency import INCONSISTENT, inconsistencies
from flowerbed.spec.expose import Expose
from flowerbed.spec.finding import dotted
from flowerbed.spec.images import ImagePolicy, Images, Signatures
from flowerbed.spec.kubernetes import (
    EnvFromSource,
    ObjectReference,
    PullPolicy,
    Resources,
    Results,
    Storage,
    Volume,
)
from flowerbed.spec.kubernetes_values import SHORTEST_GRACE, GraceSeconds, ImageReference
from flowerbed.spec.network import Access, ControlApi, Egress, Switch
from flowerbed.spec.scheduling import Gpus, Placement, SpreadConstraint
from flowerbed.spec.section import Section
from flowerbed.spec.tls import Tls, TlsMode
from flowerbed.spec.values import (
    AptPackage,
    Duration,
    Environment,
    FlowerRelease,
    Name,
    Namespace,
    NodeConfig,
    ObjectLabels,
    PackageName,
    PoolName,
    PortNumber,
    PythonMinor,
    Replicas,
    RunConfig,
    duration_seconds,
)

API_VERSION: Final = "flowerbed.dev/v1alpha1"
KIND: Final = "Federation"


class Layout(StrEnum):
    """Which components live and die together."""

    COLOCATED = "Colocated"
    QUICKSTART = "Quickstart"


class Execution(StrEnum):
    """How the process of a ServerApp or ClientApp begins."""

    WARM = "Warm"
    ISOLATED = "Isolated"


class NodeDrain(StrEnum):
    """What a node drain does with the SuperLink and the ServerApp's SuperExec."""

    WAIT = "Wait"
    PROCEED = "Proceed"


class Metadata(Section):
    """What the federation is called."""

    name: Name
    """The federation's name: a DNS label of at most 40 characters, from which component names are made."""

    namespace: Namespace | None = None
    """The Kubernetes namespace; the local runtime does not use it."""

    labels: ObjectLabels = Field(default_factory=dict)
    """Labels for everything that is made from this file."""


class AppBuild(Section):
    """How `flowerbed build` makes the app's image."""

    base: ImageReference | None = None
    """The image that it is built on, with Flower of the federation's release. Default: flwr/superexec of it."""

    provided_by_base: Annotated[tuple[PackageName, ...], Field(strict=False)] = ()
    """Python packages that the base brings, such as a torch of its own: they are not installed again."""

    apt_packages: Annotated[tuple[AptPackage, ...], Field(strict=False)] = ()
    """Debian packages to install, such as libgomp1 or libgomp1=12.2.0-14. A container engine is needed for that."""


class App(Section):
    """The Flower App that the federation runs."""

    path: Annotated[str, Field(min_length=1)] = "."
    """The app's folder, with a pyproject.toml that has [tool.flwr.app]; relative to this file."""

    image: ImageReference | None = None
    """The container image with the app's dependencies and Flower's programs; Kubernetes only."""

    build: AppBuild = AppBuild()
    """How `flowerbed build` makes that image."""

    image_pull_policy: Annotated[PullPolicy, Field(strict=False)] | None = None
    """When the image is pulled; Kubernetes only. Default: Kubernetes' own."""

    image_pull_secrets: Annotated[tuple[ObjectReference, ...], Field(strict=False)] = ()
    """Secrets for the images' registries; Kubernetes only."""


class SuperNodePool(Placement):
    """SuperNodes that are alike, named NAME-0, NAME-1 and so on."""

    name: PoolName
    """The pool's name: a DNS label, unique in the federation, not superlink or superexec…."""

    replicas: Replicas = 1
    """How many SuperNodes the pool has."""

    external: bool = False
    """Whether they run elsewhere, each from a kit that `flowerbed node kit` makes. Needs superlink.expose."""

    node_config: NodeConfig = Field(default_factory=dict)
    """What each SuperNode's apps find in context.node_config; partition-id and num-partitions are filled in."""

    env: Environment = Field(default_factory=dict)
    """Environment variables for the pool's ClientApps."""

    execution: Annotated[Execution, Field(strict=False)] | None = None
    """How the pool's ClientApps begin. Default: as spec.execution says."""

    env_from: Annotated[tuple[EnvFromSource, ...], Field(strict=False)] = ()
    """More environment variables, from Secrets and ConfigMaps; Kubernetes only."""

    volumes: Annotated[tuple[Volume, ...], Field(strict=False)] = ()
    """Volumes, each with the path where it is mounted; Kubernetes only."""

    resources: Resources = Resources()
    """What a Pod asks for and gets at most; Kubernetes only. What is not given has a default."""

    gpus: Gpus | None = None
    """GPUs for each Pod; Kubernetes only."""

    termination_grace_period_seconds: GraceSeconds | None = None
    """How long a Pod that is asked to end may take; on Kubernetes, and in kits. All but the last 30 seconds are for the
    reply to what it works on. Default: 30."""

    egress: Annotated[tuple[Egress, ...], Field(strict=False)] = ()
    """What the pool's programs may reach beside the SuperLink, where NetworkPolicies are enforced; Kubernetes only."""

    topology_spread_constraints: Annotated[tuple[SpreadConstraint, ...], Field(strict=False)] | None = None
    """How evenly the pool's Pods are spread; Kubernetes only. Default: over nodes, where that is possible."""

    @property
    def grace(self) -> int:
        """How long a Pod may take to end, in seconds."""
        given = self.termination_grace_period_seconds
        return SHORTEST_GRACE if given is None else given

    @property
    def finish(self) -> int:
        """How much of that is for the reply to what a SuperNode works on, in seconds."""
        return self.grace - SHORTEST_GRACE

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its SuperNodes."""
        return tuple(f"{self.name}-{ordinal}" for ordinal in range(self.replicas))


class SuperLinkPorts(Section):
    """Fixed port numbers on this machine; a port that is not given is found free."""

    api: PortNumber | None = None
    """The one port of Flower releases that serve everything on one."""

    control: PortNumber | None = None
    """The Control API, for users."""

    fleet: PortNumber | None = None
    """The Fleet API, for SuperNodes."""

    runtime: PortNumber | None = None
    """The API that the ServerApp's SuperExec dials."""


class SuperLink(Placement):
    """Settings of the SuperLink."""

    ports: SuperLinkPorts = SuperLinkPorts()
    """Fixed port numbers for the local runtime."""

    image: ImageReference | None = None
    """The SuperLink's image; Kubernetes only. Default: flwr/superlink in the release, or what images makes of it."""

    resources: Resources = Resources()
    """What the Pod asks for and gets at most; Kubernetes only. What is not given has a default."""

    storage: Storage = Storage()
    """The claim for the SuperLink's database; Kubernetes only."""

    expose: Expose | None = None
    """Where SuperNodes outside reach it, for pools with external: true. Default: nowhere."""


class ServerApp(Placement):
    """Settings of the ServerApp's side."""

    env: Environment = Field(default_factory=dict)
    """Environment variables for the ServerApp."""

    execution: Annotated[Execution, Field(strict=False)] | None = None
    """How ServerApps begin. Default: as spec.execution says."""

    env_from: Annotated[tuple[EnvFromSource, ...], Field(strict=False)] = ()
    """More environment variables, from Secrets and ConfigMaps; Kubernetes only."""

    volumes: Annotated[tuple[Volume, ...], Field(strict=False)] = ()
    """Volumes, each with the path where it is mounted; Kubernetes only."""

    resources: Resources = Resources()
    """What a Pod asks for and gets at most; Kubernetes only. What is not given has a default."""

    gpus: Gpus | None = None
    """GPUs for the ServerApp; Kubernetes only."""

    egress: Annotated[tuple[Egress, ...], Field(strict=False)] = ()
    """What the ServerApp may reach beside the SuperLink, where NetworkPolicies are enforced; Kubernetes only."""

    results: Results = Results()
    """Where results go; Kubernetes only."""


class Security(Section):
    """How the federation protects itself."""

    tls: Tls = Tls()
    """TLS between Flower's programs."""

    node_auth: bool | None = None
    """Whether only SuperNodes with a key of the federation's may join; needs TLS. Default: true where there is TLS."""

    control_api: Annotated[ControlApi, Field(strict=False)] | None = None
    """Closed: a proxy before the SuperLink lets only holders of a certificate to the Control API. Open: whoever reaches
    its port can submit code. Kubernetes only; Closed is the default, and needs TLS and layout: Colocated."""

    network_policies: Annotated[Switch, Field(strict=False)] | None = None
    """Whether NetworkPolicies keep everyone away who has no business there; Kubernetes only, and for layout: Colocated,
    where Enabled is the default."""

    images: Annotated[ImagePolicy, Field(strict=False)] = ImagePolicy.ANY
    """Pinned: an image without a digest is neither rendered nor run; Kubernetes only."""

    signatures: Signatures | None = None
    """By whom every image has to be signed before up and run use it; Kubernetes only."""

    dns: Annotated[tuple[Egress, ...], Field(min_length=1, strict=False)] | None = None
    """Where names are resolved, for NetworkPolicies. Default: the Pods k8s-app=kube-dns in kube-system, at port 53."""


class RunSettings(Section):
    """Defaults of each run; the command line goes before them."""

    config: RunConfig = Field(default_factory=dict)
    """Values that replace those of [tool.flwr.app.config]; nested keys are written with dots."""

    timeout: Duration | None = None
    """How long a run may take, for example "30m"; without it, as long as it takes."""

    @property
    def timeout_seconds(self) -> int | None:
        """The timeout in seconds."""
        return None if self.timeout is None else duration_seconds(self.timeout)


class FederationSpec(Section):
    """What the federation is made of."""

    flower: FlowerRelease | None = None
    """The Flower release, in quotes: "1.42" takes its newest patch. Default: the newest proven one."""

    python: PythonMinor | None = None
    """The minor release of Python for Flower's environment, in quotes: "3.11"."""

    layout: Annotated[Layout, Field(strict=False)] = Layout.COLOCATED
    """Colocated: a SuperNode and the SuperExec of its ClientApps are one unit. Quickstart: each is its own."""

    execution: Annotated[Execution, Field(strict=False)] = Execution.WARM
    """Each message has a process of its own. Warm: it is forked from one that has imported Flower and the app's
    libraries, where that is safe. Isolated: it is a new interpreter."""

    app: App = App()
    """The Flower App."""

    supernodes: Annotated[tuple[SuperNodePool, ...], Field(min_length=1, strict=False)]
    """Pools of SuperNodes, at least one."""

    superlink: SuperLink = SuperLink()
    """Settings of the SuperLink."""

    serverapp: ServerApp = ServerApp()
    """Settings of the ServerApp's side."""

    node_drain: Annotated[NodeDrain, Field(strict=False)] | None = None
    """Wait: a node drain waits until somebody moves the SuperLink and the ServerApp's side. Proceed: it evicts them,
    and a run that is going on can be lost. Kubernetes only, and for layout: Colocated, where Wait is the default."""

    images: Images = Images()
    """Where Flower's own images come from; Kubernetes only."""

    access: Annotated[tuple[Access, ...], Field(strict=False)] = ()
    """Who else may reach the SuperLink, where NetworkPolicies are enforced; Kubernetes only."""

    security: Security = Security()
    """How the federation protects itself."""

    run: RunSettings = RunSettings()
    """Defaults of each run."""

    @property
    def tls_mode(self) -> TlsMode:
        """How connections between Flower's programs are protected, said or not."""
        if self.security.tls.mode is not None:
            return self.security.tls.mode
        return TlsMode.AUTO if self.layout is Layout.COLOCATED else TlsMode.DISABLED

    @property
    def node_auth(self) -> bool:
        """Whether only SuperNodes with a key of the federation's may join, said or not."""
        if self.security.node_auth is not None:
            return self.security.node_auth
        return self.tls_mode is not TlsMode.DISABLED

    @property
    def control_closed(self) -> bool:
        """Whether a proxy stands before the SuperLink on Kubernetes, said or not."""
        protected = self.layout is Layout.COLOCATED and self.tls_mode is not TlsMode.DISABLED
        return protected and self.security.control_api is not ControlApi.OPEN

    def execution_of(self, side: SuperNodePool | ServerApp) -> Execution:
        """Return how the ClientApps of a pool, or ServerApps, begin, said or not."""
        return side.execution or self.execution

    @property
    def supernode_count(self) -> int:
        """How many SuperNodes there are in all pools, wherever they run."""
        return sum(pool.replicas for pool in self.supernodes)

    @property
    def own_pools(self) -> tuple[SuperNodePool, ...]:
        """The pools whose SuperNodes run here."""
        return tuple(pool for pool in self.supernodes if not pool.external)

    @property
    def own_nodes(self) -> tuple[str, ...]:
        """The names of the SuperNodes that run here."""
        return tuple(name for pool in self.supernodes if not pool.external for name in pool.nodes)

    @property
    def external_nodes(self) -> tuple[str, ...]:
        """The names of the SuperNodes that run elsewhere."""
        return tuple(name for pool in self.supernodes if pool.external for name in pool.nodes)

    @property
    def superlink_names(self) -> tuple[str, ...]:
        """What the SuperLink is called outside, for its certificate."""
        exposed = [self.superlink.expose.host] if self.superlink.expose is not None else []
        return tuple(dict.fromkeys([*exposed, *self.security.tls.external_names]))


class Federation(Section):
    """A Flower federation: one SuperLink, pools of SuperNodes, and the app that they run."""

    api_version: Literal["flowerbed.dev/v1alpha1"]
    """The version of this file's format."""

    kind: Literal["Federation"]
    """Always Federation."""

    metadata: Metadata
    """What the federation is called."""

    spec: FederationSpec
    """What the federation is made of."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for finding in inconsistencies(self.model_dump(by_alias=True)):
            raise PydanticCustomError(
                INCONSISTENT, "{message}", {"message": f"{dotted(finding.path)}: {finding.message}"}
            )
        return self
