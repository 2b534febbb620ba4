"""The one door to the API server: lightkube behind a handful of calls that take and give plain dicts.

Nothing else in Flowerbed imports lightkube, so that another client can take its place. Whatever the API server,
the network or the kubeconfig refuses comes out as an error of `flowerbed.errors`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from httpx2.websockets import HTTPXWSException, WebSocketUpgradeError
from lightkube import ApiError, Client, KubeConfig
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, SingleConfig
from lightkube.core.exceptions import ConfigError, LoadResourceError
from lightkube.core.resource_registry import resource_registry
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import CascadeType, PatchType

from flowerbed.errors import ClusterRefused, ClusterUnreachable, FlowerbedError
from flowerbed.kubernetes.access import from_status
from flowerbed.kubernetes.exec_stream import ExecStream
from flowerbed.kubernetes.manifests.certificate import API_VERSION as CERT_MANAGER

FIELD_MANAGER = "flowerbed"
TIMEOUT_SECONDS = 20.0

_T = TypeVar("_T")

Object = dict[str, Any]
"""A Kubernetes object as the API documentation writes it."""

API_VERSIONS = {
    "Namespace": "v1",
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "Event": "v1",
    "ResourceQuota": "v1",
    "PersistentVolumeClaim": "v1",
    "StatefulSet": "apps/v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Certificate": CERT_MANAGER,
    "CertificateRequest": CERT_MANAGER,
    "Ingress": "networking.k8s.io/v1",
}
"""The kinds that Flowerbed makes or looks at, and where they are served."""

TLS_ROUTE = "TLSRoute"

ADDED_KINDS = {"Certificate": "certificates", "CertificateRequest": "certificaterequests", TLS_ROUTE: "tlsroutes"}
"""Kinds of cert-manager's and the Gateway API's, which not every cluster has, and what they are called in paths."""

TLS_ROUTE_VERSIONS = tuple(f"gateway.networking.k8s.io/{version}" for version in ("v1", "v1alpha3", "v1alpha2"))
"""A cluster with the Gateway API has one of these, or several."""


class Cluster:
    """A Kubernetes cluster, seen through one context of a kubeconfig.

    Parameters
    ----------
    config : SingleConfig
        The context.
    """

    def __init__(self, config: SingleConfig) -> None:
        self.context = config.context_name
        self.default_namespace = config.namespace
        self.server = config.cluster.server
        timeout = httpx2.Timeout(TIMEOUT_SECONDS)
        with self._told("connecting"):
            self._api = Client(config=config, field_manager=FIELD_MANAGER, timeout=timeout)
            self._http = client_adapter.Client(config, client_adapter.ConnectionParams(timeout=timeout))

    @classmethod
    def connect(cls, context: str | None = None) -> Cluster:
        """Open a context: the named one, else the current one, else the Pod's own service account.

        Raises
        ------
        ClusterUnreachable
            If there is no kubeconfig, it cannot be read, or has no such context.
        """
        return cls(_config(context))

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        self._http.close()

    # Objects.

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object, or None if there is none of that name."""
        with self._told(f"reading {kind} {name}"):
            for version in self._served(kind):
                try:
                    return _to_dict(self._api.get(_class(kind, version), name, **_in(namespace)), kind, version)
                except ApiError as error:
                    if error.status.code != 404:
                        raise
            return None

    def listing(self, kind: str, namespace: str, *, labels: Mapping[str, str] | None = None) -> list[Object]:
        """Return the objects of a kind in a namespace that have all these labels."""
        with self._told(f"listing {kind}s in the namespace {namespace}"):
            for version in self._served(kind):  # the same objects in each
                found = self._api.list(_class(kind, version), namespace=namespace, labels=dict(labels or {}))
                return [_to_dict(item, kind, version) for item in found]
            return []

    def serves(self, kind: str) -> bool:
        """Tell whether the API server knows a kind."""
        return bool(self._served(kind))

    def _served(self, kind: str) -> list[str]:
        """Return in which versions the API server has a kind; of one that every cluster has it is not asked."""
        versions = _versions(kind)
        return versions if kind not in ADDED_KINDS else [one for one in versions if self._has(kind, one)]

    def _has(self, kind: str, version: str) -> bool:
        doing = f"asking for the resources of {version}"
        with self._told(doing):
            answer = self._http.get(f"/apis/{version}")
            if answer.status_code == 404:
                return False
            if answer.status_code != 200:
                raise from_status(_status(answer), doing=doing)
            return any(item.get("kind") == kind for item in answer.json().get("resources") or [])

    def apply(self, wanted: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        """Apply an object server-side and return what became of it.

        Raises
        ------
        ClusterConflict
            If another field manager owns a field that `wanted` sets otherwise, unless forced.
        """
        kind, metadata = wanted["kind"], wanted["metadata"]
        with self._told(f"applying {kind} {metadata['name']}"):
            version = wanted["apiVersion"]
            body = _class(kind, version).from_dict(wanted)
            made = self._api.apply(body, field_manager=FIELD_MANAGER, force=force, dry_run=dry_run)
            return _to_dict(made, kind, version)

    def annotate(self, kind: str, name: str, namespace: str, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of an object, or with None remove them, and leave the others alone."""
        with self._told(f"annotating {kind} {name}"):
            body = {"metadata": {"annotations": dict(annotations)}}
            _of_any_kind(self._api.patch)(_class(kind), name, body, patch_type=PatchType.MERGE, **_in(namespace))

    def annotate_pods(self, kind: str, name: str, namespace: str, annotations: Mapping[str, str]) -> None:
        """Set annotations of a workload's Pods, which it starts again with them."""
        with self._told(f"annotating the Pods of {kind} {name}"):
            body = {"spec": {"template": {"metadata": {"annotations": dict(annotations)}}}}
            _of_any_kind(self._api.patch)(_class(kind), name, body, patch_type=PatchType.MERGE, **_in(namespace))

    def create(self, wanted: Object) -> Object:
        """Create an object that must not exist yet."""
        kind, metadata = wanted["kind"], wanted["metadata"]
        with self._told(f"creating {kind} {metadata['name']}"):
            return _to_dict(self._api.create(_class(kind).from_dict(wanted)), kind)

    def delete(self, kind: str, name: str, namespace: str | None = None, *, grace: int | None = None) -> bool:
        """Delete an object and, in the background, what it owns; return whether it was there.

        A Pod may take `grace` seconds to end instead of its own time.
        """
        with self._told(f"deleting {kind} {name}"):
            for version in self._served(kind):
                served = _class(kind, version)
                try:
                    _of_any_kind(self._api.delete)(
                        served, name, cascade=CascadeType.BACKGROUND, grace_period=grace, **_in(namespace)
                    )
                except ApiError as error:
                    if error.status.code != 404:
                        raise
                else:
                    return True
            return False

    # Pods.

    def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        tail: int | None = None,
        follow: bool = False,
        since_seconds: int | None = None,
    ) -> Iterator[str]:
        """Give the lines of a container's log, without their ends."""
        with self._told(f"reading the log of {pod}"):
            yield from self._api.log(
                pod,
                namespace=namespace,
                container=container,
                tail_lines=tail,
                follow=follow,
                since=since_seconds,
                newlines=False,
            )

    @contextmanager
    def stream(self, pod: str, namespace: str, container: str, command: list[str]) -> Iterator[ExecStream]:
        """Run a program in a Pod, its standard streams open for as long as the context lasts."""
        query = httpx2.QueryParams(
            {"command": command, "container": container, "stdin": "true", "stdout": "true", "stderr": "true"}
        )
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        doing = f"running a program in {pod}"
        with self._told(doing):
            try:
                with self._http.websocket(path, subprotocols=list(ExecStream.PROTOCOLS), params=query) as socket:
                    yield ExecStream(socket)
            except WebSocketUpgradeError as error:
                if error.response.status_code not in (401, 403, 404):
                    raise
                # The refusal's body is gone with the connection; the same request without an upgrade has it too.
                raise from_status(_status(self._http.get(path, params=query)), doing=doing) from None

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except FlowerbedError:
            raise
        except ApiError as error:
            raise from_status(error.status.to_dict(), doing=doing) from error
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != 404:  # it would have a status of Kubernetes' own
                raise _unreachable(error, doing, self.server) from error
            raise ClusterRefused(
                f"the API server knows no such kind, while {doing}",
                where=self.server,
                hint="Have installed what brings it (the Gateway API, cert-manager), or leave it out of the file.",
            ) from error
        except httpx2.HTTPError as error:
            raise _unreachable(error, doing, self.server) from error
        except HTTPXWSException as error:
            raise ClusterUnreachable(f"the connection broke off while {doing}", where=self.server) from error
        except (ConfigError, ssl.SSLError) as error:
            raise ClusterUnreachable(str(error), where=self.server) from error


def _config(context: str | None) -> SingleConfig:
    named = os.environ.get("KUBECONFIG", "")
    files = [Path(part).expanduser() for part in named.split(os.pathsep) if part] or [
        Path("~/.kube/config").expanduser()
    ]
    file = next((path for path in files if path.is_file()), None)
    if file is None and context is None and Path(SERVICE_ACCOUNT).is_dir():
        return _read(lambda: KubeConfig.from_service_account().get(), SERVICE_ACCOUNT)
    if file is None:
        raise ClusterUnreachable(
            "there is no kubeconfig",
            where=", ".join(map(str, files)),
            hint="Set KUBECONFIG to its path, or put it at ~/.kube/config. `--on local` needs none.",
        )
    config = _read(lambda: KubeConfig.from_file(file), str(file))
    if context is not None and context not in config.contexts:
        raise ClusterUnreachable(
            f"the kubeconfig has no context {context!r}",
            where=str(file),
            hint=f"It has: {', '.join(sorted(config.contexts)) or 'none'}.",
        )
    return _read(lambda: config.get(context), str(file))


def _read(load: Callable[[], _T | None], where: str) -> _T:
    try:
        found = load()
    except Exception as error:
        raise ClusterUnreachable(
            f"the kubeconfig cannot be used: {error}", where=where, hint="`kubectl config view` shows what is in it."
        ) from error
    if found is None:
        raise ClusterUnreachable(
            "the kubeconfig names no current context", where=where, hint="Name one: --on kubernetes:CONTEXT"
        )
    return found


def _versions(kind: str) -> list[str]:
    """Return in which versions a kind may be served."""
    return list(TLS_ROUTE_VERSIONS) if kind == TLS_ROUTE else [API_VERSIONS[kind]]


def _class(kind: str, version: str | None = None) -> Any:
    version = version or _versions(kind)[0]
    if kind in ADDED_KINDS:
        return _added(kind, version)
    try:
        return resource_registry.load(version, kind)
    except LoadResourceError as error:  # pragma: no cover - a mistake of ours
        raise AssertionError(kind) from error


@cache  # it can be made known only once
def _added(kind: str, version: str) -> Any:
    group, _, number = version.partition("/")
    return create_namespaced_resource(group, number, kind, ADDED_KINDS[kind])


def _of_any_kind(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method without the overloads that tell kinds with a namespace from those without."""
    return method


def _in(namespace: str | None) -> dict[str, str]:
    return {} if namespace is None else {"namespace": namespace}


def _to_dict(item: Any, kind: str, version: str | None = None) -> Object:
    return {"apiVersion": version or _versions(kind)[0], "kind": kind} | dict(item.to_dict())


def _status(response: Any) -> dict[str, Any]:
    try:
        body = response.json()
    except Exception:  # noqa: BLE001 - a proxy's answer, or none
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return body
    return {
        "code": response.status_code,
        "message": f"the API server answered {response.status_code}",
        "status": "Failure",
    }


def _unreachable(error: httpx2.HTTPError, doing: str, server: str) -> ClusterUnreachable:
    text = str(error) or type(error).__name__
    if isinstance(error, httpx2.TimeoutException):
        message = f"the API server did not answer within {TIMEOUT_SECONDS:g} s while {doing}"
    elif "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text.lower():
        message = f"the API server's certificate is not the kubeconfig's: {text}"
    else:
        message = f"the API server cannot be reached while {doing}: {text}"
    return ClusterUnreachable(message, where=server, hint="Check the cluster, the network and the kubeconfig's server.")
