"""Faults of boards and their lab: of clocks, leases and the host's disk, each in mid-visit."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from host.database.engine import Database
from host.database.schema import leases
from host.home.boards import Boards
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DevicePhase
from latlab.domain.errors import Unavailable
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import AgentProcess, wait_until
from tests.device_agent.conftest import write_stand_in
from tests.host.board_lab import SPEC, address_of, connected, latlab, program, running_lab
from tests.host.jobs.job_ends import ends_of_jobs
from tests.jumping_clock import JumpingClock
from tests.small_disk import small_disk

ONCE = replace(SPEC, min_visits=1, max_visits=1)
HOUR_S = 3_600
# Goes before a daemon, which then soon tries again.
IMPATIENT = """
import host.devices.worker
host.devices.worker.LOST_PAUSE_S = 0.5
"""


@contextmanager
def lab_with(
    home: LabHome, board: AgentProcess, address: str = "", before: str = ""
) -> Iterator[tuple[LatencyClient, str]]:
    """With the target that the board serves."""
    address = address or address_of(board)
    if Boards(home.boards).get(address) is None:
        latlab(home, "devices", "add", address, board.code)
    with running_lab(home, before) as client:
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
        f"while not os.path.exists({str(release)!r}): time.sleep(0.01)\n"
        "answer([time.time_ns() % 10**6 + 1] * 3)"
    )
    return program(folder, source), ran, release


def daemon_pid(home: LabHome) -> int:
    return int(json.loads(home.daemon_file.read_text())["pid"])


def expire_leases(home: LabHome) -> None:
    [expires] = [column for column in leases.c if column.name.startswith("expires")]
    database = Database(home.database_url)
    with database.writing() as connection:
        connection.execute(leases.update().values({expires: 0}))
    database.close()


@dataclass
class BoardLab:
    """A lab on a small disk, whose clock may jump, and a board with a ledger."""

    folder: Path
    home: LabHome
    board: AgentProcess
    client: LatencyClient
    target: str
    clock: JumpingClock

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def measure_through(
        self, fault: Callable[[BoardLab, Callable[[], None]], None]
    ) -> list[Outcome]:
        """Measure a new program once, with the fault in the middle of its visit.

        The fault may end the visit by the function that it is given.
        """
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        file, ran, release = held_program(folder)
        with measuring(self.client, self.target, file) as outcomes:
            wait_until(ran.exists)
            fault(self, release.touch)
            release.touch()
        wait_until(lambda: 0 not in ends_of_jobs(self.home).values())
        wait_until(lambda: self.client.devices()[0].state.phase is DevicePhase.IDLE)
        return outcomes


# It is given a function that ends the visit, which otherwise ends after the fault.
BoardFault = Callable[[BoardLab, Callable[[], None]], None]


@contextmanager
def running_board_lab(folder: Path) -> Iterator[BoardLab]:
    (folder / "ledger").touch()
    home = LabHome(folder / "disk/home")
    settings = {"LATLAB_LEDGER": str(folder / "ledger")}
    with small_disk(folder / "disk", "64m"), patch.dict(os.environ, settings):
        board = AgentProcess(
            folder / "board",
            write_stand_in(folder),
            ("--listen", "127.0.0.1:0"),
            program=(sys.executable, "-m", "tests.faults.recording_agent"),
        )
        try:
            clock = JumpingClock(folder)
            with lab_with(home, board, before=clock.code + IMPATIENT) as (client, target):
                yield BoardLab(folder, home, board, client, target, clock)
        finally:
            board.end()


def expire_the_holder(lab: BoardLab, end_visit: Callable[[], None]) -> None:
    """The daemon stands still for longer than its lease. Another on the same database takes
    board, job and run over; then the first goes on."""
    other = LabHome(lab.folder / uuid.uuid4().hex)
    other.create()
    for shared in ("boards", "programs"):
        (other.root / shared).symlink_to(lab.home.root / shared)
    os.kill(daemon_pid(lab.home), signal.SIGSTOP)
    try:
        expire_leases(lab.home)
        with (
            patch.dict(os.environ, LATLAB_DATABASE_URL=lab.home.database_url),
            lab_with(other, lab.board),
        ):
            end_visit()
            wait_until(lambda: 0 not in ends_of_jobs(lab.home).values())
    finally:
        os.kill(daemon_pid(lab.home), signal.SIGCONT)


def jump_the_clock(lab: BoardLab, end_visit: Callable[[], None]) -> None:
    """An hour ahead, then back by a day."""
    for ahead_s in (HOUR_S, -23 * HOUR_S):
        lab.clock.jump(ahead_s)


def fill_the_host(lab: BoardLab, end_visit: Callable[[], None]) -> None:
    """The visit ends on a board whose lab can store nothing."""
    filling = lab.folder / "disk/filling"
    with filling.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    end_visit()
    wait_until(lambda: lab.client.devices()[0].state.phase is DevicePhase.FAILED)
    filling.unlink()


FAULTS: list[BoardFault] = [expire_the_holder, jump_the_clock, fill_the_host]
