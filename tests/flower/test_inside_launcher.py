"""The launcher of ServerApps: each run has a folder for its results, also when two run at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from by_hand import RELEASES, federation, write_app

pytestmark = pytest.mark.flower


@pytest.mark.parametrize("release", [RELEASES[0], RELEASES[-1]])
def test_two_runs_at_once_keep_their_results_apart(release: str, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app")
    with federation(release, tmp_path / "federation") as (there, client):
        runs = [client.ask("submit", app=str(app), config={"lines": 30, "pause": 0.2})["run"] for _ in range(2)]
        for run in runs:
            client.ask("follow", run=run)
        for run in runs:
            client.wait(lambda run=run: client.ended(run))  # type: ignore[misc]
        first, second = (client.ask("runs", run=run)[0] for run in runs)
        assert max(first["running_at"], second["running_at"]) < min(first["finished_at"], second["finished_at"])
        for run in runs:  # and the app could know its folder while it was imported
            folder = there.results / run
            assert (folder / "result.txt").read_text() == f"{run} {folder}"
