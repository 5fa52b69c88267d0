from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.home.paths import sqlite_url
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import AgentProcess
from tests.device_agent.conftest import write_stand_in
from tests.host.board_lab import StartBoard
from tests.host.postgresql import empty, find_postgresql, postgresql


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL of this session's own."""
    if find_postgresql("initdb") is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One contract, two databases."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "lab.db")
    url: str = request.getfixturevalue("postgresql_url")
    empty(url)
    return url


@pytest.fixture(scope="session")
def small_programs(tmp_path_factory: pytest.TempPathFactory) -> list[ProgramFile]:
    """Real programs that run in microseconds."""
    import torch
    from torch import nn

    from latlab.export import export_program

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("programs")
    files = []
    for channels in (8, 16, 24, 32, 40, 48):
        network = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * channels, 10),
        )
        program, data = export_program(network.eval(), (1, 3, 32, 32))
        path = folder / f"{channels}.pte"
        path.write_bytes(data)
        files.append(ProgramFile(program, path))
    return files


@pytest.fixture
def start_board(tmp_path: Path) -> Iterator[StartBoard]:
    """Starts agents, with TLS on a free port unless told."""
    started: list[AgentProcess] = []
    runner = write_stand_in(tmp_path)

    def start(*options: str, state: str = "board", within: tuple[str, ...] = ()) -> AgentProcess:
        options = options or ("--listen", "127.0.0.1:0")
        started.append(AgentProcess(tmp_path / state, runner, options, within))
        return started[-1]

    yield start
    for board in started:
        if board.process.poll() is None:
            board.end()
