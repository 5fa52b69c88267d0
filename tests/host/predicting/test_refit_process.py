"""Fits run in a process of their own, which ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.predicting.fitting import fit_measured
from host.predicting.refit_process import NICENESS, RefitProcess
from latency_models.packing import pack
from latlab.domain.errors import NotEnoughData, Unavailable
from latlab.domain.measured_network import MeasuredNetwork
from tests.latency_models.synthetic import Machine, random_networks

WAIT_S = 60.0


@pytest.fixture(scope="module")
def measured() -> dict[str, MeasuredNetwork]:
    networks = Machine(seed=0).measure_all(random_networks(6, seed=1))
    return {str(number): network for number, network in enumerate(networks)}


@pytest.fixture
def process() -> Iterator[RefitProcess]:
    process = RefitProcess()
    yield process
    process.close()


def pid_of(process: RefitProcess) -> int:
    assert process._process is not None
    return process._process.pid


def test_it_fits_as_this_process_would_niced_and_in_one_thread(
    process: RefitProcess, measured: dict[str, MeasuredNetwork]
) -> None:
    packed = pack(network.kernels for network in measured.values())
    expected, _ = fit_measured(measured)
    for _ in range(2):
        predictor, set_aside = process.fit(measured)
        assert set_aside == {}
        for fitted, wanted in zip(
            predictor.predict(*packed, 0), expected.predict(*packed, 0), strict=True
        ):
            assert fitted.latency_ns == pytest.approx(wanted.latency_ns, rel=1e-3)
            assert fitted.source is wanted.source
    own = os.getpriority(os.PRIO_PROCESS, 0)
    pid = pid_of(process)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, own + NICENESS)
    assert b"OPENBLAS_NUM_THREADS=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_too_few_networks_are_said_and_cost_no_process(
    process: RefitProcess, measured: dict[str, MeasuredNetwork]
) -> None:
    with pytest.raises(NotEnoughData):
        process.fit({"0": measured["0"]})
    pid = pid_of(process)
    process.fit(measured)
    assert pid_of(process) == pid


def test_a_process_that_was_killed_is_said_and_replaced(
    process: RefitProcess, measured: dict[str, MeasuredNetwork]
) -> None:
    process.fit(measured)
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(Unavailable, match="exit code -9"):
        process.fit(measured)
    process.fit(measured)


def test_a_fit_that_takes_too_long_is_ended(measured: dict[str, MeasuredNetwork]) -> None:
    process = RefitProcess(timeout_s=0.01)
    with pytest.raises(Unavailable, match=r"more than 0\.01 s"):
        process.fit(measured)
    process.close()


def test_it_ends_with_its_parent() -> None:
    """However that ends."""
    code = (
        "import os, signal\n"
        "from host.predicting.refit_process import RefitProcess\n"
        "from latlab.domain.errors import NotEnoughData\n"
        "process = RefitProcess()\n"
        "try:\n"
        "    process.fit({})\n"
        "except NotEnoughData:\n"
        "    print(process._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=WAIT_S)
    pid = int(done.stdout)
    deadline_s = time.monotonic() + WAIT_S
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
