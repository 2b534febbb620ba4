"""What a federation on this machine trusts, made by `up`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowerbed.local import trusting
from flowerbed.local.layout import StateFolder
from flowerbed.spec.load import parse
from flowerbed.trust.folder import TrustFolder

FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: study}
spec: {supernodes: [{name: site}]}
"""


@pytest.mark.parametrize(("living", "trusted"), [(True, 2), (False, 1)])
def test_up_replaces_an_authority_that_is_due_and_where_nothing_runs_at_once(
    tmp_path: Path, living: bool, trusted: int
) -> None:
    federation = parse(FILE, "federation.yaml").federation
    folder = StateFolder(tmp_path)
    trust = TrustFolder(folder.trust.root)
    long_ago = datetime.now(UTC) - timedelta(days=2500)
    trust.make_servers("study", (), now=long_ago, random=secrets.token_bytes)
    [old] = trust.authorities()

    trusting.make(federation, folder, living=living)

    new, *before = trust.authorities()
    assert new != old
    assert before == [old] * (trusted - 1)
    names = ["ca", *(["ca-before"] if living else []), "superlink", "loopback"]
    assert [one.name for one in trusting.show(folder)] == names
    assert trusting.authority(folder).encode() == b"".join([new, *before])
