"""Processes that hold a lock, and the secrets of a lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host.home.paths import LabHome
from host.home.processes import LockedProcess, lock_home, locked_home
from latlab.client.connection.home import read_token
from latlab.domain.errors import Unavailable

HOLDER = """\
import fcntl, sys, time
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


def holder(lock_file: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, lock_file], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    return process


def test_no_signal_goes_to_a_process_that_does_not_hold_the_lock(tmp_path: Path) -> None:
    """The file is that of a daemon that was killed, whose id is another process's by now. A new
    daemon has the lock, and does not serve yet."""
    process = LockedProcess(tmp_path / "info", tmp_path / "lock")
    with (
        subprocess.Popen(["sleep", "600"]) as bystander,
        holder(process.lock_file) as successor,
    ):
        process.info_file.write_text(json.dumps({"pid": bystander.pid}))
        process.stop(0.2)
        assert bystander.poll() is None
        assert successor.poll() is None
        process.info_file.write_text(json.dumps({"pid": successor.pid}))
        assert process.stop(60)
        assert successor.wait(60) != 0
        assert process.info() is None
        assert not process.stop(60)
        assert bystander.poll() is None
        bystander.kill()


def test_a_command_keeps_daemons_off_while_it_works_on_the_files(tmp_path: Path) -> None:
    process = LockedProcess(tmp_path / "info", tmp_path / "lock")
    process.info_file.write_text(json.dumps({"pid": 2**22}))  # of a daemon that was killed
    with locked_home(process):
        assert process.info() is None
        with pytest.raises(Unavailable, match="already runs"):
            lock_home(process.lock_file)
    with holder(process.lock_file) as daemon:
        with pytest.raises(Unavailable, match="already runs"), locked_home(process):
            pytest.fail("it worked beside a daemon")
        daemon.kill()
    os.close(lock_home(process.lock_file))


def test_a_token_that_was_written_by_half_is_made_anew(tmp_path: Path) -> None:
    home = LabHome(tmp_path)
    home.token_file.touch()
    token = home.token()
    assert token == home.token() == read_token(home.token_file)
    assert home.token_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_labs_lease_under_names_of_their_own(tmp_path: Path) -> None:
    """Also where host and path have equal names."""
    homes = [LabHome(tmp_path / name) for name in "ab"]
    for home in homes:
        home.create()
    assert homes[0].holder() == homes[0].holder() != homes[1].holder()
    assert len(homes[0].holder()) <= 64
