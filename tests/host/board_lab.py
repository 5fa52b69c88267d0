"""Labs whose devices are boards: real daemons and agents over TLS, with a stand-in for the
runner."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.program import Program, ProgramFile, TensorSpec
from search.cli import app
from tests.device_agent.agent_process import REPOSITORY, AgentProcess, wait_until
from tests.device_agent.conftest import SOURCE_MARK
from tests.pte_file import idle_program

SPEC = BenchmarkSpec(
    VisitSpec(warmup_runs=1, warmup_ns=0, timed_runs=3, timed_ns=0),
    min_visits=3,
    max_visits=3,
    traced_visits=0,
    spacing_ns=0,
)
DAEMON = """\
from host.daemon import serve
from host.home.paths import LabHome
serve(LabHome.from_environment(), [])
"""

StartBoard = Callable[..., AgentProcess]


def address_of(board: AgentProcess) -> str:
    return f"127.0.0.1:{board.port}"


def new_code(board: AgentProcess) -> str:
    command = [sys.executable, "-m", "device_agent", f"--state-dir={board.state}", "--new-code"]
    printed = subprocess.check_output(command, cwd=REPOSITORY, text=True)
    return printed.splitlines()[-1]


@contextmanager
def running_lab(home: LabHome, before: str = "") -> Iterator[LatencyClient]:
    """A daemon that serves no device but those that are added; what it runs `before`."""
    environment = {**os.environ, "LATLAB_HOME": str(home.root)}
    daemon = subprocess.Popen(
        [sys.executable, "-c", before + DAEMON], cwd=REPOSITORY, env=environment
    )
    try:
        process = LockedProcess(home.daemon_file, home.lock_file)
        wait_until(lambda: process.info() is not None or daemon.poll() is not None)
        with LatencyClient.connect(home.root) as client:
            yield client
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=60)


def latlab(home: LabHome, *arguments: str) -> str:
    result = CliRunner().invoke(
        app, arguments, env={"LATLAB_HOME": str(home.root), "COLUMNS": "200"}
    )
    assert result.exit_code in (0, 2), result.output
    return result.output


def connected(client: LatencyClient, boards: int) -> str:
    """Waits until so many are; the name of a target of one of them."""
    wait_until(lambda: sum(bool(status.targets) for status in client.devices()) == boards)
    return client.devices()[0].targets[0]


def program(
    folder: Path, source: str, inputs: tuple[TensorSpec, ...] = (TensorSpec((1, 3)),)
) -> ProgramFile:
    """For the stand-in, which runs the source as Python; a program to those who only read it."""
    data = idle_program(inputs) + SOURCE_MARK.encode() + source.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / f"{sha256}.pte"
    path.write_bytes(data)
    return ProgramFile(Program(sha256, len(data), "xnnpack", inputs, (), (), "test"), path)


@contextmanager
def elsewhere(number: int, netem: str) -> Iterator[tuple[str, str]]:
    """A network namespace behind a line that is as bad as `netem` says, each way; its name
    and its address. Skips where the kernel or our rights do not allow it."""
    name = f"latlab-{os.getpid()}-{number}"
    near, far = f"ll{os.getpid() % 100_000}n{number}", f"ll{os.getpid() % 100_000}f{number}"
    network = f"198.18.{number}"  # of the block for benchmarks, RFC 2544
    commands = [
        f"ip netns add {name}",
        f"ip link add {near} type veth peer name {far} netns {name}",
        f"ip addr add {network}.1/30 dev {near}",
        f"ip link set {near} up",
        f"ip -n {name} addr add {network}.2/30 dev {far}",
        f"ip -n {name} link set {far} up",
        f"ip -n {name} link set lo up",
    ]
    if netem:
        commands += [
            f"tc qdisc add dev {near} root netem {netem}",
            f"tc -n {name} qdisc add dev {far} root netem {netem}",
        ]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"{command}: {done.stderr.strip()}")
        yield name, f"{network}.2"
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed: apt install iproute2")
    finally:
        subprocess.run(["ip", "link", "del", near], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
