"""Faults of clocks, links and leases, on boards: each job ends once, by the database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from host.database.engine import Database
from host.home.boards import Boards
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DevicePhase
from latlab.domain.errors import Unavailable
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import AgentProcess, wait_until
from tests.faketime import NoFaketime, jumping_clock
from tests.host.board_lab import (
    SPEC,
    StartBoard,
    address_of,
    connected,
    elsewhere,
    latlab,
    program,
    running_lab,
)
from tests.host.jobs.job_ends import ends_of_jobs

ONCE = replace(SPEC, min_visits=1, max_visits=1)
HOUR_S = 3_600


@contextmanager
def lab_with(
    home: LabHome, board: AgentProcess, address: str = ""
) -> Iterator[tuple[LatencyClient, str]]:
    """With the target that the board serves."""
    address = address or address_of(board)
    if Boards(home.boards).get(address) is None:
        latlab(home, "devices", "add", address, board.code)
    with running_lab(home) as client:
        client.add_board(address)
        yield client, connected(client, 1)


@contextmanager
def measuring(
    client: LatencyClient, target: str, file: ProgramFile, spec: BenchmarkSpec = ONCE
) -> Iterator[list[Outcome]]:
    """Meanwhile; the outcome is there at the block's end, unless the lab is gone."""
    outcomes: list[Outcome] = []

    def measure() -> None:
        with suppress(Unavailable):
            outcomes.extend(client.measure(target, [file], spec))

    thread = threading.Thread(target=measure)
    thread.start()
    yield outcomes
    thread.join(timeout=60)
    assert not thread.is_alive()


def held_program(folder: Path) -> tuple[ProgramFile, Path, Path]:
    """It writes an x to the first file whenever it is run, and ends when the second is there."""
    ran, release = folder / "ran", folder / "release"
    source = (
        f"open({str(ran)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(release)!r}): time.sleep(0.01)\nanswer()"
    )
    return program(folder, source), ran, release


def daemon_pid(home: LabHome) -> int:
    return int(json.loads(home.daemon_file.read_text())["pid"])


def test_an_expired_holder_loses_its_board_and_no_job(
    start_board: StartBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its daemon stands still for longer than its lease, in the middle of a run. Another on
    the same database takes board, job and run over; then the first goes on."""
    home, other = LabHome(tmp_path / "home"), LabHome(tmp_path / "other")
    board = start_board()
    file, ran, release = held_program(tmp_path)
    with (
        lab_with(home, board) as (client, target),
        measuring(client, target, file) as outcomes,
    ):
        wait_until(ran.exists)
        os.kill(daemon_pid(home), signal.SIGSTOP)
        try:
            expire_leases(home)
            other.create()
            for shared in ("boards", "programs"):
                (other.root / shared).symlink_to(home.root / shared)
            monkeypatch.setenv("LATLAB_DATABASE_URL", home.database_url)
            with lab_with(other, board):
                release.touch()
                wait_until(lambda: list(ends_of_jobs(home).values()) == [1])
        finally:
            os.kill(daemon_pid(home), signal.SIGCONT)
    [measured] = outcomes
    assert isinstance(measured, MeasuredLatency)
    assert list(ends_of_jobs(home).values()) == [1]
    assert ran.read_text() == "x"


def test_labs_on_two_databases_exclude_each_other(start_board: StartBoard, tmp_path: Path) -> None:
    """The first gets its board back with its old database as with a new one."""
    home, other = LabHome(tmp_path / "home"), LabHome(tmp_path / "other")
    board = start_board()
    files = [program(tmp_path, f"answer()  # {number}") for number in range(3)]
    with lab_with(home, board) as (client, target):
        assert isinstance(client.measure(target, files[:1], ONCE)[0], MeasuredLatency)
        other.create()
        (other.root / "boards").symlink_to(home.root / "boards")
        with ExitStack() as lab:
            rival, _ = lab.enter_context(lab_with(other, board))
            with measuring(rival, target, files[1]) as outcomes:
                wait_until(lambda: rival.devices()[0].state.phase is DevicePhase.HELD)
                assert isinstance(client.measure(target, files[2:], ONCE)[0], MeasuredLatency)
                lab.close()
        assert outcomes == []
    (home.root / "lab.db").unlink()
    with lab_with(home, board) as (client, target):
        assert isinstance(client.measure(target, files[:1], ONCE)[0], MeasuredLatency)


def expire_leases(home: LabHome) -> None:
    database = Database(home.database_url)
    with database.writing() as connection:
        connection.execute(text("UPDATE leases SET expires_ns = 0"))
    database.close()


@pytest.mark.parametrize("jumps_s", [(HOUR_S,), (-HOUR_S,), (HOUR_S, -24 * HOUR_S, 0)])
def test_the_hosts_clock_may_jump(
    start_board: StartBoard, tmp_path: Path, jumps_s: tuple[int, ...]
) -> None:
    """After each visit, while jobs rest."""
    home, board, jumps = LabHome(tmp_path / "home"), start_board(), iter(jumps_s)
    files = [program(tmp_path, f"answer()  # {number}") for number in range(3)]
    spaced = replace(SPEC, spacing_ns=200_000_000)
    with ExitStack() as stack:
        try:
            jump = stack.enter_context(jumping_clock(tmp_path))
        except NoFaketime as reason:
            pytest.skip(str(reason))

        def jump_next(*_: int) -> None:
            with suppress(StopIteration):
                jump(next(jumps))

        client, target = stack.enter_context(lab_with(home, board))
        outcomes = client.measure(target, files, spaced, on_progress=jump_next)
    assert next(jumps, None) is None
    assert [type(outcome) for outcome in outcomes] == [MeasuredLatency] * len(files)
    assert list(ends_of_jobs(home).values()) == [1] * len(files)


def test_a_link_that_went_dead_is_noticed_long_before_the_deadline(
    start_board: StartBoard, tmp_path: Path
) -> None:
    """Nothing is told to either side, and the visit might take ten minutes."""
    home = LabHome(tmp_path / "home")
    file, ran, release = held_program(tmp_path)
    patient = replace(ONCE, visit=replace(ONCE.visit, deadline_ns=600 * 10**9))
    with elsewhere(2, "") as (name, host):
        within = ("ip", "netns", "exec", name)
        board = start_board("--listen", f"{host}:7070", within=within)
        with (
            lab_with(home, board, f"{host}:7070") as (client, target),
            measuring(client, target, file, patient) as outcomes,
        ):
            wait_until(ran.exists)
            assert client.devices()[0].state.phase is DevicePhase.MEASURING
            link = ("ip", "-n", name, "link", "set", far_end(name))
            subprocess.run([*link, "down"], check=True)
            wait_until(lambda: client.devices()[0].state.phase is not DevicePhase.MEASURING)
            subprocess.run([*link, "up"], check=True)
            release.touch()
    assert [type(outcome) for outcome in outcomes] == [MeasuredLatency]
    assert list(ends_of_jobs(home).values()) == [1]
    assert ran.read_text() == "x"


def far_end(namespace: str) -> str:
    """The name of its interface."""
    command = ["ip", "-n", namespace, "-json", "link", "show", "type", "veth"]
    [link] = json.loads(subprocess.check_output(command))
    return str(link["ifname"])


def test_a_board_that_is_removed_leaves_when_its_visit_is_over(
    start_board: StartBoard, tmp_path: Path
) -> None:
    home, board = LabHome(tmp_path / "home"), start_board()
    file, ran, release = held_program(tmp_path)
    with lab_with(home, board) as (client, target):
        with measuring(client, target, file, SPEC) as outcomes:
            wait_until(ran.exists)
            latlab(home, "devices", "remove", address_of(board))
            assert [status.state.phase for status in client.devices()] == [DevicePhase.MEASURING]
            release.touch()
        [lost] = outcomes
        assert isinstance(lost, Failure)
        assert "was removed" in lost.message
        wait_until(lambda: client.devices() == [])
        client.remove_board(address_of(board))
    assert list(ends_of_jobs(home).values()) == [1]
    assert ran.read_text() == "x"  # of three visits, the one under way
