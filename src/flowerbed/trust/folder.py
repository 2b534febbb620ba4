"""Makes the folder with everything that a federation trusts: thin, over `certificates`, `keys` and `files`.

Each file appears whole. A certificate and its key are two files: what a kill leaves half-made is noticed, because the
two do not belong together or one is missing, and made anew.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from flowerbed.errors import TrustError
from flowerbed.trust import certificates, files, keys
from flowerbed.trust.certificates import LOOPBACK, SERVER_DAYS, Described, Issued
from flowerbed.trust.keys import Random
from flowerbed.trust.layout import CA, LOOPBACK_SERVER, SUPERLINK, TrustLayout


class TrustFolder(TrustLayout):
    """A federation's trust, and how it is made."""

    def make_servers(
        self, federation: str, names: Sequence[str], *, now: datetime, random: Random, renew: bool = False
    ) -> Described:
        """Make what TLS and SuperExecs need, as far as it is missing or due; return the SuperLink's certificate.

        Parameters
        ----------
        federation : str
            The federation's name.
        names : sequence of str
            What the SuperLink is called, beside its names on this machine.
        now : datetime
            The time, in UTC.
        random : callable
            Gives random bytes.
        renew : bool
            Make another certificate for the SuperLink, also if the one that is there is good.

        Raises
        ------
        TrustError
            If something that is there cannot be used.
        """
        with self._alone():
            authority = self._authority(federation, now, random)
            wanted = tuple(dict.fromkeys([*LOOPBACK, *names]))
            until = now + timedelta(days=SERVER_DAYS)
            leaf = self._server(SUPERLINK, authority, wanted, now, until, random, renew=renew)
            self._server(LOOPBACK_SERVER, authority, LOOPBACK, now, None, random)
            if not files.read(self.secret):
                files.write(self.secret, random(keys.SECRET_BYTES))
            return leaf

    def make_nodes(self, nodes: Sequence[str], *, random: Random) -> None:
        """Make a key for each SuperNode that has none, and the list of those that may join.

        Who was revoked is in neither.

        Raises
        ------
        TrustError
            If a key that is there cannot be used.
        """
        with self._alone():
            files.make_folder(self.nodes)
            lines = []
            for node in nodes:
                if self.revoked(node).exists():
                    continue
                private = files.read(self.node_key(node))
                if private is None:
                    private = keys.new_node_key(random)
                    files.write(self.node_key(node), private)
                lines.append(self._write_public(node, private))
            files.write(self.node_list, b",".join(lines) + b"\n")

    def renew_node(self, node: str, *, random: Random) -> None:
        """Give a SuperNode a fresh key, in place of the one that it has."""
        with self._alone():
            private = keys.new_node_key(random)
            files.write(self.node_key(node), private)
            self._write_public(node, private)

    def revoke_node(self, node: str) -> None:
        """Note that a SuperNode may join no more."""
        with self._alone():
            key = files.read(self.node_registered_key(node))
            files.make_folder(self.all_revoked)
            files.write(self.revoked(node), key or b"")
            line = files.read(self.node_public_key(node)) or b""
            listed = (files.read(self.node_list) or b"").strip().split(b",")
            files.write(self.node_list, b",".join(one for one in listed if one != line.strip()) + b"\n")

    def restore_node(self, node: str, *, random: Random) -> None:
        """Let a SuperNode join again, under a fresh key."""
        self.renew_node(node, random=random)
        self.revoked(node).unlink(missing_ok=True)

    def _write_public(self, node: str, private: bytes) -> bytes:
        where = str(self.node_key(node))
        line = keys.public_line(private, where)
        forms = (
            (self.node_public_key(node), line + b"\n"),
            (self.node_registered_key(node), keys.public_pem(private, where)),
        )
        for path, content in forms:
            if files.read(path) != content:
                files.write(path, content)
        return line

    def _authority(self, federation: str, now: datetime, random: Random) -> Issued:
        there = self._read(CA)
        path = str(self.certificate(CA))
        if there is None:
            made = certificates.new_authority(federation, now=now, random=random)
            files.write(self.key(CA), made.key)  # the certificate last: with it there is an authority
            files.write(self.certificate(CA), made.certificate)
            return made
        if not certificates.belong_together(there, str(self.key(CA))):
            raise TrustError("is not the key of the certificate beside it", where=str(self.key(CA)), hint=_START_OVER)
        said = certificates.describe(there.certificate, path)
        if not said.not_before <= now < said.not_after:
            raise TrustError(
                f"the federation's authority is good from {said.not_before:%Y-%m-%d} to {said.not_after:%Y-%m-%d}",
                where=path,
                hint=f"Set this machine's clock, if it is wrong. {_START_OVER}",
            )
        return there

    def _server(
        self,
        name: str,
        authority: Issued,
        names: Sequence[str],
        now: datetime,
        until: datetime | None,
        random: Random,
        *,
        renew: bool = False,
    ) -> Described:
        there = self._read(name)
        path = str(self.certificate(name))
        if there is not None and not renew:
            said = certificates.describe(there.certificate, path)
            whole = certificates.belong_together(there, str(self.key(name)))
            ours = certificates.signed_by(there.certificate, authority.certificate, path)
            if whole and ours and said.names == tuple(names) and not (until is not None and said.due(now)):
                return said
        return self._replace(name, certificates.issue(authority, names, now=now, until=until, random=random))

    def _replace(self, name: str, made: Issued) -> Described:
        files.write(self.key(name), made.key)
        files.write(self.certificate(name), made.certificate)
        return certificates.describe(made.certificate, str(self.certificate(name)))

    def _read(self, name: str) -> Issued | None:
        certificate, key = files.read(self.certificate(name)), files.read(self.key(name))
        if certificate is None:
            return None
        if key is None:
            if name == CA:
                raise TrustError("the authority's key is gone", where=str(self.key(CA)), hint=_START_OVER)
            return None
        return Issued(certificate, key)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder: of two commands at once, the second finds what the first has made."""
        files.make_folder(self.root)
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for folder in (self.root, self.nodes, self.all_revoked):
                files.clear_away_halves(folder)
            yield
        finally:
            os.close(descriptor)


_START_OVER = "To start over, take the federation down and move the trust folder away; `flowerbed up` makes a new one."
