"""A process is started, and waited for until it serves."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from latlab.common.background_process import start_and_wait
from latlab.domain.errors import Unavailable

PYTHON = [sys.executable, "-c"]


def test_it_returns_once_the_process_serves(tmp_path: Path) -> None:
    log, ready = tmp_path / "log", tmp_path / "ready"
    code = f"import os, time; open({str(ready)!r}, 'w').write(os.environ['WORD']); time.sleep(60)"
    pids: list[int] = []

    def is_ready(pid: int) -> bool:
        pids.append(pid)
        return ready.is_file() and ready.read_text() == "set"

    start_and_wait("it", [*PYTHON, code], log, is_ready, 60, {"WORD": "set"})
    os.kill(pids[-1], signal.SIGKILL)
    os.waitpid(pids[-1], 0)
    assert len(set(pids)) == 1


def test_one_that_ends_is_explained_by_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an older line\n")
    code = "print('started'); print('12:00:00 ERROR no home: make one')"
    with pytest.raises(Unavailable, match=rf"the lab could not start: no home.*{log}"):
        start_and_wait("the lab", [*PYTHON, code], log, lambda _: False, 60)
    code = """print('{"level": "ERROR", "message": "no home: make one"}')"""
    with pytest.raises(Unavailable, match=rf"the lab could not start: no home: make one \(.*{log}"):
        start_and_wait("the lab", [*PYTHON, code], log, lambda _: False, 60)
    with pytest.raises(Unavailable, match="printed nothing"):
        start_and_wait("the lab", [*PYTHON, "pass"], log, lambda _: False, 60)


def test_one_that_is_too_slow_is_ended(tmp_path: Path) -> None:
    pids: list[int] = []

    def is_ready(pid: int) -> bool:
        pids.append(pid)
        return False

    command = [*PYTHON, "import time; time.sleep(60)"]
    with pytest.raises(Unavailable, match=r"did not start in 0\.01 s"):
        start_and_wait("it", command, tmp_path / "log", is_ready, 0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[-1], 0)
