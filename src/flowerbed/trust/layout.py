"""Where the files of a federation's trust are; `folder` makes them.

::

    trust/
    ├── ca.crt, ca.key              the authority; whoever holds the key can be any server of the federation; while
    │                               it takes over, the certificate of the one before follows
    ├── handover.crt                by which the authority before this one vouches for it, once there was one
    ├── next-ca.crt, .key           the next authority, for the moment in which it takes over
    ├── superlink.crt, .key         the SuperLink's certificate, for its names
    ├── loopback.crt, .key          that of SuperNodes' own API, for this machine only
    ├── superexec.secret            what SuperExecs sign with
    ├── nodes.csv                   public keys of the SuperNodes that may join, for Flower 1.22
    ├── nodes/NAME, .pub, .pem      each SuperNode's key: private, public, and public as a SuperLink is told of it;
    │                               several of them, one after the other, for one that runs elsewhere
    └── revoked/NAME                the public keys of a SuperNode that may join no more, or (NAME.former) that is gone

Apart from `folder`, because whoever only names files needs no cryptography, which takes 22 MB of memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CA = "ca"
NEXT_CA = "next-ca"
HANDOVER = "handover"
SUPERLINK = "superlink"
LOOPBACK_SERVER = "loopback"

_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----\n.+?-----END PUBLIC KEY-----\n", re.DOTALL)


@dataclass(frozen=True)
class TrustLayout:
    """Where a federation's trust lies.

    Parameters
    ----------
    root : Path
        The folder.
    """

    root: Path

    def certificate(self, name: str) -> Path:
        """Return where a certificate is."""
        return self.root / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return where a certificate's key is."""
        return self.root / f"{name}.key"

    @property
    def handover(self) -> Path:
        """By which the authority before this one vouches for it; there is none before the first change."""
        return self.certificate(HANDOVER)

    @property
    def secret(self) -> Path:
        """What SuperExecs sign with."""
        return self.root / "superexec.secret"

    @property
    def node_list(self) -> Path:
        """The public keys of the SuperNodes that may join."""
        return self.root / "nodes.csv"

    @property
    def nodes(self) -> Path:
        """The folder with the keys of SuperNodes."""
        return self.root / "nodes"

    def node_key(self, node: str) -> Path:
        """Return where a SuperNode's private key is."""
        return self.nodes / node

    def node_public_key(self, node: str) -> Path:
        """Return where the public half of a SuperNode's key is."""
        return self.nodes / f"{node}.pub"

    def node_registered_key(self, node: str) -> Path:
        """Return where the public half is as a SuperLink is told of it."""
        return self.nodes / f"{node}.pem"

    @property
    def all_revoked(self) -> Path:
        """The folder with what is known of SuperNodes that may join no more."""
        return self.root / "revoked"

    def revoked(self, node: str) -> Path:
        """Return what exists while a SuperNode may not join: the key that it had, as a SuperLink is told of it."""
        return self.all_revoked / node

    def former(self, node: str) -> Path:
        """Return what has the keys of a SuperNode that ran elsewhere and that the file has no more."""
        return self.all_revoked / f"{node}.former"


def public_keys(text: str) -> list[str]:
    """Return the public keys that a text holds one after the other, each as a SuperLink is told of it."""
    return _PUBLIC.findall(text)
