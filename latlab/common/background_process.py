"""Start a process in the background, and wait until it serves."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from latlab.common.files import storing
from latlab.domain.errors import Unavailable

POLL_S = 0.05


def start_and_wait(
    name: str,
    command: Sequence[str],
    log_file: Path,
    is_ready: Callable[[int], bool],
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Start a process that outlives this one, and wait until it serves.

    Args:
        name: The process's name in errors: "the lab", for example.
        command: The program and its arguments.
        log_file: The process's output is appended to this file.
        is_ready: Returns whether the process of a process id serves.
        timeout_s: How long to wait; a process that takes longer is killed.
        environment: Environment variables to set besides those of this process.

    Raises:
        Unavailable: The process ended, with its last line of output, or took too long.
        StorageError: The log cannot be written.
    """
    with storing(log_file), log_file.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    deadline_s = time.monotonic() + timeout_s
    while not is_ready(process.pid):
        if process.poll() is not None:
            reason = _last_line(log_file, log_start)
            raise Unavailable(f"{name} could not start: {reason} (its log: {log_file})")
        if time.monotonic() > deadline_s:
            process.kill()
            process.wait()
            raise Unavailable(f"{name} did not start in {timeout_s:g} s (its log: {log_file})")
        time.sleep(POLL_S)


def _last_line(log_file: Path, start: int) -> str:
    """Return the message of the last line that was written from byte `start` on."""
    with storing(log_file), log_file.open("rb") as log:
        # The process may have begun the log anew.
        log.seek(start if start <= log_file.stat().st_size else 0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    if not lines:
        return "it printed nothing"
    with contextlib.suppress(ValueError, KeyError, TypeError):  # it is no line of a JSON log
        return str(json.loads(lines[-1])["message"])
    return lines[-1].split(" ERROR ")[-1]
