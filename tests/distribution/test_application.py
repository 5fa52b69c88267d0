"""The application's wheels, in an environment without a compiler and away from the checkout."""

from __future__ import annotations

import json
import os
import pickle
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_agent.bundle import wheels
from latlab.domain.program import ProgramFile
from tests.device_agent.real_bundle import BuiltBundle
from tests.distribution.environments import (
    LIMIT_S,
    empty_environment,
    install,
    with_packages_of_others,
)
from tests.structure import REPOSITORY
from tests.virtual_phone.adb_server import Adb
from tests.virtual_phone.phone import NoPhone, virtual_phone
from tests.virtual_phone.phone_lab import DATA_BYTES, SPEC

# Measures a program on the first target of a kind of device: local or adb.
MEASURE = """
import json, pickle, sys, time
import latlab

kind, path = sys.argv[1:]
with open(path, "rb") as file:
    program, spec = pickle.load(file)
deadline_s = time.monotonic() + 60
with latlab.connect() as lab:
    while True:
        statuses = [s for s in lab.devices() if s.transport_kind.value == kind and s.targets]
        if statuses or time.monotonic() > deadline_s:
            break
        time.sleep(0.05)
    assert statuses, lab.devices()
    [outcome] = lab.measure(statuses[0].targets[0], [program], spec)
print(json.dumps([type(outcome).__name__, str(outcome), latlab.__file__]))
"""


@dataclass(frozen=True)
class Installation:
    """An environment with the application, and a home for its lab."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> str:
        """What one of the environment's commands prints."""
        done = subprocess.run(
            [self.folder / "venv/bin" / command[0], *command[1:]],
            cwd="/",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def measured(self, kind: str, program: ProgramFile) -> str:
        """The kind of outcome of measuring a program on a kind of device, and what it says."""
        task = self.folder / "task"
        task.write_bytes(pickle.dumps((program, SPEC)))
        outcome, words, source = json.loads(self.run("python", "-c", MEASURE, kind, str(task)))
        assert Path(source).is_relative_to(self.folder)
        return f"{outcome}: {words}"


@pytest.fixture(scope="module")
def application_wheels(
    tmp_path_factory: pytest.TempPathFactory, built_bundle: BuiltBundle
) -> Sequence[Path]:
    """The wheels for this machine: of the application, and of its own kind of bundle."""
    folder, machine = tmp_path_factory.mktemp("application-wheels"), platform.machine()
    bundle = built_bundle(machine)[0]
    return (
        wheels.application_wheel(folder, machine, bundle / "bin/latlab-runner"),
        wheels.bundles_wheel(folder, {machine: bundle}),
    )


@pytest.fixture(scope="module")
def installation(
    client_wheel: Path, application_wheels: Sequence[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Its lab is up. adb is the only command beside those of the environment."""
    folder = tmp_path_factory.mktemp("application")
    python = empty_environment(folder / "venv")
    with_packages_of_others(python)
    install(python, "--no-index", client_wheel, *application_wheels)
    (folder / "commands").mkdir()
    if adb := shutil.which("adb"):
        (folder / "commands/adb").symlink_to(adb)
    environment = {
        "PATH": f"{folder}/venv/bin:{folder}/commands",
        "HOME": str(folder),
        "LATLAB_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "ANDROID_ADB_SERVER_PORT": os.environ.get("ANDROID_ADB_SERVER_PORT", "5037"),
    }
    assert not any(shutil.which(c, path=environment["PATH"]) for c in ("cc", "c++", "g++", "cmake"))
    installed = Installation(folder, environment)
    try:
        assert "The lab is up." in installed.run("latlab", "lab", "up")
        yield installed
    finally:
        installed.run("latlab", "lab", "down")


def test_it_measures_on_this_machine(
    installation: Installation, small_programs: list[ProgramFile]
) -> None:
    outcome = installation.measured("local", small_programs[0])
    assert outcome.startswith("MeasuredLatency: ")


def test_it_serves_a_phone(installation: Installation, small_programs: list[ProgramFile]) -> None:
    try:
        with virtual_phone(DATA_BYTES) as phone:
            Adb().connect(phone.serial)
            outcome = installation.measured("adb", small_programs[0])
            Adb().disconnect(phone.serial)
    except NoPhone as reason:
        pytest.skip(str(reason))
    assert outcome.startswith("MeasuredLatency: ")


def test_its_wheel_holds_the_runner_and_the_templates(application_wheels: Sequence[Path]) -> None:
    with zipfile.ZipFile(application_wheels[0]) as wheel:
        packed = set(wheel.namelist())
        [tags] = [name for name in packed if name.endswith("/WHEEL")]
        described = wheel.read(tags).decode()
    templates = (REPOSITORY / "search/report/templates").iterdir()
    assert {f"search/report/templates/{template.name}" for template in templates} <= packed
    assert wheels.RUNNER in packed
    # Its libraries are ExecuTorch's, which lie in the environment's folder for one kind of machine.
    assert "Root-Is-Purelib: false" in described
    assert f"Tag: py3-none-manylinux_2_34_{platform.machine()}" in described
