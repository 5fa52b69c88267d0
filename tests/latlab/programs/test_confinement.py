"""A confined process computes and answers, and reaches nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = """
import os, select, signal, socket, subprocess, sys
from latlab.programs.confinement import confine
inherited = open(sys.argv[1])
if not confine():
    sys.exit(77)
try:
    {deed}
except PermissionError:
    print("refused")
else:
    print("done")
"""
UNCONFINED = 77


def outcome_of(deed: str, file: Path) -> str:
    """Of a line of Python in a confined process."""
    done = subprocess.run(
        [sys.executable, "-c", CONFINED.format(deed=deed), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == UNCONFINED:
        pytest.skip("this kernel has no seccomp")
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    "deed",
    [
        "open(sys.argv[1])",
        "open(sys.argv[1] + '.new', 'w')",
        "os.stat(sys.argv[1])",
        "os.listdir('/')",
        "os.remove(sys.argv[1])",
        "os.rename(sys.argv[1], sys.argv[1] + '.old')",
        "os.mkdir(sys.argv[1] + '.folder')",
        "os.chmod(sys.argv[1], 0o777)",
        "socket.socket()",
        "socket.socketpair()",
        "os.kill(os.getppid(), signal.SIGTERM)",
        "os.fork()",
        "subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.setuid(0)",
        "os.truncate(sys.argv[1], 0)",
        "os.symlink('/', sys.argv[1] + '.link')",
        "__import__('wave')",
    ],
)
def test_it_reaches_no_files_no_network_and_no_processes(deed: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    assert outcome_of(deed, file) == "refused"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "kept"


@pytest.mark.parametrize(
    "deed",
    [
        "inherited.read()",
        "os.fstat(inherited.fileno())",
        "bytearray(64 << 20)",
        "[str(number) for number in range(100_000)]",
        "signal.setitimer(signal.ITIMER_REAL, 60)",
    ],
)
def test_it_reads_what_it_has_and_computes(deed: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    assert outcome_of(deed, file) == "done"
