"""service.jobs_lost, service.jobs_doubled: the daemon is killed again and again under load.

Clients create jobs with request ids and watch them with resume tokens, on simulated devices. With
PostgreSQL, its server is killed too. Afterwards the jobs that were accepted, what the clients were
told of their ends, and the database are compared.

python -m tests.bench.bench_service_jobs [sqlite|postgresql]: by default both.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.database import devices, programs
from host.database.engine import Database
from host.home.paths import LabHome
from host.home.processes import LockedProcess
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.program import Program, TensorSpec
from latlab.domain.target import targets_of
from tests.bench.bench_scale import device, process
from tests.bench.figures import exactly, quick, report
from tests.bench.job_clients import JobClient
from tests.host.jobs.job_ends import ends_of_jobs
from tests.host.postgresql import find_postgresql, postgresql

KILLS = 20
KILLS_OF_POSTGRESQL = 3
CLIENTS = 8
DEVICES = 8
PROGRAMS = 200
VISIT_S = 0.2
UP_S = (2.0, 5.0)  # between two kills
SETTLE_S = 180.0
SPEC = BenchmarkSpec(min_visits=2, max_visits=2, traced_visits=0, spacing_ns=0)


@dataclass
class Lab:
    """A daemon that is killed and started again, on the same agents."""

    home: LabHome
    addresses: Sequence[str]
    daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_scale", "daemon", str(self.home.root)],
            stdin=subprocess.PIPE,
        )
        assert self.daemon.stdin is not None
        self.daemon.stdin.write(json.dumps(self.addresses).encode())
        self.daemon.stdin.close()

    def is_up(self) -> bool:
        return LockedProcess(self.home.daemon_file, self.home.lock_file).info() is not None

    def end(self, how: signal.Signals) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(how)
        self.daemon.wait(timeout=60)


def main() -> None:
    for name in sys.argv[1:] or ("sqlite", "postgresql"):
        if name == "sqlite":
            run(name, kills_of_server=0)
        elif find_postgresql("initdb") is None:
            print("PostgreSQL is not installed: no figures for it", file=sys.stderr)
        else:
            with postgresql() as url:
                os.environ["LATLAB_DATABASE_URL"] = url
                run(name, quick(KILLS_OF_POSTGRESQL), Path(url.partition("host=")[2]))
                del os.environ["LATLAB_DATABASE_URL"]


def run(name: str, kills_of_server: int, server: Path | None = None) -> None:
    kills = quick(KILLS, least=2)
    with tempfile.TemporaryDirectory(prefix="latlab-bench-") as folder, agents() as addresses:
        home = LabHome(Path(folder))
        wanted = prepare(home)
        lab = Lab(home, addresses)
        lab.start()
        wait_until_up(lab)
        clients = [JobClient(home, wanted, SPEC) for _ in range(CLIENTS)]
        killed = ["daemon"] * kills + ["server"] * kills_of_server
        random.shuffle(killed)
        for victim in killed:
            time.sleep(random.uniform(*UP_S))
            if victim == "daemon":
                lab.end(signal.SIGKILL)
                lab.start()
            else:
                assert server is not None
                restart_postgresql(server)
        wait_until_up(lab)
        for client in clients:
            client.stop_creating()
        deadline_s = time.monotonic() + SETTLE_S
        while any(client.unended() for client in clients) and time.monotonic() < deadline_s:
            time.sleep(1.0)
        for client in clients:
            client.stop()
        lab.end(signal.SIGTERM)
        count(name, clients, ends_of_jobs(home), kills=kills, server_kills=kills_of_server)


def count(name: str, clients: Sequence[JobClient], ends: dict[str, int], **conditions: int) -> None:
    """Report what was lost and what was doubled."""
    by_request = [names for client in clients for names in client.accepted.values()]
    accepted = {name for names in by_request for name in names}
    stored = {f"jobs/{id_}": number for id_, number in ends.items()}
    lost = {name for client in clients for name in client.unended()}
    lost |= {name for name in accepted if not stored.get(name)}
    doubled = {name for name, number in stored.items() if number > 1}
    doubled |= set(stored) - accepted  # a request has opened two, and was answered one
    for client in clients:
        doubled |= {name for name, outcomes in client.ends.items() if len(outcomes) > 1}
    for names in by_request:
        doubled |= names if len(names) > 1 else set()
    facts = {"database": name, "jobs": len(accepted), "clients": CLIENTS, **conditions}
    report("service.jobs_lost", len(lost), "jobs", exactly(0), **facts)
    report("service.jobs_doubled", len(doubled), "jobs", exactly(0), **facts)


def prepare(home: LabHome) -> list[tuple[str, str]]:
    """Store programs; (target id, program) of everything that can be measured."""
    home.create()
    home.programs.mkdir()
    data = b"no program"
    targets = [target for model in range(DEVICES) for target in targets_of(device(model))]
    names = [f"{number:064}" for number in range(PROGRAMS)]
    database = Database(home.database_url)
    with database.writing() as connection:
        for target in targets:
            devices.register_target(connection, target)
        for sha256 in names:
            inputs = (TensorSpec((1, 8)),)
            programs.add_program(
                connection, Program(sha256, len(data), "xnnpack", inputs, (), (), "none")
            )
            (home.programs / f"{sha256}.pte").write_bytes(data)
    database.close()
    return [(target.id, sha256) for target in targets for sha256 in names]


@contextmanager
def agents() -> Iterator[list[str]]:
    arguments = ("0", str(DEVICES), str(VISIT_S))
    with process("tests.bench.simulated_agents", *arguments) as serving:
        assert serving.stdout is not None
        yield json.loads(serving.stdout.readline())


def wait_until_up(lab: Lab) -> None:
    deadline_s = time.monotonic() + 60.0
    while not lab.is_up():
        assert time.monotonic() < deadline_s, "the daemon does not come up"
        time.sleep(0.1)


def restart_postgresql(folder: Path) -> None:
    """Kill the server at once, and start it again."""
    postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    pg_ctl = find_postgresql("pg_ctl")
    assert pg_ctl is not None
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    command = [str(pg_ctl), "-D", f"{folder}/data", "-w", "-l", f"{folder}/log", "-o", options]
    deadline_s = time.monotonic() + 60.0
    while True:  # the killed server's processes end one after another
        time.sleep(0.5)
        done = subprocess.run(
            [*as_user, *command, "start"], cwd=folder, stdout=subprocess.DEVNULL, timeout=60
        )
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline_s, "PostgreSQL does not start again"


if __name__ == "__main__":
    main()
