"""The bundle: the same bytes twice, and an agent where nothing else is."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

import device_agent.bundle
from device_agent.bundle import BundleError
from device_agent.bundle.build import LOADERS
from device_agent.bundle.downloads import Pin, fetch, read_pins
from host.measuring.kernel_times import kernel_times_ns
from latlab.convert.visits import visit_from_message
from latlab.export import export_program
from latlab.v1 import common_pb2
from tests.device_agent import odd_programs, runner_values
from tests.device_agent.agent_process import (
    REPOSITORY,
    AgentProcess,
    is_alive,
    sha256,
    spec,
    wait_until,
)
from tests.device_agent.bare_machine import NoBareMachine, within
from tests.device_agent.conftest import StartAgent
from tests.device_agent.real_bundle import BuiltBundle, build_in

MACHINES = sorted(LOADERS)
MIB = 1 << 20


@pytest.fixture(scope="module")
def runner_of_bundle(built_bundle: BuiltBundle) -> Path:
    """This machine's."""
    if platform.machine() not in MACHINES:
        pytest.skip(f"there is no bundle for {platform.machine()}")
    return built_bundle(platform.machine())[0] / "latlab-runner"


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bare_agent(
    machine: str, built_bundle: BuiltBundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentProcess]:
    """A bundle's, on a bare machine."""
    folder = tmp_path_factory.mktemp(f"bare-{machine}")
    try:
        enter = within(machine, folder)
    except NoBareMachine as reason:
        pytest.skip(str(reason))
    bundle = shutil.copytree(built_bundle(machine)[0], folder / "bundle")
    agent = AgentProcess(
        folder / "state", bundle / "latlab-runner", program=[*enter, bundle / "latlab-agent"]
    )
    yield agent
    agent.end()


def test_it_tells_a_bare_machine(machine: str, bare_agent: AgentProcess) -> None:
    description = bare_agent.describe()
    assert description.abi == machine
    assert "xnnpack" in description.backends
    assert importlib.metadata.version("executorch") in description.runtime_version
    if machine == platform.machine():
        assert "seccomp" in description.confinement
    else:  # an emulator knows neither, and the runner says so
        assert list(description.confinement) == []
    assert description.core_classes


def test_it_times_each_kernel_on_a_bare_machine(bare_agent: AgentProcess) -> None:
    from torch import nn

    layers = [
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU6()),
        *(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 16, 1)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    ]
    program, data = export_program(nn.Sequential(*layers).eval(), (1, 3, 16, 16))
    bare_agent.upload(data)
    response = bare_agent.run("traced", data, spec=spec(traced=True))
    assert response.HasField("visit"), response
    kernels_ns = kernel_times_ns(program, [visit_from_message(response.visit)])
    assert kernels_ns is not None
    assert len(kernels_ns) == len(program.kernels)


@pytest.mark.parametrize("name", ["int8", "quantized operators", "tokens", "every dtype"])
def test_it_runs_programs_of_every_kind_on_a_bare_machine(
    bare_agent: AgentProcess, name: str
) -> None:
    make, inputs = odd_programs.RUNNABLE[name]
    bare_agent.upload(make())
    tensors = [
        common_pb2.TensorSpec(
            shape=common_pb2.Shape(dims=given.shape),
            dtype=given.dtype,
            low=given.low,
            high=given.high,
        )
        for given in map(runner_values.parse, inputs)
    ]
    response = bare_agent.run(f"odd-{sha256(make())[:8]}", make(), inputs=tensors)
    assert response.HasField("visit"), response
    assert response.visit.peak_rss_bytes > response.visit.planned_bytes > 0


def test_a_runner_that_loses_its_lease_is_killed(
    start_agent: StartAgent, runner_of_bundle: Path, program: bytes
) -> None:
    agent = start_agent(runner=runner_of_bundle)
    agent.upload(program)
    endless = spec(warmup_ns=50_000_000_000, max_timed_runs=1_000_000)
    run = agent.start_run("endless", program, spec=endless, lease_token=1)
    wait_until(lambda: runners_of(agent) != [])
    (runner,) = runners_of(agent)
    assert agent.run("next", program, lease_token=2).HasField("visit")
    assert run.result().failure.kind == common_pb2.FAILURE_KIND_CANCELLED
    assert not is_alive(runner)


def runners_of(agent: AgentProcess) -> list[int]:
    children = Path(f"/proc/{agent.process.pid}/task").glob("*/children")
    return [int(pid) for child in children for pid in child.read_text().split()]


def test_a_runner_keeps_to_its_memory(
    start_agent: StartAgent, runner_of_bundle: Path, wide_program: bytes
) -> None:
    agent = start_agent("--runner-memory-bytes", str(120 * MIB), runner=runner_of_bundle)
    agent.upload(
        wide_program, [wide_program[i : i + MIB] for i in range(0, len(wide_program), MIB)]
    )
    failure = agent.run("memory", wide_program, shapes=[[1, 4096]]).failure
    assert failure.kind == common_pb2.FAILURE_KIND_OUT_OF_MEMORY, failure


def test_the_same_inputs_give_the_same_bytes(built_bundle: BuiltBundle, tmp_path: Path) -> None:
    """In another folder, at another time, by another umask."""
    first = built_bundle("x86_64")[1].read_bytes()
    umask = os.umask(0o077)
    try:
        bundle, archive = build_in(tmp_path, "x86_64")
    finally:
        os.umask(umask)
    assert archive.read_bytes() == first
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {bundle.name, archive.name, "downloads"}


def test_it_is_small_and_says_nothing_of_where_it_was_built(
    built_bundle: BuiltBundle, machine: str
) -> None:
    bundle, archive = built_bundle(machine)
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 90e6
    assert archive.stat().st_size <= 60e6
    assert not [path for path in bundle.rglob("*") if path.is_symlink()]
    told = (str(REPOSITORY).encode(), str(bundle.parent).encode())
    assert not [path for path in files if any(word in path.read_bytes() for word in told)]
    licensed = {path.name for path in (bundle / "licenses").iterdir()}
    assert {"gcc-12-base", "libc6", "libexpat1", "zlib1g"} <= licensed
    description = json.loads((bundle / "bundle.json").read_text())
    assert description["machine"] == machine
    assert len(description["sha256"]) == 64


def test_it_says_which_packages_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "device_agent.bundle", "aarch64", "--bundles", tmp_path],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    cross = "" if platform.machine() == "aarch64" else "-aarch64-linux-gnu"
    assert f"apt install g++-12{cross} make dpkg" in done.stderr
    assert not list(tmp_path.iterdir())


def test_bytes_that_were_not_pinned_are_refused(tmp_path: Path) -> None:
    wheel = next(pin for pin in _pins(platform.machine()) if pin.name.startswith("typing_ext"))
    with pytest.raises(BundleError, match="hash"):
        fetch([Pin("0" * 64, wheel.path)], tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(BundleError, match=r"absent_1_all\.deb"):
        fetch([Pin("0" * 64, "pool/main/a/absent/absent_1_all.deb")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_pins_are_what_this_package_requires() -> None:
    """The same for every machine, and the very runtime that programs are exported for."""

    def wheels(machine: str) -> dict[str, Version]:
        names = [pin.name for pin in _pins(machine) if pin.is_wheel]
        return {name: version for name, version, _, _ in map(parse_wheel_filename, names)}

    pinned = wheels(MACHINES[0])
    assert all(wheels(machine) == pinned for machine in MACHINES)
    for requirement in map(Requirement, importlib.metadata.requires("latency-lab") or []):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is None or version in requirement.specifier, requirement
    assert str(pinned["executorch"]) == importlib.metadata.version("executorch")


def _pins(machine: str) -> list[Pin]:
    return read_pins(Path(device_agent.bundle.__file__).with_name(f"{machine}.sha256"))
