"""transfer.upgrade_within_5pct: predictions after a real change of build, from ten measurements.

The lab's machine measures networks with its usual runner. Then the runner is replaced by another
build: one that is compiled with other flags, and one of ExecuTorch's previous release, if its
wheel can be installed. Ten networks are measured on each new build, as `latlab calibrate
--after-upgrade` chooses them. The others are predicted from these ten and from the build before,
and are measured as well. Some of them were measured on the build before, some never.

python -m tests.bench.bench_upgrade: LATLAB_HOME should be a folder of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.home import lab_process
from host.home.paths import LabHome
from latency_models.kernel_predictor import KernelPredictor
from latency_models.measured_networks import HALF_WIDTHS, each_once
from latency_models.packing import pack
from latency_models.predictor import Predictor
from latency_models.targets.blended_predictor import BlendedPredictor
from latlab.domain.measured_network import MeasuredNetwork
from search.latency.calibration import random_networks
from search.latency.networks import export_spec
from search.latency.upgrade import change, networks_after_upgrade
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.kernels import kernels
from search.space.space import mnasnet_space
from tests.bench.bench_predict60 import new_networks
from tests.bench.figures import at_least, quick, report
from tests.bench.real_lab import real_lab
from tests.device_agent.agent_process import REPOSITORY
from tests.device_agent.conftest import compile_with_cmake

FloatArray = NDArray[np.float64]

SEED = 20262911  # of the networks that no build but the new one has measured
BEFORE = quick(40, 14)
KNOWN, NEW = quick(11, 2), quick(11, 2)  # networks whose predictions are checked
WITHIN = 0.05
RUNNER = REPOSITORY / "device_agent" / "runner"
OTHER_FLAGS = "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -fno-inline"
INSTALL_TIMEOUT_S = 600


@dataclass(frozen=True)
class Checked:
    """Networks that were predicted for a new build and measured on it, as parallel arrays.

    Attributes:
        errors: (networks,) the relative errors of the blend.
        own: Those of the new build's ten measurements alone.
        unchanged: Those of the build before, as if nothing had changed.
        is_inside: Whether the latency is inside the blend's interval.
        deviations: The relative standard errors of the measurements.
    """

    errors: FloatArray
    own: FloatArray
    unchanged: FloatArray
    is_inside: NDArray[np.bool_]
    deviations: FloatArray


def main() -> None:
    builds = new_builds()
    known_before = random_networks(mnasnet_space(), BEFORE)
    before = measured(None, known_before)
    chosen = networks_after_upgrade(mnasnet_space(), before, [], DEFAULT_DEPLOYMENT)
    rest = [network for network in known_before if network not in chosen][:KNOWN]
    rest += new_networks(NEW, SEED)
    checked = {}
    for name, runner in builds.items():
        after = measured(runner, [*chosen, *rest])
        checked[name] = check(name, before, after, forms(chosen))
    errors = np.concatenate([of_one.errors for of_one in checked.values()])
    report(
        "transfer.upgrade_within_5pct",
        share_within(errors),
        "share",
        at_least(0.95),
        of_each={name: share_within(of_one.errors) for name, of_one in checked.items()},
        networks=len(errors),
        seed=SEED,
    )


def check(
    name: str,
    before: Sequence[MeasuredNetwork],
    after: Sequence[MeasuredNetwork],
    ten: frozenset[object],
) -> Checked:
    """Predict the networks that are not among the ten, compare, and report a build's figures."""
    learned = [network for network in after if network.kernels in ten]
    old, own = KernelPredictor.fit(before), KernelPredictor.fit(learned)
    blended = BlendedPredictor.fit(own, [old], learned, [network.kernels for network in before])
    rest = each_once([own.steadying(n) for n in after if n.kernels not in ten])
    errors, is_inside = compare(blended, rest)
    deviations = [np.log(n.upper_ns / n.lower_ns) / 2 / HALF_WIDTHS for n in rest]
    of_one = Checked(
        errors, compare(own, rest)[0], compare(old, rest)[0], is_inside, np.array(deviations)
    )
    ratio = change(before, learned)
    report(
        f"transfer.upgrade_{name}_within_5pct",
        share_within(of_one.errors),
        "share",
        None,
        networks=len(rest),
        measured_before=len({n.kernels for n in before}.intersection(n.kernels for n in rest)),
        own_alone=share_within(of_one.own),
        build_before_alone=share_within(of_one.unchanged),
        mean_error=round(float(of_one.errors.mean()), 4),
        coverage=round(float(of_one.is_inside.mean()), 3),
        standard_error=round(float(np.median(of_one.deviations)), 4),
        ratio=None
        if ratio is None
        else [round(x, 4) for x in (ratio.mean, ratio.lower, ratio.upper)],
    )
    return of_one


def compare(
    predictor: Predictor | BlendedPredictor, networks: Sequence[MeasuredNetwork]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the relative errors, and whether each latency is inside its interval."""
    estimates = predictor.predict(*pack(n.kernels for n in networks), now_unix_ns=0, guess=True)
    latencies_ns = np.array([network.latency_ns for network in networks])
    predicted_ns, lower_ns, upper_ns = np.array(
        [(e.latency_ns, e.lower_ns, e.upper_ns) for e in estimates], dtype=np.float64
    ).T
    errors: FloatArray = np.abs(predicted_ns / latencies_ns - 1)
    return errors, (lower_ns <= latencies_ns) & (latencies_ns <= upper_ns)


def share_within(errors: FloatArray) -> float:
    return round(float(np.mean(errors <= WITHIN)), 4)


def forms(networks: Sequence[Architecture]) -> frozenset[object]:
    return frozenset(map(kernels, networks))


def measured(runner: Path | None, networks: Sequence[Architecture]) -> list[MeasuredNetwork]:
    """Return what the lab has measured of the networks with a runner, None for the usual one."""
    with runner_of_lab(runner), real_lab() as opened:
        print(f"runner {opened.target.runner_build}", file=sys.stderr)
        return list(filter(None, opened.measured(list(map(export_spec, networks)))))


@contextmanager
def runner_of_lab(runner: Path | None) -> Iterator[None]:
    """Have the lab that is brought up meanwhile use a runner, and stop it afterwards."""
    before = os.environ.get("LATLAB_RUNNER")
    if runner is not None:
        os.environ["LATLAB_RUNNER"] = str(runner)
    try:
        yield
    finally:
        lab_process.down(LabHome.from_environment())
        os.environ.pop("LATLAB_RUNNER", None)
        if before is not None:
            os.environ["LATLAB_RUNNER"] = before


def new_builds() -> dict[str, Path]:
    """Build the other runners, and return them by name."""
    folders = {"flags": compile_with_cmake(RUNNER, "runner_other_flags", settings=[OTHER_FLAGS])}
    previous = previous_release()
    if previous is not None:
        name = "runner_previous_release"
        folders["release"] = compile_with_cmake(RUNNER, name, executorch=previous)
    return {name: folder / "latlab-runner" for name, folder in folders.items()}


def previous_release() -> Path | None:
    """Install the release before the installed ExecuTorch into a folder of its own.

    Returns:
        The folder of the package; None if no wheel of it suits this Python, or if the wheel has no
        libraries for C++. Wheels before 1.5 have none.
    """
    folder = REPOSITORY / "build" / "previous_executorch"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(unfinished)]
        command += ["--no-deps", "--only-binary", ":all:", f"executorch<{version('executorch')}"]
        done = subprocess.run(command, check=False, timeout=INSTALL_TIMEOUT_S)
        if done.returncode == 0:
            unfinished.rename(folder)
    package = folder / "executorch"
    if (package / "lib").exists():
        return package
    print("skipped: no previous release of ExecuTorch with libraries for C++", file=sys.stderr)
    return None


if __name__ == "__main__":
    main()
