"""A lab in the next room: over TLS, found by LATLAB_ADDRESS, asked by what is not Linux."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from host.database.engine import Database
from host.home.listening import choose_address
from host.home.paths import LabHome, sqlite_url
from latlab.client.client import LatencyClient
from latlab.client.connection.environment import ADDRESS, AUTHORITY, TOKEN_FILE
from latlab.client.connection.environment import TOKEN as TOKEN_VARIABLE
from latlab.common.certificates import fingerprint
from latlab.domain.errors import InvalidRequest, LabError, Unauthenticated, Unavailable
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import wait_until
from tests.host.stored_lab import TOKEN, Stored, served, write_ordinary
from tests.other_system import other_system
from tests.structure import REPOSITORY

LIMIT_S = 120
COMMAND = "from search.cli import app; app()"


@dataclass(frozen=True)
class Elsewhere:
    """A lab that listens with TLS, and what a client of it sets."""

    address: str
    plain_address: str
    home: LabHome
    stored: list[Stored]
    environment: dict[str, str]


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"localhost:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    home, address = LabHome(folder / "home"), free_address()
    home.create()
    choose_address(home, address)
    token_file = folder / "my-token"
    token_file.write_text(f"{TOKEN}\n")
    environment = {
        ADDRESS: address,
        AUTHORITY: f"sha256:{fingerprint(home.certificate_file.read_text())}",
        TOKEN_FILE: str(token_file),
        "LATLAB_HOME": str(folder / "empty"),
    }
    database = Database(sqlite_url(folder / "lab.db"))
    stored = write_ordinary(database, folder)
    with served(database, folder, home=home) as (plain_address, _):
        with LatencyClient(plain_address, TOKEN) as client:
            wait_until(lambda: any(status.devices for status in client.targets()))
        yield Elsewhere(address, plain_address, home, stored, environment)
    database.close()


@pytest.fixture
def set_here(elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in elsewhere.environment.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def run(elsewhere: Elsewhere, folder: Path, *words: str) -> str:
    """What a command prints in a Python that lacks what only Linux has."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        env={
            **os.environ,
            **elsewhere.environment,
            "PYTHONPATH": other_system(folder / "other"),
            "COLUMNS": "200",
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_state_is_shown_and_networks_are_predicted_and_measured(
    elsewhere: Elsewhere, tmp_path: Path, small_programs: list[ProgramFile]
) -> None:
    status = run(elsewhere, tmp_path, "lab", "status")
    assert "fake" in status
    assert f"the lab at {elsewhere.address}" in status
    assert "listens" not in status  # that is for the lab's own machine
    assert "0 open jobs" in run(elsewhere, tmp_path, "jobs")
    program = str(small_programs[0].path)
    assert " ms " in run(elsewhere, tmp_path, "predict", program)
    measured = run(elsewhere, tmp_path, "measure", program, "--sustained", "1")
    assert "1.00 ms" in measured
    assert list((tmp_path / "empty").glob("*.db")) == []


def test_every_module_of_the_client_is_imported_without_what_only_linux_has(
    tmp_path: Path,
) -> None:
    names = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in sorted((REPOSITORY / "latlab/client").rglob("*.py"))
        if path.stem not in ("__init__", "local_lab")
    ]
    commands = ["lab", "jobs", "devices", "measurements"]
    names += [f"host.cli.{name}" for name in commands]
    names += ["latlab.aio", "search.cli.search_run", "search.cli.profile.command"]
    names += [f"search.cli.networks.{name}" for name in ("measure", "commands", "compare")]
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"],
        env={**os.environ, "PYTHONPATH": other_system(tmp_path)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr


def test_the_other_system_lacks_what_it_should(tmp_path: Path) -> None:
    code = "import os\ntry: import fcntl\nexcept ImportError: print(hasattr(os, 'sched_yield'))"
    code += "\ntry: open('/proc/stat')\nexcept FileNotFoundError: print('no /proc')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": other_system(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.stdout.split("\n")[:2] == ["False", "no /proc"], done.stderr


def test_a_file_with_the_certificate_will_do(
    elsewhere: Elsewhere, set_here: pytest.MonkeyPatch
) -> None:
    set_here.setenv(AUTHORITY, str(elsewhere.home.certificate_file))
    with LatencyClient.connect() as client:
        [estimate] = client.predict(
            client.targets()[0].target.id, [elsewhere.stored[0].network.kernels]
        )
    assert estimate.latency_ns > 0
    assert elsewhere.home.certificate_file.stat().st_mode & 0o777 == 0o600
    assert elsewhere.home.tls_file.stat().st_mode & 0o777 == 0o600


def test_the_key_cannot_be_read_from_the_certificate_file(elsewhere: Elsewhere) -> None:
    assert "PRIVATE" not in elsewhere.home.certificate_file.read_text()


@pytest.mark.parametrize(
    ("variable", "value", "kind", "words"),
    [
        (AUTHORITY, "sha256:" + "a" * 64, Unauthenticated, "another certificate"),
        (AUTHORITY, "sha256:12", InvalidRequest, "64 digits"),
        (AUTHORITY, "", Unavailable, "set LATLAB_CA"),
        (AUTHORITY, __file__, InvalidRequest, "no certificates"),
        (ADDRESS, "localhost:1", Unavailable, "nobody answers at localhost:1"),
        (ADDRESS, "a..b:1", Unavailable, "nobody answers at a..b:1"),
        (ADDRESS, "the lab", InvalidRequest, "HOST:PORT"),
        (TOKEN_FILE, "", InvalidRequest, "no token"),
        (TOKEN_VARIABLE, TOKEN, InvalidRequest, "both set"),
    ],
)
def test_what_is_wrong_is_said(
    set_here: pytest.MonkeyPatch, variable: str, value: str, kind: type[LabError], words: str
) -> None:
    set_here.setenv(variable, value)
    with pytest.raises(kind, match=words), LatencyClient.connect() as client:
        client.targets()


def test_a_certificate_that_changed_is_said_after_the_connection(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    other = LabHome(tmp_path / "other")
    other.create()
    choose_address(other, free_address())
    client = LatencyClient(elsewhere.address, TOKEN, other.certificate_file.read_text())
    with client, pytest.raises(Unauthenticated, match="another certificate"):
        client.targets()


def test_a_port_without_tls_is_told_from_a_silent_one(
    elsewhere: Elsewhere, set_here: pytest.MonkeyPatch
) -> None:
    set_here.setenv(ADDRESS, elsewhere.plain_address)
    with pytest.raises(Unavailable, match="does not speak TLS"):
        LatencyClient.connect()


def test_a_refused_token_is_said(set_here: pytest.MonkeyPatch) -> None:
    set_here.delenv(TOKEN_FILE)
    set_here.setenv(TOKEN_VARIABLE, "another-token-altogether")
    with LatencyClient.connect() as client, pytest.raises(Unauthenticated, match="LATLAB_TOKEN"):
        client.targets()


def test_no_token_leaves_this_machine_without_tls() -> None:
    with pytest.raises(InvalidRequest, match="LATLAB_CA"):
        LatencyClient("192.0.2.1:7077", TOKEN)
