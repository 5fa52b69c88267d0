"""This version opens what earlier ones left behind, and goes on with it."""

from __future__ import annotations

import sqlite3
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from host.home.boards import Boards
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.estimate import Source
from latlab.export import ExportPool, ProgramCache
from search.latency.lab import Measured
from search.latency.target_lab import TargetLab
from search.loop import run_search
from search.strategies.strategy import make_strategy
from search.study.settings import LoopSettings, StrategyName
from search.study.study import open_study, read_study
from search.study.trial import is_measured
from tests.device_agent.agent_process import AgentProcess
from tests.device_agent.conftest import write_stand_in
from tests.host.board_lab import connected, latlab, running_lab
from tests.old_lab.make import (
    ADDRESS,
    CALIBRATION,
    ROUND_SIZE,
    ROUNDS,
    MadeUpAccuracy,
    calibration,
    settings,
)
from tests.old_lab.narrow_space import narrow_space

ARCHIVES = sorted(Path(__file__).parent.glob("lab-*.tar.xz"))
TARGET_ID = "40280224757e5a3e"
MEASURED = 20  # networks: those of the calibration, and six of the search


@pytest.fixture(params=ARCHIVES, ids=lambda archive: archive.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def home(old: Path) -> LabHome:
    return LabHome(old / "home")


@pytest.fixture
def lab(old: Path, home: LabHome) -> Iterator[LatencyClient]:
    """The old lab, up, with its board; the runner there would fail at whatever it is asked."""
    board = AgentProcess(
        old / "board",
        write_stand_in(old),
        ("--listen", ADDRESS),
        program=(sys.executable, "-m", "tests.old_lab.agent", old / "description.json"),
    )
    try:
        with running_lab(home) as client:
            client.add_board(ADDRESS)
            connected(client, boards=1)
            yield client
    finally:
        board.end()


@pytest.fixture
def pool(home: LabHome) -> Iterator[ExportPool]:
    with ExportPool(ProgramCache(home.exports)) as pool:
        yield pool


def measurement_ids(home: LabHome) -> list[str]:
    """What the database holds, sentinels left out."""
    with closing(sqlite3.connect(home.root / "lab.db")) as database:
        rows = database.execute(
            "SELECT measurements.id FROM measurements JOIN jobs ON jobs.id = job_id"
            " WHERE NOT is_sentinel ORDER BY measurements.unix_ns"
        )
        return [id for (id,) in rows]


def test_targets_measurements_and_secrets_stay(lab: LatencyClient, home: LabHome) -> None:
    ids = measurement_ids(home)
    [status] = [status for status in lab.targets() if status.target.id == TARGET_ID]
    assert status.devices == 1
    assert status.measurements == len(ids) == MEASURED
    assert list(lab.measured_networks_by_id(TARGET_ID)) == ids
    estimates = lab.look_up(ids)
    assert all(estimate.source is Source.MEASURED for estimate in estimates)
    for id, estimate in zip(ids, estimates, strict=True):
        measurement = lab.measurement(id)
        assert measurement.target_id == TARGET_ID
        assert len([visit for visit in measurement.visits if visit.traced]) == 2
        fastest_ns = min(min(visit.wall_ns) for visit in measurement.visits)
        assert fastest_ns / 2 < estimate.latency_ns < 2 * fastest_ns
    assert Boards(home.boards).addresses() == [ADDRESS]
    assert ADDRESS in latlab(home, "devices", "list")


def test_what_was_measured_is_answered_and_predicted_from(
    lab: LatencyClient, home: LabHome, pool: ExportPool
) -> None:
    before, exported = measurement_ids(home), sorted(home.exports.iterdir())
    target_lab = TargetLab(lab, lab.find_target(TARGET_ID), pool)
    outcomes = target_lab.measure_specs(calibration())
    answered = [outcome.measurement_id for outcome in outcomes if isinstance(outcome, Measured)]
    assert len(set(answered)) == CALIBRATION
    assert set(answered) <= set(before)
    assert sorted(home.exports.iterdir()) == exported
    assert measurement_ids(home) == before
    assert lab.refit(TARGET_ID)[0] == MEASURED
    rng = np.random.default_rng(1)
    networks = [narrow_space().resolve(narrow_space().sample(rng)) for _ in range(8)]
    estimates = target_lab.predict(networks)
    assert all(0 < e.lower_ns <= e.latency_ns <= e.upper_ns for e in estimates)


def test_the_study_goes_on(lab: LatencyClient, home: LabHome, pool: ExportPool, old: Path) -> None:
    folder = old / "runs" / "old"
    before, known = measurement_ids(home), read_study(folder).latest()
    assert len(known) == ROUNDS * ROUND_SIZE
    measured = {a: t.measurement_id for a, t in known.items() if is_measured(t)}
    assert set(measured.values()) == set(before[CALIBRATION:])
    target = lab.find_target(TARGET_ID)
    with open_study(folder, settings(target)) as study:
        run_search(
            study,
            make_strategy(StrategyName.PPO, narrow_space(), seed=0),
            MadeUpAccuracy(),
            TargetLab(lab, target, pool),
            LoopSettings(rounds=ROUNDS + 1, max_measurements=len(measured)),
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
    later = read_study(folder)
    assert len([finished for finished in later.rounds if finished.asked]) == ROUNDS + 1
    latest = later.latest()
    assert len(latest) > len(known)
    assert {a: t.measurement_id for a, t in latest.items() if is_measured(t)} == measured
    assert {a: latest[a].accuracy for a in known} == {a: t.accuracy for a, t in known.items()}
    assert measurement_ids(home) == before
    outcomes = TargetLab(lab, target, pool).measure(list(measured))
    again = [outcome.measurement_id for outcome in outcomes if isinstance(outcome, Measured)]
    assert again == list(measured.values())
    assert measurement_ids(home) == before
