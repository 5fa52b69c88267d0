"""What a program that takes the runner over can do: nothing but compute."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.device_agent.agent_process import AgentProcess
from tests.device_agent.test_runner import call

LIMIT = ("--memory-bytes", str(4 << 30))
MEMORY = "take much memory"
RAISE = "raise the memory's limit"
CAP_SYS_RESOURCE = 24
MAY_RAISE_LIMITS = bool(
    int(re.findall(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())[0], 16)
    >> CAP_SYS_RESOURCE
    & 1
)
OF_LANDLOCK = ("open to read", "open to write", "open a folder", "make a folder", "execute")


@pytest.fixture
def confinement(runner: Path) -> list[str]:
    return list(call(runner, "--version")[1]["confinement"])


@pytest.fixture
def program_file(tmp_path: Path, program: bytes) -> Path:
    path = tmp_path / "program.pte"
    path.write_bytes(program)
    return path


def trial(
    trials: Path, program: Path, door: str, *options: str
) -> subprocess.CompletedProcess[str]:
    command = [str(trials / "runner-trial"), "--program", str(program), "--input", "1x3x16x16"]
    return subprocess.run(
        [*command, "--threads", "2", *options],
        env={"DOOR": door},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def attempts(trials: Path, program: Path, door: str, *options: str) -> dict[str, int]:
    """Each attempt's error, by its name; 0 where it succeeded."""
    done = trial(trials, program, door, *options)
    errors: dict[str, int] = json.loads(done.stdout)
    return errors


def test_without_a_door_every_attempt_succeeds(trials: Path, program_file: Path) -> None:
    """So that a failure behind it means something."""
    errors = attempts(trials, program_file, "free")
    assert len(errors) > 60
    assert not {name: os.strerror(error) for name, error in errors.items() if error}


def test_behind_the_door_every_attempt_fails(
    trials: Path, program_file: Path, confinement: list[str]
) -> None:
    """In the main thread and in one that was there before."""
    if "seccomp" not in confinement:
        pytest.skip("this kernel has no seccomp")
    errors = attempts(trials, program_file, "shut", *LIMIT)
    expected = {
        name: errno.ENOMEM if name.endswith(MEMORY) else errno.EPERM
        for name in attempts(trials, program_file, "free")
    }
    assert errors == expected


def test_without_a_limit_much_memory_can_be_taken(trials: Path, program_file: Path) -> None:
    assert attempts(trials, program_file, "shut")[MEMORY] == 0


def test_a_limit_cannot_even_be_set_to_what_it_is(
    trials: Path, program_file: Path, confinement: list[str]
) -> None:
    if "seccomp" not in confinement:
        pytest.skip("this kernel has no seccomp")
    assert attempts(trials, program_file, "free")[RAISE] == 0
    assert attempts(trials, program_file, "shut")[RAISE] == errno.EPERM


@pytest.mark.skipif(not MAY_RAISE_LIMITS, reason="only root with CAP_SYS_RESOURCE may")
def test_not_even_root_raises_its_limit(trials: Path, program_file: Path) -> None:
    assert attempts(trials, program_file, "free", *LIMIT)[RAISE] == 0
    assert attempts(trials, program_file, "shut", *LIMIT)[RAISE] == errno.EPERM


def test_landlock_alone_denies_files(
    trials: Path, program_file: Path, confinement: list[str]
) -> None:
    if "landlock" not in confinement:
        pytest.skip("this kernel has no Landlock")
    errors = attempts(trials, program_file, "landlock")
    assert {name: errors[name] for name in OF_LANDLOCK} == dict.fromkeys(OF_LANDLOCK, errno.EACCES)


def test_an_abort_is_still_seen(trials: Path, program_file: Path) -> None:
    assert trial(trials, program_file, "abort").returncode == -signal.SIGABRT


def test_a_kernel_that_refuses_the_filter_fails_the_visit(
    trials: Path, program_file: Path, confinement: list[str]
) -> None:
    if "seccomp" not in confinement:
        pytest.skip("this kernel has no seccomp")
    done = trial(trials, program_file, "crowded")
    assert done.returncode == 1
    failure = json.loads(done.stdout)["failure"]
    assert failure["kind"] == "execution_error"
    assert "refuses the filter" in failure["message"]


def test_the_device_says_how_it_confines(real_agent: AgentProcess, confinement: list[str]) -> None:
    assert list(real_agent.describe().confinement) == confinement


def test_a_runner_that_does_not_say_is_unconfined(agent: AgentProcess) -> None:
    assert list(agent.describe().confinement) == []


def test_many_threads_start_before_the_door_shuts(runner: Path, program_file: Path) -> None:
    """A thread that starts late aborts: its first system calls are not allowed."""
    for _ in range(10):
        options = ("--input", "1x3x16x16", "--threads", "8", "--timed-ns", "0", "--warmup-ns", "0")
        code, _ = call(runner, "--program", str(program_file), *options)
        assert code == 0
