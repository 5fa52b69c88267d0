"""Boards on the network: real agents over TLS, enrolled and measured on."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from host.agent.client import AgentClient
from host.agent.enrolment import enrol
from host.agent.tls import presented_certificate
from host.database import schema
from host.database.engine import Database
from host.devices.transports.tcp import TcpTransport
from host.home.boards import Boards
from host.home.paths import LabHome
from latlab.common.certificates import fingerprint
from latlab.domain.errors import InvalidRequest, LabError, NotReady, Unauthenticated, Unavailable
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import wait_until
from tests.faults.board import held_program, lab_with, measuring
from tests.host.board_lab import (
    SPEC,
    StartBoard,
    address_of,
    connected,
    elsewhere,
    latlab,
    new_code,
    program,
    running_lab,
)
from tests.host.jobs.job_ends import ends_of_jobs


@pytest.fixture
def boards(tmp_path: Path) -> Boards:
    return Boards(tmp_path / "boards")


def test_an_enrolled_board_is_reached(
    start_board: StartBoard, boards: Boards, tmp_path: Path
) -> None:
    board = start_board()
    pinned = enrol(address_of(board), board.code)
    boards.add(pinned)
    assert boards.addresses() == [address_of(board)]
    assert boards.get(address_of(board)) == pinned
    [file] = (tmp_path / "boards").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    transport = TcpTransport(address_of(board), boards)
    assert len(transport.connect().describe().serial) == 16
    transport.stop()
    boards.remove(address_of(board))
    boards.remove(address_of(board))
    assert boards.addresses() == []
    with pytest.raises(Unavailable, match="latlab devices add"):
        transport.connect()


def test_wrong_and_used_codes_are_refused(start_board: StartBoard) -> None:
    board, other = start_board(), start_board(state="other")
    address, code = address_of(board), board.code
    for no_code in ("", "abc", code[:-1], code.upper()):
        with pytest.raises(InvalidRequest, match="no enrolment code"):
            enrol(address, no_code)
    for no_address in ("nowhere", "a:b:c", "../../etc:1", "host:70000"):
        with pytest.raises(InvalidRequest, match="HOST:PORT"):
            enrol(no_address, code)
    with pytest.raises(Unauthenticated, match="code is wrong"):
        enrol(address, code[:-8] + "00000000")
    # The secret is for the agent that the code names, and another is not told it.
    with pytest.raises(Unauthenticated, match="another agent"):
        enrol(address_of(other), code)
    assert enrol(address, code).token
    with pytest.raises(NotReady, match="was used"):
        enrol(address, code)


def test_who_does_not_speak_tls_is_told_nothing(start_board: StartBoard) -> None:
    code = start_board().code
    plain = start_board("--port", "0", state="plain")
    with pytest.raises(Unavailable, match="does not speak TLS"):
        enrol(address_of(plain), code)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="nobody answers"):
            enrol(f"127.0.0.1:{unused.getsockname()[1]}", code)


def test_a_changed_certificate_is_refused(start_board: StartBoard, boards: Boards) -> None:
    board = start_board()
    address = address_of(board)
    pinned = enrol(address, board.code)
    boards.add(pinned)
    board.end()
    (board.state / "tls.pem").unlink()
    again = start_board("--listen", address)
    transport = TcpTransport(address, boards)
    with pytest.raises(Unavailable, match="another certificate"):
        transport.connect()
    # The channel itself holds to the pin as well.
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        AgentClient(address, pinned.token, pinned.certificate).describe()
    boards.add(enrol(address, again.code))
    assert transport.connect().describe().serial
    transport.stop()


def test_whom_another_lab_enrolled_is_lost_to_the_first(
    start_board: StartBoard, boards: Boards
) -> None:
    board = start_board()
    boards.add(enrol(address_of(board), board.code))
    transport = TcpTransport(address_of(board), boards)
    client = transport.connect()
    code = new_code(board)
    taken = enrol(address_of(board), code)
    with pytest.raises(Unavailable, match="token has changed"):
        client.describe()
    boards.add(taken)
    assert transport.connect().describe().serial
    transport.stop()


def measuring_devices(home: LabHome) -> set[str]:
    """The serials of those that visits were made on."""
    database = Database(home.database_url)
    with database.reading() as connection:
        serials = set(connection.scalars(select(schema.visits.c.device_serial)))
    database.close()
    return serials


def test_a_board_joins_a_running_lab(start_board: StartBoard, tmp_path: Path) -> None:
    home, board = LabHome(tmp_path / "home"), start_board()
    address = address_of(board)
    assert "not running" in latlab(home, "devices", "add", address, board.code)
    assert fingerprint(presented_certificate(address)) in latlab(home, "devices", "list")
    latlab(home, "devices", "remove", address)
    assert address not in latlab(home, "devices", "list")
    with running_lab(home) as client:
        assert "was used" in latlab(home, "devices", "add", address, board.code)
        assert client.devices() == []
        added = latlab(home, "devices", "add", address, new_code(board))
        assert "is enrolled" in added
        assert "not running" not in added
        client.add_board(address)
        target = connected(client, 1)
        assert [status.transport for status in client.devices()] == [address]
        [outcome] = client.measure(target, [program(tmp_path, "answer()")], SPEC)
        assert isinstance(outcome, MeasuredLatency)
        with pytest.raises(InvalidRequest, match="HOST:PORT"):
            client.add_board("../token")


def test_a_board_that_is_enrolled_again_elsewhere_keeps_its_job_and_a_copy_is_refused(
    start_board: StartBoard, tmp_path: Path
) -> None:
    home, board, copy = LabHome(tmp_path / "home"), start_board(), start_board(state="copy")
    moved = f"localhost:{board.port}"
    file, ran, release = held_program(tmp_path)
    with lab_with(home, board) as (client, target):
        with measuring(client, target, file) as outcomes:
            wait_until(ran.exists)
            said = latlab(home, "devices", "add", moved, new_code(board))
            assert f"was enrolled as {address_of(board)} before" in said
            release.touch()
        assert [type(outcome) for outcome in outcomes] == [MeasuredLatency]
        wait_until(lambda: [status.transport for status in client.devices()] == [moved])
        assert Boards(home.boards).addresses() == [moved]
        assert ran.read_text() == "x"

        latlab(home, "devices", "add", address_of(copy), copy.code)
        refused = f"{address_of(copy)} is another machine than {moved}"
        wait_until(lambda: any(refused in status.state.detail for status in client.devices()))
        serial = next(status.device.serial for status in client.devices() if status.device)
        assert "has forgotten" in latlab(home, "devices", "remove", address_of(copy))
        assert "has forgotten" in latlab(home, "devices", "remove", serial)
        wait_until(lambda: client.devices() == [])
        assert Boards(home.boards).addresses() == []
        assert "no device" in latlab(home, "devices", "remove", "nonsense")
    assert list(ends_of_jobs(home).values()) == [1]


def test_lab_toml_says_which_boards_are_used(start_board: StartBoard, tmp_path: Path) -> None:
    home, board = LabHome(tmp_path / "home"), start_board()
    home.create()
    home.config_file.write_text('boards = ["elsewhere:7070"]\n')
    said = latlab(home, "devices", "add", address_of(board), board.code)
    assert f"add {address_of(board)} there first" in said
    home.config_file.write_text("bords = []\n")
    assert "line 1" in latlab(home, "devices", "add", address_of(board), board.code)
    home.config_file.unlink()
    assert "is enrolled" in latlab(home, "devices", "add", address_of(board), board.code)


def test_a_visit_outlives_the_lab_and_is_fetched_by_the_next(
    start_board: StartBoard, tmp_path: Path
) -> None:
    home, board = LabHome(tmp_path / "home"), start_board()
    ran, release = tmp_path / "ran", tmp_path / "release"
    file = program(
        tmp_path,
        f"open({str(ran)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(release)!r}): time.sleep(0.01)\nanswer()",
    )
    once = replace(SPEC, min_visits=1, max_visits=1)
    latlab(home, "devices", "add", address_of(board), board.code)
    with running_lab(home) as client:
        client.add_board(address_of(board))
        target = connected(client, 1)

        def programs() -> Iterator[ProgramFile]:
            yield file
            wait_until(ran.exists)
            os.kill(json.loads(home.daemon_file.read_text())["pid"], signal.SIGTERM)
            wait_until(lambda: not home.daemon_file.exists())

        with pytest.raises(LabError):
            client.measure(target, programs(), once)
    release.touch()
    with running_lab(home) as client:
        client.add_board(address_of(board))
        [outcome] = client.measure(target, [file], once)
    assert isinstance(outcome, MeasuredLatency)
    assert ran.read_text() == "x"
    assert list(ends_of_jobs(home).values()) == [1]


@pytest.mark.parametrize("netem", ["", "delay 10ms loss 1%"])
def test_two_boards_elsewhere_share_the_jobs(
    start_board: StartBoard, tmp_path: Path, netem: str
) -> None:
    """Each with a machine-id of its own, for otherwise they are one machine."""
    home = LabHome(tmp_path / "home")
    with ExitStack() as stack:
        for number in range(2):
            name, host = stack.enter_context(elsewhere(number, netem))
            machine_id = tmp_path / f"machine-id-{number}"
            machine_id.write_text(f"{number:032}\n")
            own_id = f'mount --bind {machine_id} /etc/machine-id && exec "$@"'
            within = ("ip", "netns", "exec", name, "sh", "-c", own_id, "sh")
            board = start_board("--listen", f"{host}:7070", state=name, within=within)
            latlab(home, "devices", "add", f"{host}:7070", board.code)
        with running_lab(home) as client:
            for address in Boards(home.boards).addresses():
                client.add_board(address)
            target = connected(client, 2)
            files = [program(tmp_path, f"answer()  # {number}") for number in range(12)]
            outcomes = client.measure(target, files, SPEC)
        assert [type(outcome) for outcome in outcomes] == [MeasuredLatency] * len(files)
        assert list(ends_of_jobs(home).values()) == [1] * len(files)
        assert len(measuring_devices(home)) == 2
