"""Keys, certificates and kubeconfigs of one cluster, made with openssl when it starts and gone when it ends."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """The certificate authority of one cluster.

    Parameters
    ----------
    folder : Path
        Where keys and certificates are kept: ``NAME.key`` and ``NAME.crt``.
    """

    folder: Path

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self.folder / "ca.crt"

    def found(self) -> None:
        """Make the authority, and the key pair that signs service accounts' tokens."""
        self.folder.mkdir(mode=0o700, parents=True)
        self._openssl(
            *self._new("ca", "/CN=flowerbed-cluster"), "-addext", "keyUsage=critical,keyCertSign,digitalSignature"
        )
        self._openssl("genrsa", "-out", "service-accounts.key", "2048")
        self._openssl("rsa", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub")

    def issue(self, name: str, subject: str, names: list[str] | None = None) -> None:
        """Issue a certificate: a server's with its `names` (``DNS:…``, ``IP:…``), a client's without."""
        usage = "serverAuth,clientAuth" if names else "clientAuth"
        extensions = ["basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usage}"]
        if names:
            extensions.append(f"subjectAltName={','.join(names)}")
        signed = ["-CA", "ca.crt", "-CAkey", "ca.key"]
        self._openssl(*self._new(name, subject), *signed, *(word for one in extensions for word in ("-addext", one)))

    def kubeconfig(self, path: Path, server: str, name: str) -> Path:
        """Write a kubeconfig, complete in itself, for the holder of the certificate `name`."""
        cluster = {"server": server, "certificate-authority-data": _base64(self.certificate)}
        user = {
            "client-certificate-data": _base64(self.folder / f"{name}.crt"),
            "client-key-data": _base64(self.folder / f"{name}.key"),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "flowerbed", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "flowerbed", "context": {"cluster": "flowerbed", "user": name}}],
            "current-context": "flowerbed",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path

    def _new(self, name: str, subject: str) -> list[str]:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
        return ["req", "-x509", *key, "-out", f"{name}.crt", "-subj", subject, "-days", "30"]

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
