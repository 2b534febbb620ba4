"""Submitting from inside the cluster: a Job with the app's image, into which the app's folder is streamed.

No port has to be opened to the cluster, and the FAB is built by the federation's own release of Flower. The image
only brings the dependencies; whether they are those that the folder asks for is compared before anything is run.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from flowerbed.errors import AppError, ClusterUnreachable, ControlError, FederationFailed
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.exec_stream import NOT_STARTED, ExecStream
from flowerbed.kubernetes.labels import VERSION
from flowerbed.kubernetes.living import container_statuses, is_running, name
from flowerbed.kubernetes.manifests.programs import SUBMIT
from flowerbed.kubernetes.manifests.run_job import CONTAINER, INBOX

Object = dict[str, Any]

POLL_SECONDS = 0.3
TRIES = 3
ENDS_SECONDS = 10.0
"""How long a Pod may take to end whose program for receiving ended with an error; what it answers says more."""


class Submission:
    """One run's way into the SuperLink.

    Parameters
    ----------
    cluster : Cluster
        Where.
    job : dict
        The Job, from `flowerbed.kubernetes.manifests.run_job`.
    explain : callable
        Says in a sentence why a Pod of the namespace does not run; empty if waiting is all that is needed.
    """

    def __init__(self, cluster: Cluster, job: Object, explain: Callable[[], str]) -> None:
        self._cluster = cluster
        self._job = job
        self._explain = explain
        self._namespace = str(job["metadata"]["namespace"])

    def submit(self, app: Path | None, requirements: tuple[Requirement, ...], *, patience: float) -> dict[str, Any]:
        """Create the Job, stream the app in, and return what the SuperLink said of the run.

        Parameters
        ----------
        app : Path or None
            The staged folder; None for what the image holds.
        requirements : tuple of Requirement
            What the folder asks for; compared with what the image has.
        patience : float
            How long the Pod may take to run, in seconds.

        Raises
        ------
        AppError
            If the image has not what the folder asks for, or another release of Flower; the Job is deleted again.
        ControlError
            If the SuperLink, or the app's own FAB build, refuses.
        FederationFailed
            If the Job's Pod does not get to run.
        """
        self._cluster.create(self._job)
        try:
            pod = self._wait_for_pod(patience)
            if app is not None:  # what the image holds is submitted at once, and its Pod may have ended by now
                self._compare(pod, requirements)
                self._stream(pod, app)
            return self._answer(pod, patience)
        except BaseException:
            self._cluster.delete("Job", name(self._job), self._namespace)
            raise

    def earlier(self) -> dict[str, Any] | None:
        """Return what came of the Job of a command that was killed meanwhile; None if nothing has yet.

        A Job that is gone, or that can no longer come to an end, is an answer too.
        """
        pod = self._pod()
        if pod is None or not _ended(pod):
            if pod is not None and self._cluster.get("Job", name(self._job), self._namespace) is not None:
                return None
            return {"ok": False, "error": {"code": "no-app", "message": "its command was killed meanwhile"}}
        return _last_json(list(self._cluster.logs(name(pod), self._namespace))) or {
            "ok": False,
            "error": {"code": "internal", "message": "its Pod ended without an answer"},
        }

    def _wait_for_pod(self, patience: float) -> str:
        deadline = time.monotonic() + patience
        while True:
            pod = self._pod()
            if pod is not None and (is_running(pod) or _ended(pod)):
                return name(pod)
            why = self._explain()
            if why or time.monotonic() > deadline:
                raise FederationFailed(
                    why or f"the run's Pod did not start within {patience:g} s",
                    where=name(self._job),
                    hint="The run was not submitted, and its Job is deleted.",
                )
            time.sleep(POLL_SECONDS)

    def _pod(self) -> Object | None:
        labels = {"batch.kubernetes.io/job-name": name(self._job)}
        pods = self._cluster.listing("Pod", self._namespace, labels=labels)
        return pods[0] if pods else None

    def _compare(self, pod: str, requirements: tuple[Requirement, ...]) -> None:
        stream, said = self._executed(pod, [*SUBMIT, "--packages"])
        if stream.exit_code != 0:
            raise ControlError(f"the image cannot tell what it holds: {stream.errors.decode(errors='replace')[-500:]}")
        found = json.loads(said)
        release, image = str(self._job["metadata"]["labels"][VERSION]), _image(self._job)
        if other := another_flower(found["flwr"], release):
            raise AppError(
                f"the image {image} has {other}, and the federation is one of Flower {release}",
                where=name(self._job),
                hint=f"Build the image with Flower {release}, or name the image's release in spec.flower.",
            )
        lacking = missing(requirements, found["packages"], found["markers"], found["extras"])
        if lacking:
            raise AppError(
                f"the image {image} does not bring what the app's pyproject.toml asks for: " + "; ".join(lacking),
                where=name(self._job),
                hint="Build the image again from this folder, or run what it holds with --baked.",
            )

    def _stream(self, pod: str, app: Path) -> None:
        data = pack(app)
        command = [*SUBMIT, "--receive", "--inbox", INBOX]
        stream, _ = self._executed(pod, command, str(len(data)).encode() + b"\n" + data)
        if stream.exit_code != 0 and not self._ends(pod):
            said = stream.errors.decode(errors="replace").strip()[-500:] or f"it ended with {stream.exit_code}"
            raise ControlError(f"the app's folder did not arrive in the cluster: {said}", where=pod)

    def _ends(self, pod: str) -> bool:
        """Tell whether a Pod ends by itself: it may have the folder from a connection that then broke off."""
        deadline = time.monotonic() + ENDS_SECONDS
        while time.monotonic() < deadline:
            living = self._cluster.get("Pod", pod, self._namespace)
            if living is None or _ended(living):
                return living is not None
            time.sleep(POLL_SECONDS)
        return False

    def _executed(self, pod: str, command: list[str], sent: bytes = b"") -> tuple[ExecStream, bytes]:
        """Run a program of ours in a Pod; return it, and what it said.

        A connection that breaks off is made again, as either program may be run twice: proxies and load balancers
        before API servers close some, and a TLS connection that two threads use at once can come out of step (seen
        with Python 3.11 as ``WRONG_VERSION_NUMBER``). So is a program that a busy node could not start.
        """
        for left in reversed(range(TRIES)):
            try:
                with self._cluster.stream(pod, self._namespace, CONTAINER, command) as stream:
                    stream.write(sent)
                    said = b"".join(stream.read())
                if not (stream.exit_code == NOT_STARTED and left):
                    return stream, said
                time.sleep(POLL_SECONDS)
            except ClusterUnreachable:
                if not left:
                    raise
                time.sleep(POLL_SECONDS)
        raise AssertionError(TRIES)  # pragma: no cover - there is at least one

    def _answer(self, pod: str, patience: float) -> dict[str, Any]:
        deadline = time.monotonic() + patience
        while True:
            living = self._cluster.get("Pod", pod, self._namespace)
            if living is None:
                raise ControlError("the run's Pod was deleted before it had submitted the app", where=pod)
            if _ended(living):
                break
            if time.monotonic() > deadline:
                raise ControlError(f"the SuperLink did not take the run within {patience:g} s", where=pod)
            time.sleep(POLL_SECONDS)
        lines = list(self._cluster.logs(pod, self._namespace))
        answer = _last_json(lines)
        if answer is None:
            raise ControlError("the run's Pod ended without an answer", where=pod, hint="\n".join(lines[-15:]))
        if not answer.get("ok"):
            error = answer.get("error") or {}
            raise ControlError(str(error.get("message")), where=str(error.get("code")))
        return answer


def another_flower(found: str | None, release: str) -> str:
    """Return in words which Flower an image has, if it is not of the release's minor; else nothing."""
    if found is None:
        return "no Flower"
    same = found.split(".")[:2] == release.split(".")[:2]
    return "" if same else f"Flower {found}"


def missing(
    requirements: tuple[Requirement, ...],
    packages: Mapping[str, str],
    markers: Mapping[str, str],
    extras: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return in words what is asked for and not there; Flower itself is the image's own affair.

    Parameters
    ----------
    requirements : tuple of Requirement
        What is asked for.
    packages : mapping of str to str
        What is there: name → version.
    markers : mapping of str to str
        Where: the environment in which markers are judged (PEP 508).
    extras : mapping of str to sequence of str
        What the packages that are there want for their extras, as their metadata say it.
    """
    installed = {canonicalize_name(package): version for package, version in packages.items()}
    optional = {canonicalize_name(package): lines for package, lines in extras.items()}
    lacking: list[str] = []
    asked: set[tuple[str, str]] = set()
    unread = [(wanted, "") for wanted in requirements if _applies(wanted, markers, "")]
    while unread:
        wanted, of = unread.pop(0)
        package = canonicalize_name(wanted.name)
        version = installed.get(package)
        if package == "flwr":
            continue
        if version is None:
            lacking.append(f"{wanted.name} is not there{of}")
        elif not _satisfies(wanted, version):
            lacking.append(f"{wanted.name}{wanted.specifier} is asked for and {version} is there{of}")
        for extra in sorted(wanted.extras):
            if version is None or (package, extra) in asked:
                continue
            asked.add((package, extra))
            of_extra = f" (of {wanted.name}[{extra}])"
            found = map(Requirement, optional.get(package, ()))
            unread += [
                (one, of_extra) for one in found if _applies(one, markers, extra) and not _applies(one, markers, "")
            ]
    return lacking


def _applies(wanted: Requirement, markers: Mapping[str, str], extra: str) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({**markers, "extra": extra})


def pack(folder: Path) -> bytes:
    """Return a folder as a gzipped tar, its files' owners and times left out."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", dereference=False) as archive:
        archive.add(folder, arcname=".", filter=plain)
    return data.getvalue()


def _satisfies(wanted: Requirement, version: str) -> bool:
    try:
        return wanted.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") or any(
        "terminated" in (status.get("state") or {}) for status in container_statuses(pod)
    )


def _image(job: Object) -> str:
    return str(job["spec"]["template"]["spec"]["containers"][0]["image"])


def _last_json(lines: list[str]) -> dict[str, Any] | None:
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "ok" in found:
            return found
    return None
