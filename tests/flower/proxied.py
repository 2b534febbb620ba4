"""A federation started by hand whose SuperLink is reached through nginx, as in a Pod, and callers of both."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from by_hand import HOST, PATIENCE, Client, Federation, environment, eventually
from trusted import EVERYTHING, NOW, files_of, public_key, trust_folder

from control_calls import CALL, METHODS
from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.values import Address, Trusted, Value
from flowerbed.kubernetes.manifests.nginx import CLIENT_ORGANISATION, Listener, Tls, proxy
from flowerbed.trust import certificates, files
from flowerbed.trust.certificates import Issued
from flowerbed.trust.folder import TrustFolder
from free_ports import free_port


def methods(python: Path, home: Path) -> list[str]:
    """Return the paths of all methods that a release knows of."""
    done = subprocess.run(
        [python, "-c", METHODS], env=environment(home), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return [line for line in done.stdout.splitlines() if line.startswith("/")]


class Proxied(Federation):
    """A federation whose programs reach the SuperLink through nginx only."""

    def __init__(self, release: str, folder: Path, trust: TrustFolder) -> None:
        super().__init__(release, folder, EVERYTHING, files_of(trust, "known"))
        self.trust = trust
        self.doors = {api: free_port() for api in Api}
        self.health = free_port()
        self.nginx: subprocess.Popen[bytes] | None = None

    @property
    def authority(self) -> Issued:
        """Who signs for this federation."""
        return Issued(self.trust.certificate("ca").read_bytes(), self.trust.key("ca").read_bytes())

    def door(self, api: Api) -> str:
        """Return where an API is reached."""
        return f"{HOST}:{self.doors[api]}"

    def protocol(self, api: Api) -> str:
        """Return how it is spoken there."""
        return apis.port(self.row, api).protocol

    def proxy(self) -> None:
        """Start nginx, and return when it listens."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        tls = Tls(*(str(self.trusted[what]) for what in _SHOWN))
        listeners = [
            Listener(
                self.door(api),
                f"{HOST}:{self._port('superlink', apis.port(self.row, api).name)}",
                apis.port(self.row, api).protocol,
                apis.prefix(self.row, api),
                tls if apis.has_tls(self.row, api, self.protection) else None,
                clients_only=api is Api.CONTROL,
            )
            for api in Api
        ]
        file = self.folder / "nginx.conf"
        file.write_text(proxy(listeners, health=f"{HOST}:{self.health}", scratch=str(scratch)))
        self.nginx = start_nginx(file, self.folder / "nginx.log")
        self._wait_for_port(self.health)

    def client(self, own: tuple[Path, Path] | None) -> Client:
        """Return a client of Control that shows a certificate."""
        authority = self.trusted[Trusted.AUTHORITY]
        home = self.folder / "client"
        return Client(self.release, self.door(Api.CONTROL), home=home, authority=authority, own=own)

    def certificate(self, authority: Issued | None = None, *, until: datetime | None = None) -> tuple[Path, Path]:
        """Return the files of a fresh certificate for Control."""
        issued = certificates.issue_client(
            authority or self.authority,
            "test",
            CLIENT_ORGANISATION,
            now=NOW - timedelta(days=2),
            until=until or NOW + timedelta(days=2),
            random=secrets.token_bytes,
        )
        return self.write(issued)

    def write(self, issued: Issued) -> tuple[Path, Path]:
        """Write a certificate and its key."""
        at = self.folder / secrets.token_hex(4)
        made = at.with_suffix(".crt"), at.with_suffix(".key")
        files.write(made[0], issued.certificate)
        files.write(made[1], issued.key)
        return made

    def call(self, api: Api, paths: list[str], own: tuple[Path, Path] | None = None) -> dict[str, str]:
        """Call methods through one API's door; return what came of each."""
        tls = apis.has_tls(self.row, api, self.protection)
        authority = self.trusted[Trusted.AUTHORITY].read_text() if tls else ""
        done = subprocess.run(
            [self.python, "-c", CALL, self.protocol(api), self.door(api), *map(str, own or ())],
            input=json.dumps({"paths": paths, "authority": authority}),
            env=environment(self.folder / "caller"),
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
            text=True,
            check=True,
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def join(self) -> None:
        """Let the SuperNode in and start it with the SuperExec of its ClientApps."""
        direct = Client(
            self.release,
            self.control,
            home=self.folder / "direct",
            database=self.database,
            authority=self.trusted[Trusted.AUTHORITY],
        )
        try:
            direct.ask("runs")
            direct.ask("admit", key=public_key(self), replaces=None)
            self.supernode()
            self.clientapps()
            eventually(lambda: [node["online"] for node in direct.ask("nodes")] == [True])
        finally:
            direct.close()

    def close(self) -> None:
        """End everything."""
        super().close()
        if self.nginx is not None:
            self.nginx.terminate()
            self.nginx.wait(PATIENCE)

    def _resolve(self, name: str, value: Value) -> str:
        if isinstance(value, Address) and value.component == "superlink":
            return self.door(Api.RUNTIME if name == "serverapps" else Api.FLEET)
        return super()._resolve(name, value)


_SHOWN = (Trusted.SUPERLINK_CERTIFICATE, Trusted.SUPERLINK_KEY, Trusted.AUTHORITY, Trusted.AUTHORITY)


def start_nginx(file: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start nginx as a Pod does."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert nginx is not None, "apt-get install nginx-light"
    as_who = ["-g", "user root;"] if os.geteuid() == 0 else []  # in a Pod it is nobody from the start
    with log.open("ab") as said:
        return subprocess.Popen(
            [nginx, "-e", "stderr", "-c", str(file), *as_who], stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )


@contextmanager
def proxied(release: str, folder: Path) -> Iterator[Proxied]:
    """A federation with a SuperLink behind nginx, and nothing else running yet."""
    running = Proxied(release, folder / "federation", trust_folder(folder))
    try:
        running.superlink()
        running.proxy()
        yield running
    finally:
        running.close()
        for log in sorted((folder / "federation").glob("*.log")):  # pytest shows it only after a failure
            print(f"---- {log.name}\n{log.read_text(errors='replace')[-3000:]}")


def connected(address: str) -> socket.socket:
    """Return a TCP connection."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def over_tls(address: str, authority: Path, *protocols: str, own: Path | None = None) -> ssl.SSLSocket:
    """Return a TLS connection on which nothing was said."""
    context = ssl.create_default_context(cafile=authority)
    if own is not None:
        context.load_cert_chain(own)
    context.set_alpn_protocols(list(protocols or ("h2", "http/1.1")))
    return context.wrap_socket(connected(address), server_hostname=HOST)
