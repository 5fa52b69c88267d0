"""The runner, programs, and agents that are gone when their test is."""

from __future__ import annotations

import fcntl
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.device_agent.agent_process import REPOSITORY, AgentProcess

if TYPE_CHECKING:
    import torch  # seconds to import: only for those who export

StartAgent = Callable[..., AgentProcess]

CMAKE = (sys.executable, "-m", "cmake")  # the pinned one

# Takes the runner's arguments, and does what the "program", a piece of Python, says. There
# `answer()` prints a report as the runner would.
SOURCE_MARK = "# source\n"  # what the stand-in runs begins after it, if a program holds it
STAND_IN = """\
#!{python} -S
import json, os, sys, time

def answer(wall_ns=(3, 1, 2)):
    probes = dict(arithmetic_ns=1, memory_ns=1)
    series = dict(wall_ns=list(wall_ns), cpu_ns=[1, 1, 1], involuntary_switches=[0, 0, 0])
    print(json.dumps(dict(
        series, warmup_runs=1, load_ns=1, peak_rss_bytes=1, kernels=[],
        probes_before=probes, probes_after=probes)))

if sys.argv[1:] == ["--version"]:
    print(json.dumps(dict(runtime_version="stand-in", backends=["xnnpack"])))
else:
    program = open(sys.argv[sys.argv.index("--program") + 1], "rb").read()
    exec(program.split({mark!r}.encode())[-1].decode())
"""


def export(network: torch.nn.Module, input_shape: tuple[int, ...]) -> bytes:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from latlab.export.lowering.repairs import operators_listed_once

    with operators_listed_once():
        exported = torch.export.export(network.eval(), (torch.zeros(input_shape),))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)


def executorch_package() -> Path:
    executorch = importlib.util.find_spec("executorch")
    assert executorch is not None
    assert executorch.submodule_search_locations
    return Path(executorch.submodule_search_locations[0])


def build_trials() -> Path:
    """Builds what has changed of `runner_trials`; its folder. The benchmarks use it as well."""
    return compile_with_cmake(Path(__file__).with_name("runner_trials"), "trials")


def compile_with_cmake(
    source: Path, name: str, *, executorch: Path | None = None, settings: Sequence[str] = ()
) -> Path:
    """Compiles against an ExecuTorch, by default the installed one, into build/NAME, and returns
    that folder."""
    build = REPOSITORY / "build" / name
    build.mkdir(parents=True, exist_ok=True)
    prefix = f"-DCMAKE_PREFIX_PATH={executorch or executorch_package()}"
    settings = [prefix, "--log-level=WARNING", *settings]
    with (build / "lock").open("w") as lock:  # another process may compile it as well
        fcntl.flock(lock, fcntl.LOCK_EX)
        make = ["-S", str(source), "-B", str(build), *settings]
        for command in (make, ["--build", str(build), "--parallel"]):
            subprocess.run([*CMAKE, *command], check=True, stdout=sys.stderr, timeout=600)
    return build


def write_stand_in(folder: Path) -> Path:
    path = folder / "runner"
    path.write_text(STAND_IN.format(python=sys.executable, mark=SOURCE_MARK))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def runner() -> Path:
    """The real runner, built unless it is there."""
    binary = REPOSITORY / "build/runner/latlab-runner"
    if not binary.exists():
        compile_with_cmake(REPOSITORY / "device_agent/runner", "runner")
    return binary


@pytest.fixture(scope="session")
def trials() -> Path:
    """The folder of the runner's builds for tests, brought up to date."""
    return build_trials()


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stand_in(tmp_path_factory.mktemp("stand_in"))


@pytest.fixture(scope="session")
def program() -> bytes:
    """conv, relu, a padded average pool that XNNPACK does not take, linear: 1x3x16x16 to 1x10."""
    from torch import nn

    layers = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(3, stride=1, padding=1),
        nn.Flatten(),
        nn.Linear(8 * 16 * 16, 10),
    ]
    return export(nn.Sequential(*layers), (1, 3, 16, 16))


@pytest.fixture(scope="session")
def wide_program() -> bytes:
    """64 MiB of weights, for an input of 1x4096."""
    from torch import nn

    return export(nn.Sequential(nn.Linear(4096, 4096)), (1, 4096))


@pytest.fixture
def start_agent(tmp_path: Path, stand_in: Path) -> Iterator[StartAgent]:
    """Starts agents on this test's state directory, with the stand-in unless told."""
    agents: list[AgentProcess] = []

    def start(*options: str, runner: Path = stand_in) -> AgentProcess:
        agents.append(AgentProcess(tmp_path / "state", runner, options))
        return agents[-1]

    yield start
    for agent in agents:
        if agent.process.poll() is None:
            agent.end()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory, stand_in: Path) -> Iterator[AgentProcess]:
    """One for the module, with the stand-in."""
    agent = AgentProcess(tmp_path_factory.mktemp("agent"), stand_in)
    yield agent
    agent.end()


@pytest.fixture(scope="module")
def real_agent(tmp_path_factory: pytest.TempPathFactory, runner: Path) -> Iterator[AgentProcess]:
    """One for the module, with the real runner."""
    agent = AgentProcess(tmp_path_factory.mktemp("real_agent"), runner)
    yield agent
    agent.end()
