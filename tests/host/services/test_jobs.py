"""`latlab jobs`, against the real services: what is open, and what is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.errors import InvalidRequest, NotFound
from latlab.domain.failure import Failure, FailureKind
from search.cli import app
from tests.device_agent.agent_process import wait_until
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import SPEC, TOKEN, Stored, served, write_ordinary


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Stored]]:
    """Programs of a lab whose device is drained."""
    database = Database(sqlite_url(tmp_path / "lab.db"))
    stored = write_ordinary(database, tmp_path, count=4)
    with served(database, tmp_path) as (address, _):
        monkeypatch.setattr(
            LatencyClient, "connect", staticmethod(lambda: LatencyClient(address, TOKEN))
        )
        with LatencyClient.connect() as client:
            client.set_drained(DEVICE.serial, True)
        yield stored
    database.close()


def jobs(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["jobs", *arguments], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_jobs_are_listed_and_cancelled_and_their_client_is_told(stored: list[Stored]) -> None:
    outcomes: list[Outcome] = []

    def measure() -> None:
        with LatencyClient.connect() as client:
            files = [one.file for one in stored]
            outcomes.extend(client.measure(TARGET.id, files, SPEC, fresh=True))

    measuring = threading.Thread(target=measure)
    measuring.start()
    with LatencyClient.connect() as client:
        wait_until(lambda: client.jobs(10)[1] == len(stored))
        open_jobs, _ = client.jobs(10)
        listed = jobs()
        assert f"{len(stored)} open jobs" in listed
        assert "1 open jobs" not in jobs("--limit", "1")
        for job in open_jobs:
            for expected in (job.id[:12], job.program_sha256[:12], "0:00:", "drained"):
                assert expected in listed
        with pytest.raises(InvalidRequest, match="ids, target or program"):
            client.cancel_jobs()
        with pytest.raises(NotFound, match="no open job 'ffffffff"):
            client.cancel_jobs([open_jobs[0].id, "f" * 32])
        with pytest.raises(NotFound, match="no target 'nothing'"):
            client.cancel_jobs(target="nothing")
        assert client.jobs(10)[1] == len(stored)

        assert jobs("cancel", open_jobs[0].id[:12]) == "Jobs cancelled: 1."
        program = open_jobs[1].program_sha256
        said = jobs("cancel", "--target", TARGET.id, "--program", program[:12])
        assert said == "Jobs cancelled: 1."
        assert client.jobs(10)[1] == len(stored) - 2
        assert jobs("cancel", "--target", TARGET.name) == f"Jobs cancelled: {len(stored) - 2}."
        assert client.jobs(10) == ([], 0)
    measuring.join(timeout=60)
    assert outcomes == [Failure(FailureKind.CANCELLED, "it was cancelled")] * len(stored)
