"""service.loaded_p99_ms, service.loaded_errors, service.soak_rss_mb: a lab under load.

Loaded: 64 clients ask for a prediction once a second while 1,000 simulated devices do one visit in
10 s and 200 watchers listen to jobs. The daemon has one core for itself, its refits included, and
whatever makes the load has the others.

Soak: the same at half of that load for 10 minutes. The jobs are asked for again as they end, so
that their number stays. The figure is how much resident memory the daemon gains after its first
minute.

python -m tests.bench.bench_service_load

QUICK=1 has 50 devices and 20 s.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from host.database.engine import Database
from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.client.client import LatencyClient
from latlab.client.requests import targets as target_requests
from latlab.domain.target import targets_of
from latlab.v1 import latency_pb2
from tests.bench.bench_scale import (
    AGENTS_A_PROCESS,
    agents,
    cpu_s,
    device,
    open_jobs,
    process,
    wait_for_visits,
)
from tests.bench.figures import IS_QUICK, Goal, at_most, exactly, report
from tests.bench.lab_clients import Load, Seen
from tests.bench.large_database import TARGET, ManyNetworks, measure_networks, write_networks
from tests.bench.simulated_agents import MODELS
from tests.device_agent.agent_process import wait_until

SEED = 20_265
DEVICES = 50 if IS_QUICK else 1_000
CLIENTS, WATCHERS = 64, 200
JOBS_A_WATCHER = 10
LOADED_S = 20.0 if IS_QUICK else 120.0
SOAK_S = 20.0 if IS_QUICK else 600.0
SETTLE_S = 5.0 if IS_QUICK else 60.0
JOBS_A_DEVICE = 40  # for the loaded lab; more than it can do in the time
FED_A_DEVICE = 2  # jobs that are open at a time during the soak
LEARNED = 300  # networks that the predictor has learned from
Lines = dict[str, object]


@dataclass(frozen=True)
class LoadedLab:
    """A daemon whose devices are at work."""

    home: LabHome
    pid: int
    address: str
    predict: str

    @property
    def rss_mb(self) -> float:
        """The daemon's resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024 / 1e6

    def load(self, seconds: float, clients: int) -> Load:
        """Return a load of clients alone."""
        return Load(self.address, self.home.token(), seconds, self.predict, clients)


def main() -> None:
    loaded()
    soak()


def loaded() -> None:
    """Report the latency of predictions, and how many calls failed."""
    with lab(DEVICES, JOBS_A_DEVICE) as running:
        pairs = list(itertools.product(targets(DEVICES), programs(JOBS_A_DEVICE * DEVICES)))
        watched = [pairs[first::WATCHERS][:JOBS_A_WATCHER] for first in range(WATCHERS)]
        before_s, start_s = cpu_s(running.pid), time.monotonic()
        seen = clients_of(replace(running.load(LOADED_S, CLIENTS), watched=watched))
        cores = (cpu_s(running.pid) - before_s) / (time.monotonic() - start_s)
    answers_ms = np.array(seen.answers_ms)
    conditions: Lines = {
        "devices": DEVICES,
        "clients": CLIENTS,
        "watchers": WATCHERS,
        "jobs_a_watcher": JOBS_A_WATCHER,
        "seconds": LOADED_S,
        "answers": len(answers_ms),
        "news": seen.news,
        "daemon_cores": round(cores, 3),
        "p50_ms": round(float(np.median(answers_ms)), 2),
        "max_ms": round(float(answers_ms.max()), 1),
        "clients_late_p99_ms": round(float(np.quantile(seen.late_ms, 0.99)), 1),
    }
    p99_ms = round(float(np.quantile(answers_ms, 0.99)), 2)
    report("service.loaded_p99_ms", p99_ms, "ms", at_most(100), **conditions)
    report_errors("service.loaded_errors", seen, exactly(0), conditions)


def soak() -> None:
    """Report how much memory the daemon gains at half of that load."""
    devices, clients, watchers = DEVICES // 2, CLIENTS // 2, WATCHERS // 2
    with lab(devices, FED_A_DEVICE) as running:
        # While the last programs of one half are measured, the other half keeps devices at work.
        every = programs(FED_A_DEVICE * devices)
        fed = [(target, every[half::2]) for target in targets(devices) for half in range(2)]
        # No device serves the target of the predictions, so its jobs wait for ever.
        waiting = [(TARGET.id, program) for program in programs(FED_A_DEVICE * devices)]
        watched = [waiting] * watchers
        load = replace(running.load(SETTLE_S, clients), watched=watched, fed=fed)
        clients_of(load)
        before_mb = running.rss_mb
        seen = clients_of(replace(load, seconds=SOAK_S))
        growth_mb = running.rss_mb - before_mb
    report(
        "service.soak_rss_mb",
        round(growth_mb, 1),
        "MB",
        at_most(20),
        devices=devices,
        clients=clients,
        watchers=watchers,
        seconds=SOAK_S,
        answers=len(seen.answers_ms),
        measured=seen.measured,
        news=seen.news,
        errors=dict(seen.errors),
        before_mb=round(before_mb, 1),
    )


def report_errors(name: str, seen: Seen, goal: Goal, conditions: Lines) -> None:
    count = sum(seen.errors.values())
    report(name, count, "calls", goal, kinds=dict(seen.errors), **conditions)


@contextmanager
def lab(devices: int, jobs_a_device: int) -> Iterator[LoadedLab]:
    """A daemon on a core of its own whose simulated devices are all at work.

    Args:
        devices: How many devices there are.
        jobs_a_device: How many jobs are open for each at the start.
    """
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder, ExitStack() as stack:
        home = LabHome(Path(folder))
        home.create()
        database = Database(home.database_url)
        stack.callback(database.close)
        networks = ManyNetworks(LEARNED + 1, SEED)
        write_networks(database, networks)
        measure_networks(database, networks, range(LEARNED), 1, 10**18)
        open_jobs(home, database, jobs_a_device * devices)
        own, others = cores()
        stack.callback(os.sched_setaffinity, 0, own | others)
        os.sched_setaffinity(0, others)
        addresses = [
            address
            for first in range(0, devices, AGENTS_A_PROCESS)
            for address in stack.enter_context(
                agents(first, min(AGENTS_A_PROCESS, devices - first))
            )
        ]
        os.sched_setaffinity(0, own)
        daemon = stack.enter_context(process("tests.bench.bench_scale", "daemon", str(home.root)))
        os.sched_setaffinity(0, others)
        assert daemon.stdin is not None
        daemon.stdin.write(json.dumps(addresses).encode())
        daemon.stdin.close()
        found = LockedProcess(home.daemon_file, home.lock_file)
        wait_until(lambda: found.serves_as(daemon.pid))
        network = [networks.kernels(LEARNED)]
        with LatencyClient.connect(home.root) as client:
            client.predict(TARGET.id, network)  # fits the predictor
        wait_for_visits(database, devices)
        request = target_requests.predict(TARGET.id, network).request
        assert isinstance(request, latency_pb2.PredictRequest)
        info = found.info() or {}
        yield LoadedLab(
            home,
            daemon.pid,
            info["address"],
            base64.b64encode(request.SerializeToString()).decode(),
        )


def targets(devices: int) -> list[str]:
    """Return the ids of the targets that so many simulated devices serve."""
    models = map(device, range(min(devices, MODELS)))
    return [target.id for model in models for target in targets_of(model)]


def programs(jobs: int) -> list[str]:
    """Return the programs that `open_jobs` writes for so many jobs."""
    return [f"{number:064}" for number in range(max(1, jobs // MODELS))]


def cores() -> tuple[set[int], set[int]]:
    """Return the daemon's core, and those of the load; all for both if there is only one."""
    every = sorted(os.sched_getaffinity(0))
    return ({every[0]}, set(every[1:])) if len(every) > 1 else (set(every), set(every))


def clients_of(load: Load) -> Seen:
    """Put a load on the lab, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.lab_clients"],
        input=json.dumps(asdict(load)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Seen(**json.loads(done.stdout))


if __name__ == "__main__":
    main()
