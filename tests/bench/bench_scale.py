"""lab.busy_share, lab.scheduler_cores: a thousand devices and twenty thousand jobs.

Each job takes ten seconds. They go through the daemon's own scheduler, board and database.

python -m tests.bench.bench_scale [DEVICES]: by default 1,000.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from host.agent.client import AgentClient
from host.daemon import serve
from host.database import devices, jobs, programs
from host.database.engine import Database
from host.database.schema import visits
from host.home.paths import LabHome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.device import CoreClass, Device, TransportKind
from latlab.domain.job import Job
from latlab.domain.program import Program, TensorSpec
from latlab.domain.target import targets_of
from tests.bench.figures import at_least, at_most, report
from tests.bench.simulated_agents import MODELS, VISIT_S

JOBS_A_DEVICE = 20
AGENTS_A_PROCESS = 250
WINDOW_S = 120.0
START_TIMEOUT_S = 150.0
SPEC = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0)


class SimulatedTransport:
    kind = TransportKind.TCP
    shares_host = False
    patience_s = 0.0

    def __init__(self, address: str) -> None:
        self.name = self.address = address
        self._client = AgentClient(address, "none")

    def connect(self) -> AgentClient:
        return self._client

    def stop(self) -> None:
        self._client.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder, ExitStack() as stack:
        home = LabHome(Path(folder))
        database = Database(home.database_url)
        open_jobs(home, database, JOBS_A_DEVICE * count)
        addresses = [
            address
            for first in range(0, count, AGENTS_A_PROCESS)
            for address in stack.enter_context(agents(first, min(AGENTS_A_PROCESS, count - first)))
        ]
        daemon = stack.enter_context(process("tests.bench.bench_scale", "daemon", str(home.root)))
        assert daemon.stdin is not None
        daemon.stdin.write(json.dumps(addresses).encode())
        daemon.stdin.close()
        started_s = time.monotonic()
        wait_for_visits(database, count)
        ramp_s = time.monotonic() - started_s

        since_ns, since_cpu_s = time.time_ns(), cpu_s(daemon.pid)
        time.sleep(WINDOW_S)
        until_ns, until_cpu_s = time.time_ns(), cpu_s(daemon.pid)
        time.sleep(1.5 * VISIT_S)  # until the visits at the window's end are stored
        busy_s, ended = busy(database, since_ns, until_ns)
        database.close()
    window_s = (until_ns - since_ns) / 1e9
    conditions = {
        "devices": count,
        "targets": min(count, MODELS),
        "jobs": JOBS_A_DEVICE * count,
        "jobs_in_window": ended,
        "visit_s": VISIT_S,
        "window_s": round(window_s),
        "ramp_s": round(ramp_s),
    }
    busy_share = busy_s / (count * window_s)
    report("lab.busy_share", round(busy_share, 4), "share", at_least(0.95), **conditions)
    cores = (until_cpu_s - since_cpu_s) / window_s
    report("lab.scheduler_cores", round(cores, 3), "cores", at_most(1), **conditions)


def open_jobs(home: LabHome, database: Database, count: int) -> None:
    """Submit equally many jobs for every target, as if before a restart."""
    home.programs.mkdir()
    data = b"no program"
    targets = [target for model in range(MODELS) for target in targets_of(device(model))]
    with database.writing() as connection:
        for target in targets:
            devices.register_target(connection, target)
        for number in range(count):
            target_number, program_number = number % MODELS, number // MODELS
            sha256 = f"{program_number:064}"
            if target_number == 0:
                program = Program(
                    sha256, len(data), "xnnpack", (TensorSpec((1, 8)),), (), (), "none"
                )
                programs.add_program(connection, program)
                (home.programs / f"{sha256}.pte").write_bytes(data)
            target_id = targets[target_number].id
            jobs.add_job(connection, Job(f"{number:032}", target_id, sha256, SPEC, number + 1))


def device(model: int) -> Device:
    """Return the device as its agent describes it, where a target depends on it."""
    return Device(
        serial="",
        model=f"simulated {model:02}",
        soc="",
        os_build="none",
        abi="none",
        runtime_version="timer",
        runner_build="timer",
        backends=("xnnpack",),
        core_classes=(CoreClass("all", (0,)),),
        memory_bytes=0,
        max_program_bytes=0,
    )


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that ends with the block."""
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(timeout=30)
        except subprocess.TimeoutExpired:
            started.kill()


@contextmanager
def agents(first: int, count: int) -> Iterator[list[str]]:
    with process("tests.bench.simulated_agents", str(first), str(count)) as serving:
        assert serving.stdout is not None
        yield json.loads(serving.stdout.readline())


def wait_for_visits(database: Database, count: int) -> None:
    """Wait until every device has been asked for its first visit."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    query = select(func.count(visits.c.device_serial.distinct()))
    while True:
        with database.reading() as connection:
            asked = connection.scalars(query).one()
        print(f"\r{asked} devices are busy", end="", file=sys.stderr)
        if asked == count:
            break
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"only {asked} of {count} devices got to work")
        time.sleep(2)
    print(file=sys.stderr)


def busy(database: Database, since_ns: int, until_ns: int) -> tuple[float, int]:
    """Return how long timers ran within the window, and how many ended in it.

    The time is in seconds over all devices, by the conditions that the agents read before and after
    each visit.
    """
    query = select(visits.c.conditions_before, visits.c.conditions_after)
    with database.reading() as connection:
        ran = connection.execute(query.where(visits.c.wall_ns.is_not(None))).all()
    within_ns = [
        max(0, min(after["unix_ns"], until_ns) - max(before["unix_ns"], since_ns))
        for before, after in ran
    ]
    ended = sum(since_ns <= after["unix_ns"] < until_ns for _, after in ran)
    return sum(within_ns) / 1e9, ended


def cpu_s(pid: int) -> float:
    """Return the user and system time of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    if sys.argv[1:2] == ["daemon"]:
        serve(LabHome(Path(sys.argv[2])), [SimulatedTransport(a) for a in json.load(sys.stdin)])
    else:
        main()
