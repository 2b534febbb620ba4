"""An image's name, read as container tools read it (github.com/distribution/reference). Pure."""

from __future__ import annotations

from dataclasses import dataclass

HUB = "docker.io"
_HUB_API = "registry-1.docker.io"
_HUB_OFFICIAL = "library"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Reference:
    """Where an image is.

    Parameters
    ----------
    host : str
        The registry, with its port if it has one of its own.
    repository : str
        The repository there.
    tag : str or None
        The tag; ``latest`` where the name has neither tag nor digest.
    digest : str or None
        ``sha256:…``, where the name has one.
    """

    host: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, name: str) -> Reference:
        """Return what a name stands for; it is one that `flowerbed.spec` took."""
        rest, _, digest = name.partition("@")
        first, slash, others = rest.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            host, path = first, others
        else:
            host, path = HUB, rest
        path, _, tag = path.partition(":")
        if host == HUB and "/" not in path:
            path = f"{_HUB_OFFICIAL}/{path}"
        return cls(host, path, tag or (None if digest else "latest"), digest or None)

    @property
    def api(self) -> str:
        """The URL below which the registry answers: HTTPS, but on this machine itself."""
        host = _HUB_API if self.host == HUB else self.host
        scheme = "http" if is_loopback(host) else "https"
        return f"{scheme}://{host}/v2"

    def url(self, rest: str) -> str:
        """Return the URL of something in the repository, such as ``manifests/1.2``."""
        return f"{self.api}/{self.repository}/{rest}"


def is_loopback(host: str) -> bool:
    """Tell whether a host, perhaps with a port, is this machine."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in _LOOPBACK
