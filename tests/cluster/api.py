"""A client for the API server: as small as the harness needs, so that it starts without kubectl's pause for thought."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

# JSON objects of the Kubernetes API are read by path where they are used.
Object = dict[str, Any]


class Api:
    """Talks to the API server that a kubeconfig names.

    Parameters
    ----------
    kubeconfig : Path
        One that the harness wrote (`cluster.pki.Authority.kubeconfig`).
    """

    def __init__(self, kubeconfig: Path) -> None:
        content = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster = content["clusters"][0]["cluster"]
        user = content["users"][0]["user"]
        self._server: str = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile("wb") as pair:  # the ssl module takes a client's certificate only from a file
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        # The way to the cluster is a cable of its own: a proxy of the machine has no part in it.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def ready(self) -> bool:
        """Tell whether the API server says that it is ready."""
        try:
            self._ask("GET", "/readyz")
        except OSError:
            return False
        return True

    def get(self, path: str) -> Object | None:
        """Return an object or a list, or None if there is none."""
        try:
            return self._json("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def log(self, namespace: str, pod: str) -> str:
        """Return what a Pod's one container has written; nothing while it has not started, or if there is no Pod."""
        try:
            return self._ask("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/log").decode()
        except urllib.error.HTTPError as error:
            if error.code in {400, 404}:
                return ""
            raise

    def create(self, path: str, content: object) -> None:
        """Create an object; one that is there already stays as it is."""
        try:
            self._ask("POST", path, content)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise

    def delete(self, path: str) -> None:
        """Delete an object, if it is still there."""
        try:
            self._ask("DELETE", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def _json(self, method: str, path: str) -> Object:
        answer: Object = json.loads(self._ask(method, path))
        return answer

    def _ask(self, method: str, path: str, content: object = None) -> bytes:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._server + path, body, headers, method=method)  # noqa: S310 - https
        with self._opener.open(request, timeout=30) as answer:
            read: bytes = answer.read()
            return read
