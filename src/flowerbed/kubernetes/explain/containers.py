"""Containers that do not start, or do not stay.

Waiting reasons: k8s.io/kubernetes, pkg/kubelet/kuberuntime/kuberuntime_container.go (``CreateContainerConfigError``,
``CreateContainerError``, …), pkg/kubelet/container/sync_result.go (``CrashLoopBackOff``, ``RunContainerError``, …).
Reasons of an end are the container runtime's: ``Error``, ``Completed``, ``OOMKilled``, and for a program that could
not be executed at all ``StartError`` (containerd, exit status 128) or ``ContainerCannotRun``.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from flowerbed.kubernetes.explain import events, images
from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.model import Kind, Reason
from flowerbed.kubernetes.explain.reading import Object, at, moment, name, number, objects, text

SETTLED = timedelta(seconds=60)
"""A container that has run for so long this time is no longer counted as crashing."""
AGAIN = 2
"""So many restarts make a crash loop, also while the container happens to run."""

KILLED = (128 + signal.SIGKILL, 128 + signal.SIGTERM)

START_REASONS = ("RunContainerError", "CreateContainerError", "PreCreateHookError", "PreStartHookError")
START_ENDS = ("StartError", "ContainerCannotRun")

_MISSING = re.compile(r'(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found', re.IGNORECASE)
# k8s.io/kubernetes, pkg/kubelet/kubelet_pods.go.
_MISSING_KEY = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) [^/\s]*/(?P<name>\S+)")
# k8s.io/kubernetes, pkg/kubelet/kuberuntime/security_context_others.go.
_ROOT = re.compile(r"runAsNonRoot and image will run as root|runAsUser breaks non-root policy")
_USER = re.compile(r"runAsNonRoot and image has non-numeric user \((?P<user>[^)]*)\)")
# runc: "exec: "x": executable file not found in $PATH", "stat /x: no such file or directory", "permission denied".
_NO_PROGRAM = re.compile(r'exec: \\?"(?P<program>[^"\\]+)\\?": (?:executable file not found|stat .*no such file)')
_NO_PERMISSION = re.compile(r'exec: \\?"(?P<program>[^"\\]+)\\?": .*permission denied')
_FORMAT = re.compile(r"exec format error", re.IGNORECASE)

_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}
MISSING_HINT = "Make it in the same namespace, or correct its name in the file (env, envFrom, volumes)."


def missing_configuration(message: str) -> tuple[Kind, str, str] | None:
    """Return what Secret, ConfigMap or key kubelet lacks, from its words."""
    if match := _MISSING_KEY.search(message):
        said = f"the {match['kind']} {match['name'].rstrip(',')} has no key {match['key']}"
        return Kind.CONFIGURATION_MISSING, said, "Add the key, or correct it in the file."
    if match := _MISSING.search(message):
        said = f"there is no {_KINDS[match['kind'].lower()]} {match['name']} in the namespace"
        return Kind.CONFIGURATION_MISSING, said, MISSING_HINT
    return None


def explain(pod: Object, seen_events: Sequence[Object], logs: object, now: datetime | None) -> Reason | None:
    """Return what is wrong with the first container of a Pod that something is wrong with; None if nothing is."""
    spec = {
        text(container, "name"): container
        for part in ("initContainers", "containers")
        for container in objects(pod, "spec", part)
    }
    for part, label in (("initContainerStatuses", "init container"), ("containerStatuses", "container")):
        for status in objects(pod, "status", part):
            container = text(status, "name")
            found = _explain(pod, status, spec.get(container, {}), seen_events, now)
            if found is None:
                continue
            where = f" ({label} {container})" if len(spec) > 1 else ""
            log = at(logs, f"{name(pod)}/{container}")
            found = _with_log(found, log if isinstance(log, str) else "")
            return replace(found, message=f"{found.message}{where}", container=container)
    return None


def _explain(
    pod: Object, status: Object, spec: Object, seen_events: Sequence[Object], now: datetime | None
) -> Reason | None:
    waiting, ended = at(status, "state", "waiting"), at(status, "state", "terminated")
    if waiting is not None:
        return _waiting(pod, status, spec, seen_events)
    if ended is not None:
        if number(ended, "exitCode") == 0 and text(ended, "reason") != "OOMKilled":
            return None
        return _end(pod, ended, spec, again=(number(status, "restartCount") or 0) >= AGAIN)
    return _running(pod, status, spec, now)


def _waiting(pod: Object, status: Object, spec: Object, seen_events: Sequence[Object]) -> Reason | None:
    reason, message = text(status, "state", "waiting", "reason"), text(status, "state", "waiting", "message")
    if reason in ("", "ContainerCreating", "PodInitializing"):
        return None
    if reason in images.WAITING:
        image = text(spec, "image") or text(status, "image")
        failures = (text(event, "message") for event in events.of(pod, seen_events, "Failed", kind="Pod"))
        pulls = [said for said in failures if said.startswith("Failed to pull image") and image in said]
        kind, said, hint, fatal = images.explain(reason, image, " ".join([message, *pulls[:1]]))
        return Reason(name(pod), kind, said, hint, fatal)
    if reason == "CrashLoopBackOff":
        ended = at(status, "lastState", "terminated")
        killed = number(ended, "exitCode") in KILLED and text(ended, "reason") != "OOMKilled"
        if killed and (probe := _killed_by(pod, seen_events)):
            said = f"it is killed and started again and again, because it does not answer its {probe} probe"
            return Reason(name(pod), Kind.CRASH_LOOP, said, _log_hint(pod), fatal=True)
        return _end(pod, ended, spec, again=True)
    if reason == "CreateContainerConfigError":
        return _configuration(pod, message)
    if reason in START_REASONS:
        return _start(pod, message)
    if reason == "PostStartHookError":
        return Reason(name(pod), Kind.START, f"its postStart hook fails: {shorten(message)}", fatal=True)
    tail = f": {shorten(message)}" if message else ""
    return Reason(name(pod), Kind.CONTAINER_CONFIG, f"its container does not start: {reason}{tail}")


def _killed_by(pod: Object, seen_events: Sequence[Object]) -> str:
    """Return the probe for which the kubelet kills a container; empty if it is none."""
    told = [text(event, "message") for event in events.of(pod, seen_events, "Unhealthy", kind="Pod")]
    probes = ("Liveness", "Startup")
    return next((probe.lower() for probe in probes if any(said.startswith(f"{probe} probe") for said in told)), "")


def _running(pod: Object, status: Object, spec: Object, now: datetime | None) -> Reason | None:
    """Return a crash loop that happens to be in one of its moments of life."""
    ended = at(status, "lastState", "terminated")
    restarts = number(status, "restartCount") or 0
    if ended is None or at(status, "ready") is True or restarts < 1:
        return None
    started = moment(status, "state", "running", "startedAt")
    if now is not None and started is not None and now - started > SETTLED:
        return None
    if number(ended, "exitCode") == 0 and text(ended, "reason") != "OOMKilled":
        return None
    return _end(pod, ended, spec, again=restarts >= AGAIN)


def _end(pod: Object, ended: object, spec: Object, *, again: bool) -> Reason:
    reason, code, message = text(ended, "reason"), number(ended, "exitCode"), text(ended, "message")
    if reason in START_ENDS:
        return _start(pod, message)
    if reason == "OOMKilled":
        limit = text(spec, "resources", "limits", "memory")
        bound = f"its limit of {limit}" if limit else "the node can give"
        return Reason(
            name(pod),
            Kind.OUT_OF_MEMORY,
            f"it {'is killed again and again' if again else 'was killed'} for using more memory than {bound}",
            "Raise resources.limits.memory in the file.",
            fatal=again,
        )
    if _FORMAT.search(message):
        return _architecture(pod)
    if again:
        said = f"it ends again and again, with {_exit(code)}"
        return Reason(name(pod), Kind.CRASH_LOOP, said, _log_hint(pod), fatal=True, log=message)
    return Reason(name(pod), Kind.ENDED, f"it ended, with {_exit(code)}", _log_hint(pod), log=message)


def _exit(code: int | None) -> str:
    if code is None:
        return "an unknown exit status"
    if code > 128:
        try:
            return f"exit status {code} ({signal.Signals(code - 128).name})"
        except ValueError:
            pass
    return f"exit status {code}"


def _log_hint(pod: Object) -> str:
    namespace = text(pod, "metadata", "namespace")
    return f"`kubectl logs{f' -n {namespace}' if namespace else ''} {name(pod)} --previous` shows its last words."


def _configuration(pod: Object, message: str) -> Reason:
    if found := missing_configuration(message):
        kind, said, hint = found
        return Reason(name(pod), kind, said, hint, fatal=True)
    if match := _USER.search(message):
        said = f"its image names its user ({match['user']}) instead of giving a number, and may not run as root"
        return Reason(name(pod), Kind.CONTAINER_CONFIG, said, "Give the image a numeric USER.", fatal=True)
    if _ROOT.search(message):
        said = "its image runs as root, and it may not"
        return Reason(name(pod), Kind.CONTAINER_CONFIG, said, "Give the image a USER other than 0.", fatal=True)
    return Reason(name(pod), Kind.CONTAINER_CONFIG, f"its container cannot be made: {shorten(message)}", fatal=True)


def _start(pod: Object, message: str) -> Reason:
    if _FORMAT.search(message):
        return _architecture(pod)
    if match := _NO_PERMISSION.search(message):
        said, hint = f"its image does not let {match['program']} be executed", "Is the file executable for its user?"
    elif match := _NO_PROGRAM.search(message):
        said = f"its image has no program {match['program']}"
        hint = "Is it built on Flower's image (flwr/superexec), with Python where that has it?"
    else:
        return Reason(name(pod), Kind.START, f"its program cannot be started: {shorten(message)}", fatal=True)
    return Reason(name(pod), Kind.START, said, hint, fatal=True)


def _architecture(pod: Object) -> Reason:
    said = "the programs in its image are for another architecture than the node's"
    return Reason(name(pod), Kind.IMAGE_ARCHITECTURE, said, images.PLATFORM_HINT, fatal=True)


def _with_log(found: Reason, log: str) -> Reason:
    if found.kind in (Kind.CRASH_LOOP, Kind.ENDED) and _FORMAT.search(log or found.log):
        said = "the programs in its image are for another architecture than the node's"
        return replace(found, kind=Kind.IMAGE_ARCHITECTURE, message=said, hint=images.PLATFORM_HINT, log=log)
    return replace(found, log=log) if log else found
