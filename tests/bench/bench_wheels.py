"""wheels.first_latency_s: from `pip install` to the first latency, without a compiler.

python -m tests.bench.bench_wheels

The wheels of this checkout and of all packages that they need lie in a folder, which is filled
first and does not count. Then an empty environment, in which no compiler can be found, installs the
application from that folder, brings a new lab up and measures MnasNet-A1. The time ends with the
first value that `latlab measure` prints. QUICK=1 links the packages of others into the environment
instead of installing them.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from device_agent.bundle import wheels
from device_agent.bundle.build import build
from tests.bench.figures import IS_QUICK, at_most, report
from tests.distribution.environments import empty_environment, with_packages_of_others
from tests.structure import REPOSITORY

NETWORK = "mnasnet-a1"
LIMIT_S = 1_800


def main() -> None:
    # Where this runs in the background, SIGINT is ignored, and commands would ignore it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheelhouse = folder / "wheelhouse"
        wheelhouse.mkdir()
        fill(wheelhouse)
        python = empty_environment(folder / "venv")
        if IS_QUICK:
            with_packages_of_others(python)
        measure(folder, wheelhouse)


def fill(wheelhouse: Path) -> None:
    """Build our wheels for this machine, and those of what they need where there are none."""
    machine = platform.machine()
    runner = build(machine, REPOSITORY / "build/bundle")[0] / "bin/latlab-runner"
    ours = [wheels.client_wheel(wheelhouse)]
    ours.append(wheels.application_wheel(wheelhouse, machine, runner))
    if not IS_QUICK:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(wheelhouse)]
        run([*pip, *map(str, ours)])


def measure(folder: Path, wheelhouse: Path) -> None:
    binaries = folder / "venv/bin"
    environment = {
        "PATH": str(binaries),
        "HOME": str(folder),
        "LATLAB_HOME": str(folder / "home"),
    }
    assert shutil.which("c++", path=environment["PATH"]) is None
    pip = [sys.executable, "-m", "pip", "--python", str(binaries / "python")]
    install = [*pip, "install", "--quiet", "--no-index", "--find-links", str(wheelhouse)]
    install_s = timed_s(lambda: run([*install, "latency-lab"]))
    latlab = str(binaries / "latlab")
    try:
        up_s = timed_s(lambda: run([latlab, "lab", "up"], environment))
        first_s = seconds_to_first_value([latlab, "measure", NETWORK], environment)
    finally:
        run([latlab, "lab", "down"], environment)
    report(
        "wheels.first_latency_s",
        round(install_s + up_s + first_s, 1),
        "s",
        at_most(120),
        install_s=round(install_s, 1),
        lab_up_s=round(up_s, 1),
        measure_s=round(first_s, 1),
        network=NETWORK,
        packages_of_others="linked" if IS_QUICK else "installed",
    )


def seconds_to_first_value(command: list[str], environment: Mapping[str, str]) -> float:
    start_s = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken_s = time.monotonic() - start_s
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert "so far" in line, line + rest
    return taken_s


def timed_s(action: Callable[[], None]) -> float:
    start_s = time.monotonic()
    action()
    return time.monotonic() - start_s


def run(command: list[str], environment: Mapping[str, str] = os.environ) -> None:
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, timeout=LIMIT_S)


if __name__ == "__main__":
    main()
