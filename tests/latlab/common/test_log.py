"""Logs in files are bounded, and are for people or for programs."""

from __future__ import annotations

import json
import os
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


SPEAKING = """\
import logging
from latlab.common import log
from latlab.common.telemetry.work import begin_call, working
log.start_logging()
logging.getLogger("before").info("a\\nb\\x1b\\x9b %s", "\u202e")
begin_call("r1", "/latlab.v1.LatencyService/Predict")
with working(owner="ann", job_id="j", run_id="v"):
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("it failed")
"""

UNCAUGHT = """\
import threading, warnings
from latlab.common import log
log.start_logging()
warnings.warn("careful")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
{}["key"]
"""


def said(log_format: str, code: str = SPEAKING) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=code == SPEAKING,
        capture_output=True,
        text=True,
        env={**os.environ, "LATLAB_LOG_FORMAT": log_format},
    )
    return done.stderr.splitlines()


def test_json_is_an_object_a_line_with_what_the_work_belongs_to() -> None:
    lines = said("json")
    first, second = map(json.loads, lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert first["message"] == "a\nb\x1b\x9b \u202e"
    assert (first["logger"], first["level"]) == ("before", "INFO")
    assert set(first) == {"time", "level", "logger", "message"}
    assert "ZeroDivisionError" in second.pop("exception")
    assert second.pop("time").endswith("Z")
    assert second == {
        "level": "ERROR",
        "logger": "root",
        "message": "it failed",
        "request_id": "r1",
        "method": "/latlab.v1.LatencyService/Predict",
        "owner": "ann",
        "job_id": "j",
        "run_id": "v",
    }


def test_text_shows_the_id_of_the_request() -> None:
    for log_format in ("", "text"):
        first, second, *traceback = said(log_format)
        assert first.endswith(" INFO a\\nb\\x1b\\x9b \\u202e")
        assert second.endswith(" ERROR [r1] it failed")
        assert traceback[-1].endswith("division by zero")


def test_an_unknown_format_is_named() -> None:
    assert "LATLAB_LOG_FORMAT is 'xml': set it to 'text' or 'json'" in said("xml")[0]


def test_errors_that_nothing_catches_are_logged_too() -> None:
    messages = [json.loads(line)["message"] for line in said("json", UNCAUGHT)]
    assert "careful" in messages[0]
    assert messages[1:] == [
        "ZeroDivisionError: division by zero",
        "KeyError: 'key'",
    ]
    assert said("text", UNCAUGHT)[-1].startswith("KeyError: ")
