"""Makes the folder with everything that a federation trusts: thin, over `certificates`, `keys` and `files`.

Each file appears whole. A certificate and its key are two files: what a kill leaves half-made is noticed, because the
two do not belong together or one is missing, and made anew.

An authority is replaced in steps, and each leaves a federation in which everybody believes everybody:

1. `make_servers` makes the new one, and certificates by it. The bundle that programs trust when they start, ``ca.crt``,
   then holds both. Who was started before knows only the old one, and Flower's programs never read that file again
   (1.22 and 1.41: a SuperNode whose SuperLink comes back with a certificate of another authority stays away for good),
   so servers also show a certificate by which the old one vouches for the new one.
2. When no run goes on, all who were started before are started again.
3. `retire` takes the old one out of the bundle, and all are started again, to forget it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from flowerbed.errors import TrustError
from flowerbed.trust import certificates, files, keys
from flowerbed.trust.certificates import Described, Issued
from flowerbed.trust.keys import Random
from flowerbed.trust.layout import CA, LOOPBACK_SERVER, NEXT_CA, SUPERLINK, TrustLayout
from flowerbed.trust.servers import LOOPBACK, SERVER_DAYS


class TrustFolder(TrustLayout):
    """A federation's trust, and how it is made."""

    def make_servers(
        self,
        federation: str,
        names: Sequence[str],
        *,
        now: datetime,
        random: Random,
        renew: bool = False,
        new_authority: bool = False,
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
        new_authority : bool
            Have another authority take over, also if the one that is there is good; not while one is taking over.

        Raises
        ------
        TrustError
            If something that is there cannot be used.
        """
        with self._alone():
            authority = self._authority(federation, now, random, renew=new_authority)
            wanted = tuple(dict.fromkeys([*LOOPBACK, *names]))
            until = now + timedelta(days=SERVER_DAYS)
            leaf = self._server(SUPERLINK, authority, wanted, now, until, random, renew=renew)
            self._server(LOOPBACK_SERVER, authority, LOOPBACK, now, None, random)
            if not files.read(self.secret):
                files.write(self.secret, random(keys.SECRET_BYTES))
            return leaf

    def authorities(self) -> list[bytes]:
        """Return what the bundle holds: the authority's certificate, and while it takes over that of the one before."""
        return certificates.split(files.read(self.certificate(CA)) or b"")

    def retire(self) -> None:
        """Take the authority before this one out of the bundle: nobody may need it any more."""
        with self._alone():
            self._take_over()
            found = self.authorities()
            if len(found) > 1:
                files.write(self.certificate(CA), found[0])

    def renew_secret(self, *, random: Random) -> None:
        """Make another secret for SuperExecs; all who know the one before have to be started again."""
        with self._alone():
            files.write(self.secret, random(keys.SECRET_BYTES))

    def versions(self) -> dict[str, str]:
        """Return the files that programs read only when they start, and for each a text that changes with it."""
        paths = [self.certificate(CA), self.certificate(SUPERLINK), self.certificate(LOOPBACK_SERVER), self.secret]
        return {str(path): _version(files.read(path) or b"") for path in paths}

    def make_nodes(self, nodes: Sequence[str], *, random: Random, external: Sequence[str] = ()) -> None:
        """Make a key for each SuperNode that has none, and the list of those that may join.

        Who was revoked is in neither. One that ran elsewhere, and does so no more, leaves its keys behind as revoked.

        Parameters
        ----------
        nodes : sequence of str
            Those that run here.
        random : callable
            Gives random bytes.
        external : sequence of str
            Those that run elsewhere: each has several keys, as nobody there makes it a fresh one.

        Raises
        ------
        TrustError
            If a key that is there cannot be used.
        """
        with self._alone():
            files.make_folder(self.nodes)
            for path in self.nodes.glob("*.pub"):
                if path.stem not in external and len((files.read(path) or b"").splitlines()) > 1:
                    self._retire(path.stem)
            lines = []
            for node in [*nodes, *external]:
                if self.revoked(node).exists():
                    continue
                content = files.read(self.node_key(node))
                if content is None or (node in external and not self._is_external(node)):
                    content = self._new_keys(node, random, external=node in external)
                lines += self._write_public(node, content)
            files.write(self.node_list, b",".join(lines) + b"\n")

    def renew_node(self, node: str, *, random: Random) -> None:
        """Give a SuperNode a fresh key, in place of the one that it has; several if it had several."""
        with self._alone():
            self._write_public(node, self._new_keys(node, random, external=self._is_external(node)))

    def revoke_node(self, node: str) -> None:
        """Note that a SuperNode may join no more."""
        with self._alone():
            key = files.read(self.node_registered_key(node))
            files.make_folder(self.all_revoked)
            files.write(self.revoked(node), key or b"")
            lines = (files.read(self.node_public_key(node)) or b"").splitlines()
            listed = (files.read(self.node_list) or b"").strip().split(b",")
            files.write(self.node_list, b",".join(one for one in listed if one not in lines) + b"\n")

    def restore_node(self, node: str, *, random: Random) -> None:
        """Let a SuperNode join again, under a fresh key."""
        self.renew_node(node, random=random)
        self.revoked(node).unlink(missing_ok=True)

    def _is_external(self, node: str) -> bool:
        return len(keys.private_keys(files.read(self.node_key(node)) or b"")) > 1

    def _new_keys(self, node: str, random: Random, *, external: bool) -> bytes:
        content = keys.new_spare_keys(node, random) if external else keys.new_node_key(random)
        files.write(self.node_key(node), content)
        return content

    def _retire(self, node: str) -> None:
        files.make_folder(self.all_revoked)
        before = files.read(self.former(node)) or b""
        files.write(self.former(node), before + (files.read(self.node_registered_key(node)) or b""))
        for path in (self.node_registered_key(node), self.node_key(node), self.node_public_key(node)):
            path.unlink(missing_ok=True)  # that by which it was found goes last

    def _write_public(self, node: str, content: bytes) -> list[bytes]:
        where = str(self.node_key(node))
        private = keys.private_keys(content) or [content]  # one that is no key is told of below
        lines = [keys.public_line(key, where) for key in private]
        forms = (
            (self.node_public_key(node), b"".join(line + b"\n" for line in lines)),
            (self.node_registered_key(node), b"".join(keys.public_pem(key, where) for key in private)),
        )
        for path, form in forms:
            if files.read(path) != form:
                files.write(path, form)
        return lines

    def _authority(self, federation: str, now: datetime, random: Random, *, renew: bool) -> Issued:
        self._take_over()
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
        if (renew or said.due(now)) and len(self.authorities()) == 1:
            made = certificates.new_authority(federation, now=now, random=random)
            handover = certificates.hand_over(there, made.certificate, now=now, random=random)
            files.write(self.key(NEXT_CA), made.key)
            files.write(self.certificate(NEXT_CA), made.certificate + handover)  # with it there is no way back
            self._take_over()
            return made
        return there

    def _take_over(self) -> None:
        """Put the next authority, if there is one, in place of this one; may be begun again after a kill."""
        certificate, key = files.read(self.certificate(NEXT_CA)), files.read(self.key(NEXT_CA))
        if certificate is not None and key is not None:
            new, handover = certificates.split(certificate)
            files.write(self.handover, handover)
            files.write(self.key(CA), key)
            before = [one for one in self.authorities() if one != new]
            files.write(self.certificate(CA), b"".join([new, *before]))
        self.certificate(NEXT_CA).unlink(missing_ok=True)
        self.key(NEXT_CA).unlink(missing_ok=True)

    def _chain(self, authority: Issued, now: datetime) -> bytes:
        """Return what servers show beside their own certificates."""
        handover = files.read(self.handover)
        if handover is None:
            return b""
        where = str(self.handover)
        good = certificates.describe(handover, where).not_after > now
        return handover if good and certificates.same_key(handover, authority.certificate, where) else b""

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
            lasts = until is None or not said.due(now)
            if lasts and certificates.serves(there, authority.certificate, names, path):
                return said
        made = certificates.issue(authority, names, now=now, until=until, random=random)
        return self._replace(name, Issued(made.certificate + self._chain(authority, now), made.key))

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


def _version(content: bytes) -> str:
    """Return what tells a file's content from another; it says nothing of a secret, which is random and long."""
    return hashlib.sha256(b"flowerbed: which one\0" + content).hexdigest()[:16]


_START_OVER = "To start over, take the federation down and move the trust folder away; `flowerbed up` makes a new one."
