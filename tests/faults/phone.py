"""Faults of a phone, its cable and its lab, each in the middle of a visit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from host.home import lab_process
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import DevicePhase
from latlab.domain.program import ProgramFile
from tests.device_agent.agent_process import REPOSITORY, wait_until
from tests.host.jobs.job_ends import ends_of_jobs
from tests.virtual_phone.phone_lab import SPEC, PhoneLab, is_idle

AGENT = "--state-dir"  # in the command lines of agents alone
RUNNER = "latlab-runner --program"
CPUSETS = Path("/sys/fs/cgroup/cpuset")

# Long enough for a fault to fall into it.
ONE_LONG_VISIT = BenchmarkSpec(
    visit=replace(SPEC.visit, timed_ns=1_000_000_000, max_timed_runs=1_000_000),
    min_visits=1,
    max_visits=1,
    traced_visits=0,
    spacing_ns=0,
)


def pull_the_cable(phone_lab: PhoneLab) -> None:
    phone_lab.phone.cut_cable()
    phone_lab.adb.disconnect(phone_lab.phone.serial)
    time.sleep(1)
    phone_lab.phone.mend_cable()
    phone_lab.adb.connect(phone_lab.phone.serial)


def silence_the_network(phone_lab: PhoneLab) -> None:
    """Nothing arrives, and neither side is told."""
    phone_lab.phone.cut_cable()
    time.sleep(phone_lab.lasting_s)
    phone_lab.phone.mend_cable()


def change_the_route(phone_lab: PhoneLab) -> None:
    """From the cable to Wi-Fi, say, and back."""
    first, second = phone_lab.phone.serial, phone_lab.phone.second_serial
    phone_lab.adb.connect(second)
    with LatencyClient.connect(phone_lab.home.root) as client:
        phone_lab.wait_for(client, lambda status: status.state.phase is DevicePhase.SPARE, second)
        phone_lab.adb.disconnect(first)
        phone_lab.wait_for(client, lambda status: bool(status.targets), second)
        phone_lab.adb.connect(first)
        phone_lab.adb.disconnect(second)
        phone_lab.wait_for(client, lambda status: bool(status.targets))


def kill_the_agent(phone_lab: PhoneLab) -> None:
    assert phone_lab.phone.kill(AGENT) == 1


def kill_the_runner(phone_lab: PhoneLab) -> None:
    assert phone_lab.phone.kill(RUNNER) == 1


def kill_adbd(phone_lab: PhoneLab) -> None:
    assert phone_lab.phone.kill("/adbd") == 1
    phone_lab.adb.reconnect(phone_lab.phone.serial)


def end_all_that_adbd_started(phone_lab: PhoneLab) -> None:
    assert phone_lab.phone.pids(AGENT)
    phone_lab.phone.restart_adbd()
    assert not phone_lab.phone.pids(AGENT)
    phone_lab.adb.reconnect(phone_lab.phone.serial)


def reboot(phone_lab: PhoneLab) -> None:
    phone_lab.phone.reboot()
    phone_lab.adb.reconnect(phone_lab.phone.serial)


def stall(phone_lab: PhoneLab) -> None:
    """The phone is so slow that its agent answers nothing for a while."""
    with stopped([*phone_lab.phone.pids(AGENT), *phone_lab.phone.pids(RUNNER)]):
        time.sleep(phone_lab.lasting_s)


def unplug_a_core(phone_lab: PhoneLab) -> None:
    """The one that is measured on: its sysfs says that it is offline, and nothing runs there."""
    online = phone_lab.phone.root / "sys/devices/system/cpu/online"
    before = online.read_text()
    cpus = sorted(os.sched_getaffinity(0))
    pids = [*phone_lab.phone.pids(AGENT), *phone_lab.phone.pids(RUNNER)]
    with without_core(cpus[-1], pids):
        online.write_text(f"{','.join(map(str, cpus[:-1]))}\n")
        wait_until(lambda: set(pids).isdisjoint(phone_lab.phone.pids(RUNNER)))
        time.sleep(phone_lab.lasting_s)
    online.write_text(before)


def fill_the_phone(phone_lab: PhoneLab) -> None:
    """Until the visit has ended."""
    runners = set(phone_lab.phone.pids(RUNNER))
    phone_lab.phone.fill_disk()
    wait_until(lambda: runners.isdisjoint(phone_lab.phone.pids(RUNNER)))
    phone_lab.phone.shell("rm /data/local/tmp/filling")


def kill_the_daemon(phone_lab: PhoneLab) -> None:
    process = LockedProcess(phone_lab.home.daemon_file, phone_lab.home.lock_file)
    info, runners = process.info(), phone_lab.phone.pids(RUNNER)
    assert info is not None
    with stopped(runners):  # so that none of them ends before it is counted again
        os.kill(info["pid"], signal.SIGKILL)
        wait_until(lambda: process.info() is None)
        assert phone_lab.phone.pids(RUNNER) == runners  # the next daemon fetches what they run


def start_a_second_daemon(phone_lab: PhoneLab) -> None:
    """On the same home, which is refused."""
    done = subprocess.run(
        [sys.executable, "-m", "host.daemon"],
        cwd=REPOSITORY,
        env={**os.environ, "LATLAB_HOME": str(phone_lab.home.root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "a lab already runs" in done.stderr


def restart_adb(phone_lab: PhoneLab) -> None:
    phone_lab.adb.stop()
    phone_lab.adb.start()
    phone_lab.adb.connect(phone_lab.phone.serial)


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """The processes stand still. Those that have ended do not matter."""
    signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def without_core(cpu: int, pids: list[int]) -> Iterator[None]:
    """The processes may not use the core. Skips where no cpuset can be made."""
    cpuset, before = CPUSETS / f"latlab-{os.getpid()}", own_cpuset()
    others = sorted(os.sched_getaffinity(0) - {cpu})
    if not others:
        pytest.skip("this machine has one core")
    try:
        cpuset.mkdir()
    except OSError as error:
        pytest.skip(f"no cpuset of its own: {error}")
    try:
        (cpuset / "cpuset.mems").write_text((CPUSETS / "cpuset.mems").read_text())
        (cpuset / "cpuset.cpus").write_text(",".join(map(str, others)))
        for pid in pids:
            move(str(pid), cpuset)
        yield
    finally:
        for moved in (cpuset / "cgroup.procs").read_text().split():
            move(moved, before)
        wait_until(lambda: _is_removed(cpuset))


def _is_removed(cpuset: Path) -> bool:
    """Not while a process that is ending is in it."""
    try:
        cpuset.rmdir()
    except OSError:
        return not cpuset.exists()
    return True


def move(pid: str, cpuset: Path) -> None:
    """Let the process use the cores of the cpuset, unless it has ended."""
    with suppress(ProcessLookupError):
        (cpuset / "cgroup.procs").write_text(pid)


def own_cpuset() -> Path:
    """That of this process, which those of a phone are in too."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    paths = (path for _, names, path in (line.split(":", 2) for line in lines) if names == "cpuset")
    return CPUSETS / next(paths, "/").lstrip("/")


def measure_through(
    phone_lab: PhoneLab, program: ProgramFile, fault: Callable[[PhoneLab], None]
) -> list[Outcome]:
    """Measure once, with the fault in the middle of the visit, and bring the lab up again.

    Returns what the client was told.
    """
    lab_process.up(phone_lab.home)
    with LatencyClient.connect(phone_lab.home.root) as client:
        target = phone_lab.plug_in(client)
    with phone_lab.measuring(target, [program], ONE_LONG_VISIT) as outcomes:
        phone_lab.wait_for_runner()
        fault(phone_lab)
        lab_process.up(phone_lab.home)
    settle(phone_lab)
    return outcomes


def settle(phone_lab: PhoneLab) -> None:
    """Wait until every job has ended and the phone is idle. The lab is up."""
    wait_until(lambda: 0 not in ends_of_jobs(phone_lab.home).values())
    with LatencyClient.connect(phone_lab.home.root) as client:
        phone_lab.wait_for(client, is_idle)


# A visit under way goes on with its run where it can, and is made again where it cannot.
FAULTS: list[Callable[[PhoneLab], None]] = [
    pull_the_cable,
    kill_the_agent,
    kill_the_runner,
    kill_the_daemon,
    kill_adbd,
    end_all_that_adbd_started,
    reboot,
    silence_the_network,
    start_a_second_daemon,
    fill_the_phone,
    stall,
    unplug_a_core,
    change_the_route,
]
