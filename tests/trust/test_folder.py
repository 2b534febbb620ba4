"""The trust folder: made once, kept, mended after a kill, and refused when others can read it."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowerbed.errors import TrustError
from flowerbed.trust import certificates, files
from flowerbed.trust.folder import TrustFolder

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SERVERS = ("ca.crt", "ca.key", "superlink.crt", "superlink.key", "loopback.crt", "loopback.key", "superexec.secret")


def make(folder: TrustFolder, *names: str, now: datetime = NOW) -> certificates.Described:
    return folder.make_servers("study", names, now=now, random=secrets.token_bytes)


def make_nodes(folder: TrustFolder, *nodes: str) -> None:
    folder.make_nodes(nodes, random=secrets.token_bytes)


def make_all(trust: TrustFolder) -> None:
    make(trust)
    make_nodes(trust, "site-0")


@pytest.fixture
def trust(tmp_path: Path) -> TrustFolder:
    return TrustFolder(tmp_path / "trust")


def contents(trust: TrustFolder) -> dict[str, bytes]:
    return {str(path.relative_to(trust.root)): path.read_bytes() for path in trust.root.rglob("*") if path.is_file()}


def test_everything_is_made_for_its_owner_only(trust: TrustFolder) -> None:
    before = os.umask(0)
    try:
        make(trust)
        make_nodes(trust, "site-0", "site-1")
    finally:
        os.umask(before)
    made = {"nodes.csv", *SERVERS, *(f"nodes/site-{number}{end}" for number in (0, 1) for end in ("", ".pub", ".pem"))}
    assert set(contents(trust)) == made
    assert {stat.S_IMODE((trust.root / name).stat().st_mode) for name in made} == {0o600}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (trust.root, trust.root / "nodes")} == {0o700}
    lines = (trust.root / "nodes.csv").read_text().strip().split(",")
    assert lines == [(trust.root / "nodes" / f"site-{number}.pub").read_text().strip() for number in (0, 1)]


def test_a_second_time_changes_nothing(trust: TrustFolder) -> None:
    for _ in range(2):
        make(trust, "fl.example.org")
        make_nodes(trust, "site-0")
        first = contents(trust)
    assert contents(trust) == first
    make(trust, "fl.example.org", now=NOW + timedelta(days=59))
    assert contents(trust) == first


def test_the_superlinks_certificate_alone_is_renewed_when_it_is_due(trust: TrustFolder) -> None:
    made = make(trust)
    before = contents(trust)
    renewed = make(trust, now=NOW + timedelta(days=61))
    assert renewed.not_after == NOW + timedelta(days=151)
    assert renewed.fingerprint != made.fingerprint
    after = contents(trust)
    assert {name for name in before if before[name] != after[name]} == {"superlink.crt", "superlink.key"}


def test_another_name_makes_another_certificate(trust: TrustFolder) -> None:
    make(trust)
    assert make(trust, "fl.example.org", "10.0.0.7").names == (
        "localhost",
        "127.0.0.1",
        "::1",
        "fl.example.org",
        "10.0.0.7",
    )


@pytest.mark.parametrize("missing", ["superlink.crt", "superlink.key", "loopback.crt", "loopback.key"])
def test_a_half_of_a_pair_is_made_anew(trust: TrustFolder, missing: str) -> None:
    make(trust)
    (trust.root / missing).unlink()
    make(trust)
    whole(trust)


@pytest.mark.parametrize("name", ["superlink", "loopback"])
def test_a_pair_that_does_not_belong_together_is_made_anew(trust: TrustFolder, name: str) -> None:
    make(trust)
    before = trust.key(name).read_bytes()
    other = TrustFolder(trust.root.parent / "other")
    make(other)
    trust.key(name).write_bytes(other.key(name).read_bytes())
    make(trust)
    assert trust.key(name).read_bytes() not in (before, other.key(name).read_bytes())
    whole(trust)


def test_a_certificate_of_another_authority_is_made_anew(trust: TrustFolder) -> None:
    make(trust)
    other = TrustFolder(trust.root.parent / "other")
    make(other)
    for path in (trust.certificate("superlink"), trust.key("superlink")):
        path.write_bytes((other.root / path.name).read_bytes())
    make(trust)
    whole(trust)


def whole(trust: TrustFolder) -> None:
    """Check that everything is there and fits."""
    ca = trust.certificate("ca").read_bytes()
    for name in ("ca", "superlink", "loopback"):
        issued = certificates.Issued(trust.certificate(name).read_bytes(), trust.key(name).read_bytes())
        assert certificates.belong_together(issued, name)
        assert certificates.signed_by(issued.certificate, ca, name)
    assert len((trust.root / "superexec.secret").read_bytes()) == 32


def test_an_authority_without_its_certificate_was_never_finished(trust: TrustFolder) -> None:
    make(trust)
    trust.certificate("ca").unlink()
    make(trust)
    whole(trust)


def test_an_authority_without_its_key_is_told(trust: TrustFolder) -> None:
    make(trust)
    trust.key("ca").unlink()
    with pytest.raises(TrustError, match=r"ca\.key: the authority's key is gone\nTo start over, take"):
        make(trust)


def test_another_key_of_the_authority_is_told(trust: TrustFolder) -> None:
    make(trust)
    trust.key("ca").write_bytes(trust.key("superlink").read_bytes())
    with pytest.raises(TrustError, match=r"ca\.key: is not the key of the certificate beside it"):
        make(trust)


@pytest.mark.parametrize("now", [NOW - timedelta(days=1), NOW + timedelta(days=3651)])
def test_an_authority_that_is_not_good_now_is_told(trust: TrustFolder, now: datetime) -> None:
    make(trust)
    with pytest.raises(TrustError, match="good from 2029-12-31 to 2039-12-30"):
        make(trust, now=now)


@pytest.mark.parametrize("name", ["ca.key", "superlink.key", "superexec.secret", "nodes/site-0"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(trust: TrustFolder, name: str, mode: int) -> None:
    make(trust)
    make_nodes(trust, "site-0")
    path = trust.root / name
    path.chmod(mode)
    with pytest.raises(TrustError) as caught:
        make_all(trust)
    assert str(caught.value) == (
        f"{path}: can be read by others: its mode is {mode:04o}\n"
        f"Whoever may have read it knows the key. If nobody has: chmod 600 {path}"
    )


def test_a_folder_that_others_can_enter_is_refused(trust: TrustFolder) -> None:
    make(trust)
    trust.root.chmod(0o755)
    with pytest.raises(TrustError, match="its mode is 0755"):
        make(trust)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_key_is_refused(trust: TrustFolder) -> None:
    make(trust)
    os.chown(trust.key("ca"), 12345, -1)
    with pytest.raises(TrustError, match=r"ca\.key: belongs to the user with the number 12345"):
        make(trust)


def test_a_link_is_not_followed(trust: TrustFolder, tmp_path: Path) -> None:
    make(trust)
    elsewhere = tmp_path / "elsewhere"
    trust.key("ca").rename(elsewhere)
    trust.key("ca").symlink_to(elsewhere)
    with pytest.raises(TrustError, match="cannot be read: Too many levels of symbolic links"):
        make(trust)


def test_a_pipe_is_no_key_and_keeps_nobody_waiting(trust: TrustFolder) -> None:
    make(trust)
    trust.key("ca").unlink()
    os.mkfifo(trust.key("ca"), 0o600)
    with pytest.raises(TrustError, match="is no plain file"):
        make(trust)


def public(trust: TrustFolder, node: str) -> tuple[bytes, bytes]:
    return trust.node_public_key(node).read_bytes(), trust.node_registered_key(node).read_bytes()


def test_a_node_keeps_its_key_until_it_is_given_another(trust: TrustFolder) -> None:
    make_nodes(trust, "site-0", "site-1")
    before = {node: public(trust, node) for node in ("site-0", "site-1")}
    trust.renew_node("site-0", random=secrets.token_bytes)
    make_nodes(trust, "site-0", "site-1")
    assert public(trust, "site-0") != before["site-0"]
    assert public(trust, "site-1") == before["site-1"]
    assert not set(public(trust, "site-0")) & set(before["site-0"])


def test_a_revoked_node_is_not_on_the_list_until_it_is_restored_with_another_key(trust: TrustFolder) -> None:
    make_nodes(trust, "site-0", "site-1")
    before = public(trust, "site-0")
    trust.revoke_node("site-0")
    assert trust.node_list.read_bytes() == trust.node_public_key("site-1").read_bytes()
    make_nodes(trust, "site-0", "site-1")
    assert trust.revoked("site-0").read_bytes() == before[1]
    assert trust.node_list.read_bytes() == trust.node_public_key("site-1").read_bytes()
    assert stat.S_IMODE(trust.all_revoked.stat().st_mode) == 0o700

    trust.restore_node("site-0", random=secrets.token_bytes)
    make_nodes(trust, "site-0", "site-1")
    assert not trust.revoked("site-0").exists()
    assert not set(public(trust, "site-0")) & set(before)
    assert len(trust.node_list.read_text().split(",")) == 2


def test_a_certificate_can_be_renewed_before_it_is_due(trust: TrustFolder) -> None:
    make(trust)
    before = contents(trust)
    trust.make_servers("study", (), now=NOW, random=secrets.token_bytes, renew=True)
    after = contents(trust)
    assert {name for name in before if before[name] != after[name]} == {"superlink.crt", "superlink.key"}
    whole(trust)


def test_a_foreign_half_of_a_nodes_key_is_mended(trust: TrustFolder) -> None:
    make_nodes(trust, "site-0", "site-1")
    nodes = trust.root / "nodes"
    right = contents(trust)
    for end in (".pub", ".pem"):
        (nodes / f"site-0{end}").write_bytes((nodes / f"site-1{end}").read_bytes())
    make_nodes(trust, "site-0", "site-1")
    assert contents(trust) == right


def test_a_full_or_forbidden_folder_is_told(trust: TrustFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    make(trust)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrustError, match=r"superlink\.key: cannot be written: No space left on device"):
        make(trust, "fl.example.org")
    monkeypatch.undo()
    make(trust, "fl.example.org")
    whole(trust)


KILLED = """
import os, secrets, sys, signal
from datetime import UTC, datetime
from pathlib import Path
from flowerbed.trust import files
from flowerbed.trust.folder import TrustFolder
left = int(sys.argv[2])
replace, write = Path.replace, os.fdopen
def cut(self, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = cut
trust = TrustFolder(Path(sys.argv[1]))
trust.make_servers("study", [], now=datetime(2030, 1, 1, tzinfo=UTC), random=secrets.token_bytes)
trust.make_nodes(["site-0"], random=secrets.token_bytes)
"""


@pytest.mark.parametrize("writes", range(12))
def test_killed_between_any_two_files_the_next_time_makes_it_whole(trust: TrustFolder, writes: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(trust.root), str(writes)], check=False)
    assert done.returncode == (-signal.SIGKILL if writes < 11 else 0)
    make(trust)
    make_nodes(trust, "site-0")
    whole(trust)
    assert set(contents(trust)) == {"nodes.csv", "nodes/site-0", "nodes/site-0.pub", "nodes/site-0.pem", *SERVERS}


def test_two_at_once_make_the_same(trust: TrustFolder) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=make, args=(trust,)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [one.exitcode for one in both] == [0, 0]
    first = contents(trust)
    make(trust)
    assert contents(trust) == first
    whole(trust)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.read(path) is None
    files.write(path, b"one")
    files.write(path, b"two")
    assert files.read(path) == b"two"
    assert list(tmp_path.iterdir()) == [path]
