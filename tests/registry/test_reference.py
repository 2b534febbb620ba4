"""Images' names are read as container tools read them."""

from __future__ import annotations

import pytest

from flowerbed.registry.reference import Reference

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("name", "place", "api"),
    [
        ("flwr/superlink:1.42.0", ("docker.io", "flwr/superlink", "1.42.0", None), "https://registry-1.docker.io/v2"),
        ("python", ("docker.io", "library/python", "latest", None), "https://registry-1.docker.io/v2"),
        ("registry.example/app:1", ("registry.example", "app", "1", None), "https://registry.example/v2"),
        (
            "registry.example:5000/a/b/c",
            ("registry.example:5000", "a/b/c", "latest", None),
            "https://registry.example:5000/v2",
        ),
        (f"registry.example/app@{DIGEST}", ("registry.example", "app", None, DIGEST), "https://registry.example/v2"),
        (f"team/app:2@{DIGEST}", ("docker.io", "team/app", "2", DIGEST), "https://registry-1.docker.io/v2"),
        ("localhost/app", ("localhost", "app", "latest", None), "http://localhost/v2"),
        ("127.0.0.1:5000/app:1", ("127.0.0.1:5000", "app", "1", None), "http://127.0.0.1:5000/v2"),
    ],
)
def test_a_name_is_a_place(name: str, place: tuple[str | None, ...], api: str) -> None:
    found = Reference.parse(name)
    assert (found.host, found.repository, found.tag, found.digest) == place
    assert found.api == api
