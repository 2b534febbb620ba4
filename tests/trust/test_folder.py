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
from flowerbed.trust import certificates, files, keys
from flowerbed.trust.folder import TrustFolder
from flowerbed.trust.layout import public_keys
from flowerbed_inside.unit import node_keys

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


def test_another_authority_takes_over_and_both_are_trusted_until_the_one_before_retires(trust: TrustFolder) -> None:
    make(trust)
    before = contents(trust)
    [old] = trust.authorities()

    rotate(trust)

    after = contents(trust)
    new, kept = trust.authorities()
    assert (kept, new == old) == (old, False)
    assert set(after) - set(before) == {"handover.crt"}
    assert {name for name in before if before[name] == after[name]} == {"superexec.secret"}
    assert {stat.S_IMODE((trust.root / name).stat().st_mode) for name in after} == {0o600}
    whole(trust)
    for name in ("superlink", "loopback"):
        leaf, handover = certificates.split(trust.certificate(name).read_bytes())
        assert certificates.signed_by(leaf, new, name)
        assert certificates.signed_by(handover, old, name)
        assert certificates.same_key(handover, new, name)
    rotate(trust)
    make(trust)
    assert contents(trust) == after  # one at a time

    trust.retire()

    assert trust.authorities() == [new]
    assert {name for name in after if after[name] != contents(trust)[name]} == {"ca.crt"}
    make(trust)
    whole(trust)


def rotate(trust: TrustFolder) -> None:
    trust.make_servers("study", (), now=NOW, random=secrets.token_bytes, new_authority=True)


def test_an_authority_is_replaced_when_a_third_of_its_time_is_left(trust: TrustFolder) -> None:
    make(trust)
    make(trust, now=NOW + timedelta(days=2400))
    [old] = trust.authorities()
    late = NOW + timedelta(days=2450)
    make(trust, now=late)
    new, _ = trust.authorities()
    said = certificates.describe(new, "")
    assert (new == old, said.not_after) == (False, late + timedelta(days=3650))
    whole(trust)


class KilledError(Exception):
    """Stands for a kill."""


def test_a_change_of_authority_that_was_killed_is_completed_wherever_that_was(
    trust: TrustFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(trust)
    first = contents(trust)
    write, unlink, steps = files.write, Path.unlink, 0
    while True:
        for path in trust.root.iterdir():
            path.unlink()
        for name, content in first.items():
            write(trust.root / name, content)
        left = steps

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KilledError

        def write_or_die(path: Path, content: bytes) -> None:
            step()
            write(path, content)

        def unlink_or_die(path: Path, missing_ok: bool = False) -> None:
            if path.name.startswith("next-ca"):
                step()
            unlink(path, missing_ok=missing_ok)

        monkeypatch.setattr(files, "write", write_or_die)
        monkeypatch.setattr(Path, "unlink", unlink_or_die)
        try:
            rotate(trust)
        except KilledError:
            killed = True
        else:
            killed = False
        monkeypatch.undo()
        make(trust)  # as `up` does
        whole(trust)
        begun = contents(trust)
        assert not any(name.startswith("next-ca") for name in begun)
        if begun["ca.crt"] == first["ca.crt"]:
            assert begun == first, "nothing had begun"
        else:
            assert len(trust.authorities()) == 2
            assert trust.authorities()[1] == first["ca.crt"]
            for name in ("superlink", "loopback"):
                assert trust.handover.read_bytes() in trust.certificate(name).read_bytes()
        if not killed:
            break
        steps += 1
    assert steps >= 10


def test_a_program_is_told_apart_by_what_it_reads_when_it_starts(trust: TrustFolder) -> None:
    make(trust)
    before = trust.versions()
    assert trust.versions() == before
    assert set(before) == {str(trust.root / name) for name in SERVERS if not name.endswith(".key")}
    trust.renew_secret(random=secrets.token_bytes)
    after = trust.versions()
    assert {path for path in before if before[path] != after[path]} == {str(trust.secret)}
    assert len(trust.secret.read_bytes()) == 32


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


def test_a_node_elsewhere_has_spare_keys_all_of_them_on_the_list(trust: TrustFolder) -> None:
    trust.make_nodes(["site-0"], random=secrets.token_bytes, external=["far-0"])
    first = contents(trust)
    trust.make_nodes(["site-0"], random=secrets.token_bytes, external=["far-0"])
    assert contents(trust) == first
    kept = node_keys.parse(trust.node_key("far-0").read_text())
    lines = [public.strip() for _, public in kept]
    assert len(set(lines)) == len(lines) == keys.SPARE_KEYS
    assert trust.node_public_key("far-0").read_text().splitlines() == lines
    registered = public_keys(trust.node_registered_key("far-0").read_text())
    assert registered == [keys.public_pem(private.encode(), "x").decode() for private, _ in kept]
    assert trust.node_list.read_text().strip().split(",") == [
        trust.node_public_key("site-0").read_text().strip(),
        *lines,
    ]

    trust.revoke_node("far-0")
    assert len(trust.node_list.read_text().split(",")) == 1
    assert public_keys(trust.revoked("far-0").read_text()) == registered
    trust.restore_node("far-0", random=secrets.token_bytes)
    fresh = node_keys.parse(trust.node_key("far-0").read_text())
    assert len(fresh) == keys.SPARE_KEYS
    assert not set(fresh) & set(kept)


@pytest.mark.parametrize("nodes", [[], ["far-0"]])
def test_the_keys_of_one_that_is_no_more_elsewhere_are_taken_back(trust: TrustFolder, nodes: list[str]) -> None:
    """It has left the file, or runs here now: a kit with its keys is still about."""
    trust.make_nodes([], random=secrets.token_bytes, external=["far-0"])
    given = trust.node_registered_key("far-0").read_text()
    trust.make_nodes(nodes, random=secrets.token_bytes)
    assert trust.former("far-0").read_text() == given
    assert [path.name for path in trust.nodes.glob("*.pub")] == [f"{node}.pub" for node in nodes]
    for node in nodes:
        [own] = public_keys(trust.node_registered_key(node).read_text())
        assert own not in given
        assert not trust.revoked(node).exists()


def test_one_that_moves_elsewhere_has_others_than_it_had_here(trust: TrustFolder) -> None:
    make_nodes(trust, "site-0")
    before = trust.node_key("site-0").read_text()
    trust.make_nodes([], random=secrets.token_bytes, external=["site-0"])
    assert len(node_keys.parse(trust.node_key("site-0").read_text())) == keys.SPARE_KEYS
    assert before not in trust.node_key("site-0").read_text()


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
