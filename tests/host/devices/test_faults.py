"""Faults of clocks, links and leases, on boards: each job ends once, by the database."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from host.home.paths import LabHome
from latlab.domain.device import DevicePhase
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from tests.device_agent.agent_process import wait_until
from tests.faults.board import (
    FAULTS,
    ONCE,
    BoardFault,
    BoardLab,
    held_program,
    lab_with,
    measuring,
    running_board_lab,
)
from tests.faults.ledger import read_ledger
from tests.faults.losses import Losses, losses
from tests.host.board_lab import SPEC, StartBoard, address_of, elsewhere, latlab, program
from tests.host.jobs.job_ends import ends_of_jobs
from tests.jumping_clock import JumpingClock


@pytest.fixture(scope="module")
def board_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardLab]:
    with running_board_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_mid_run_costs_no_job_and_no_visit(
    board_lab: BoardLab, fault: BoardFault
) -> None:
    asked = len(ends_of_jobs(board_lab.home))
    [measured] = board_lab.measure_through(fault)
    assert isinstance(measured, MeasuredLatency)
    ledger = read_ledger(board_lab.ledger)
    assert len(ledger) >= 2  # the visit, and that it was acknowledged
    assert losses(board_lab.home, ledger, asked + 1) == Losses()


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


@pytest.mark.parametrize("jumps_s", [(3_600,), (-3_600,), (3_600, -86_400, 0)])
def test_the_hosts_clock_may_jump(
    start_board: StartBoard, tmp_path: Path, jumps_s: tuple[int, ...]
) -> None:
    """After each visit, while jobs rest."""
    home, clock, jumps = LabHome(tmp_path / "home"), JumpingClock(tmp_path), iter(jumps_s)
    files = [program(tmp_path, f"answer()  # {number}") for number in range(3)]
    spaced = replace(SPEC, spacing_ns=200_000_000)

    def jump(*_: int) -> None:
        with suppress(StopIteration):
            clock.jump(next(jumps))

    with lab_with(home, start_board(), before=clock.code) as (client, target):
        outcomes = client.measure(target, files, spaced, on_progress=jump)
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
