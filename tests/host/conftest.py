from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.home.paths import sqlite_url
from tests.device_agent.agent_process import AgentProcess
from tests.device_agent.conftest import write_stand_in
from tests.host.board_lab import StartBoard


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL of this session's own, on a socket in a temporary folder."""
    initdb = _find_postgresql("initdb")
    if initdb is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    # A socket's path has at most about 100 bytes, pytest's folders are longer.
    with tempfile.TemporaryDirectory(prefix="latlab-pg-") as folder:
        # PostgreSQL refuses to run as root.
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(folder, "postgres")
        data, pg_ctl = f"{folder}/data", str(initdb.with_name("pg_ctl"))

        def run(*command: str) -> None:
            subprocess.run(
                [*as_user, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60
            )

        run(str(initdb), "-D", data, "-A", "trust", "-U", "latlab", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run(pg_ctl, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://latlab@/postgres?host={folder}"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One contract, two databases."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "lab.db")
    url: str = request.getfixturevalue("postgresql_url")
    _empty(url)
    return url


def _find_postgresql(program: str) -> Path | None:
    candidates = [*Path("/usr/lib/postgresql").glob(f"*/bin/{program}")]
    found = shutil.which(program)
    return max(candidates) if candidates else Path(found) if found else None


def _empty(url: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


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
