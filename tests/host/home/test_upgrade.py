"""`latlab lab up` after an upgrade."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.device import DevicePhase
from latlab.domain.estimate import MeasuredLatency
from tests.device_agent.agent_process import wait_until
from tests.device_agent.conftest import write_stand_in
from tests.faults.board import held_program, measuring


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    runner = write_stand_in(tmp_path)
    monkeypatch.setenv("LATLAB_RUNNER", str(runner))
    return runner


@pytest.fixture
def home(tmp_path: Path, runner: Path) -> Iterator[LabHome]:
    home = LabHome(tmp_path / "home")
    lab_process.up(home)
    yield home
    lab_process.down(home)


def pids(home: LabHome) -> tuple[int, int]:
    """Of the daemon and of this machine's agent."""
    agent_file = home.agent / "agent.json"
    return tuple(json.loads(file.read_text())["pid"] for file in (home.daemon_file, agent_file))


def test_an_older_lab_restarts_when_it_has_measured(
    home: LabHome, runner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pids(home)
    file, ran, release = held_program(tmp_path)
    said: list[str] = []
    assert not lab_process.up(home, said.append)
    info = json.loads(home.daemon_file.read_text())
    home.daemon_file.write_text(json.dumps({**info, "sources": "those of an earlier version"}))
    with LatencyClient.connect(home.root) as client:
        [target] = [name for name in client.devices()[0].targets if name.endswith("/1t")]
        upgrade = threading.Thread(target=lab_process.up, args=(home, said.append))
        with measuring(client, target, file) as outcomes:
            wait_until(ran.exists)
            with monkeypatch.context() as patch:
                patch.setattr(lab_process, "UPGRADE_PATIENCE_S", 0)
                assert not lab_process.up(home, said.append)
            assert "run `latlab lab up` again" in said.pop()
            assert "when its jobs have ended" in said.pop()
            upgrade.start()
            wait_until(lambda: said != [])
            assert client.devices()[0].state.phase is DevicePhase.MEASURING
            release.touch()
        upgrade.join()
    assert [type(outcome) for outcome in outcomes] == [MeasuredLatency]
    assert "when its jobs have ended" in said[0]
    second = pids(home)
    assert not set(first) & set(second)

    with runner.open("a") as source:
        source.write("# rebuilt\n")
    assert lab_process.up(home, said.append)
    assert not set(second) & set(pids(home))
    with LatencyClient.connect(home.root) as client:
        assert len({entry.target.runner_build for entry in client.targets()}) == 2
    assert not lab_process.up(home, said.append)
    assert len(said) == 3
