"""Where the files of a federation's trust are; `folder` makes them.

::

    trust/
    ├── ca.crt, ca.key              the authority; whoever holds the key can be any server of the federation
    ├── superlink.crt, .key         the SuperLink's certificate, for its names
    ├── loopback.crt, .key          that of SuperNodes' own API, for this machine only
    ├── superexec.secret            what SuperExecs sign with
    ├── nodes.csv                   public keys of the SuperNodes that may join, for Flower 1.22
    ├── nodes/NAME, .pub, .pem      each SuperNode's key: private, public, and public as a SuperLink is told of it
    └── revoked/NAME                the public key of a SuperNode that may join no more

Apart from `folder`, because whoever only names files needs no cryptography, which takes 22 MB of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CA = "ca"
SUPERLINK = "superlink"
LOOPBACK_SERVER = "loopback"


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
