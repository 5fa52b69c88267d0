"""What `latlab lab status` tells of a board, through a real daemon: how lab.toml has it
treated, and why it is left in peace."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure
from tests.device_agent.agent_process import AgentProcess, wait_until
from tests.device_agent.conftest import write_stand_in
from tests.host.board_lab import (
    SPEC,
    StartBoard,
    address_of,
    connected,
    latlab,
    program,
    running_lab,
)


@pytest.fixture
def home(tmp_path: Path) -> LabHome:
    return LabHome(tmp_path / "home")


def status(home: LabHome) -> str:
    """In one line, for a table breaks its cells anywhere."""
    return " ".join(latlab(home, "lab", "status").replace("│", " ").split())


def tells(home: LabHome, *words: str) -> None:
    wait_until(lambda: all(word in status(home) for word in words))


@contextmanager
def measuring(
    client: LatencyClient, *arguments: object, fresh: bool = False
) -> Iterator[list[Outcome]]:
    """Meanwhile; the outcomes are there at the end."""
    outcomes: list[Outcome] = []
    thread = threading.Thread(
        target=lambda: outcomes.extend(client.measure(*arguments, fresh=fresh))  # type: ignore[call-overload]
    )
    thread.start()
    try:
        yield outcomes
    finally:
        thread.join(timeout=60)


@pytest.fixture
def warm_board(start_board: StartBoard, tmp_path: Path) -> tuple[AgentProcess, Path]:
    """A board that is another machine than this, and the file that says its temperature in
    thousandths of °C."""
    zone, machine_id = tmp_path / "zones/thermal_zone0/temp", tmp_path / "machine-id"
    zone.parent.mkdir(parents=True)
    machine_id.write_text(f"{1:032}\n")
    zones = f"mount --bind {zone.parents[1]} /sys/class/thermal"
    of_its_own = f'{zones} && mount --bind {machine_id} /etc/machine-id && exec "$@"'
    within = ("unshare", "--mount", "sh", "-c", of_its_own, "sh")
    tried = subprocess.run([*within, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no place of its own for a board: {tried.stderr.strip()}")
    return start_board(within=within), zone


def test_groups_of_lab_toml_reach_their_devices(
    warm_board: tuple[AgentProcess, Path],
    home: LabHome,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Through all that `latlab lab up` starts: one device lacks the cores that its group
    names, another is warmer than its group allows."""
    board, zone = warm_board
    zone.write_text("36000\n")
    latlab(home, "devices", "add", address_of(board), board.code)
    monkeypatch.setenv("LATLAB_RUNNER", str(write_stand_in(tmp_path)))
    home.config_file.write_text(
        f'boards = ["{address_of(board)}"]\n'
        f'[groups.warm]\ndevices = ["{address_of(board)}"]\nmax_c = 38\n'
        f'[groups.here]\ndevices = ["local"]\ncore_classes = ["imagined"]\n'
    )
    lab_process.up(home)
    try:
        with LatencyClient.connect(home.root) as client:
            tells(home, "on its cores imagined; it has:")
            [here, there] = client.devices()
            assert not here.targets
            target = there.targets[0]
            [before] = client.measure(target, [program(tmp_path, "answer()")], SPEC)
            assert isinstance(before, MeasuredLatency)
            assert client.measurement(before.measurement_id).visits[0].before.temperature_c == 36.0
            zone.write_text("45000\n")  # not so much warmer that the lab's own rule counted
            with measuring(client, target, [program(tmp_path, "answer()  # 2")], SPEC) as outcomes:
                tells(home, "cooling")
                zone.write_text("37000\n")
            [after] = outcomes
            assert isinstance(after, MeasuredLatency)
            # At the first visit the device had just told what it was.
            visits = client.measurement(after.measurement_id).visits
            assert {visit.before.temperature_c for visit in visits[1:]} == {37.0}
    finally:
        lab_process.down(home)


def test_a_quarantined_board_says_why_and_a_drained_one_that_it_is(
    start_board: StartBoard, home: LabHome, tmp_path: Path
) -> None:
    board = start_board()
    address = address_of(board)
    latlab(home, "devices", "add", address, board.code)
    with running_lab(home) as client:
        client.add_board(address)
        target = connected(client, 1)
        broken = tmp_path / "broken"
        crash = (
            f"if os.path.exists({str(broken)!r}):\n"
            "    print('out of luck', file=sys.stderr); os.abort()\nanswer()"
        )
        failing = [program(tmp_path, f"{crash}  # {number}") for number in range(3)]
        assert not any(isinstance(each, Failure) for each in client.measure(target, failing, SPEC))
        broken.touch()
        with measuring(client, target, failing, SPEC, fresh=True) as outcomes:
            tells(home, "quarantined: to be probed in", "crashed", "out of luck")
            assert "quarantined" in latlab(home, "devices", "history", address)
            latlab(home, "devices", "drain", address)
            tells(home, "drained")
            wait_until(lambda: f"{address}: drained" in latlab(home, "jobs"))
            latlab(home, "devices", "undrain", address)
            tells(home, "quarantined")
            client.remove_board(address)
        assert {type(outcome) for outcome in outcomes} == {Failure}
        assert len(outcomes) == len(failing)
