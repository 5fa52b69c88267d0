"""Logs in files are bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from latlab.common import log

NOISY = """\
import logging, os, sys
from latlab.common import log
log.MAX_LOG_BYTES = 10_000
log.start_logging()
for number in range(1_000):
    logging.info("%d %s", number, "x" * 80)
os.write(2, b"printed by a library\\n")
print("for the terminal", flush=True)
"""


def test_a_log_in_a_file_is_begun_anew_above_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("of an earlier process\n")
    with path.open("ab") as file:
        done = subprocess.run(
            [sys.executable, "-c", NOISY], check=True, stderr=file, stdout=subprocess.PIPE
        )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1"]
    assert all(each.stat().st_size <= 10_200 for each in tmp_path.iterdir())
    assert path.read_text().endswith("printed by a library\n")
    assert " 999 xxx" in path.read_text()
    assert done.stdout == b"for the terminal\n"


def test_a_log_elsewhere_is_left_alone(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], check=True, capture_output=True)
    assert done.stderr.count(b"xxx") > 1_000


def test_another_programs_log_is_emptied_above_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "adb.log"
    log.bound_log(path)
    path.write_bytes(bytes(log.MAX_LOG_BYTES))
    log.bound_log(path)
    assert path.stat().st_size == log.MAX_LOG_BYTES
    with path.open("ab", buffering=0) as file:
        file.write(b"x")
        log.bound_log(path)
        file.write(b"later")
    assert path.read_bytes() == b"later"
