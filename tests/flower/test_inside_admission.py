"""A SuperLink's unit tells it who may join and who no more: while it lives, and after it was away. All is real."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from by_hand import RELEASES, eventually
from trusted import EVERYTHING, client_of, files_of, protected, public_key, trust_folder
from units import FederationInUnits

from flowerbed.flower.values import Trusted
from flowerbed.trust import keys

pytestmark = [pytest.mark.flower, pytest.mark.timeout(600)]  # the first run on a machine installs Flower


def a_key() -> str:
    return keys.public_pem(keys.new_node_key(secrets.token_bytes), "a test").decode()


@pytest.mark.parametrize("release", RELEASES)
def test_a_superlink_hears_who_may_join_no_more_also_when_it_was_away(release: str, tmp_path: Path) -> None:
    trusted = files_of(trust_folder(tmp_path / "bed"), "known")
    federation = FederationInUnits(release, tmp_path / "bed" / "federation", EVERYTHING, trusted)
    near, far, away = public_key(federation), a_key(), a_key()
    may_join, no_more = tmp_path / "nodes.json", tmp_path / "revoked.json"
    options = ["--root-certificates", str(trusted[Trusted.AUTHORITY]), "--database", str(federation.database)]
    options += ["--register-nodes", str(may_join), "--dismiss-nodes", str(no_more)]

    may_join.write_text(json.dumps({"near-0": [near], "far-0": [far], "far-1": [away]}))
    with federation.superlink_unit(*options) as unit:
        eventually(unit.ready)
        no_more.write_text(json.dumps({"far-0": [far]}))
        may_join.write_text(json.dumps({"near-0": [near], "far-1": [away]}))
        unit.says("[flowerbed: far-0 may join no more]")
        assert unit.terminate() == 0
        assert "far-1 may" not in unit.text

    no_more.write_text(json.dumps({"far-0": [far], "far-1": [away]}))
    may_join.write_text(json.dumps({"near-0": [near]}))
    with federation.superlink_unit(*options) as unit, closing(client_of(federation)) as client:
        eventually(unit.ready)
        remembers = federation.row.contract.registers_nodes  # 1.22 begins with the list in its file each time
        assert ("[flowerbed: far-1 may join no more]" in unit.lines) == remembers
        assert "far-0 may" not in unit.text  # it was told of that before
        assert client.ask("dismiss", keys=[near, far, away]) == {"dismissed": [near]}


@pytest.mark.parametrize("release", RELEASES)
def test_two_who_take_back_the_same_keys_are_both_content(release: str, tmp_path: Path) -> None:
    """A command and the SuperLink's unit may do so at the same moment."""
    gone = [a_key() for _ in range(20)]
    with protected(release, tmp_path / "bed") as federation:
        federation.superlink()
        with closing(client_of(federation)) as one, closing(client_of(federation)) as other:
            one.ask("runs")
            other.ask("runs")
            one.ask("admit-all", keys=gone)
            with ThreadPoolExecutor() as both:
                found = list(both.map(lambda client: client.ask("dismiss", keys=gone)["dismissed"], (one, other)))
            assert {key for kept in found for key in kept} == set(gone)
            assert one.ask("nodes") == []
            assert one.ask("dismiss", keys=gone) == {"dismissed": []}
