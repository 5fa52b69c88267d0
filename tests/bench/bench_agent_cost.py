"""agent.idle_cpu_pct, agent.rss_mb, agent.overhead_ms: the costs of the agent itself.

python -m tests.bench.bench_agent_cost [IDLE_S]: by default 600.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from host.agent.client import AgentClient
from latlab.domain.benchmark_spec import VisitSpec
from latlab.domain.job import Lease
from latlab.domain.program import Program, TensorSpec
from tests.bench.bench_agent import RUNNER, bare_wall_ns, export_network
from tests.bench.figures import at_most, report
from tests.device_agent.agent_process import AgentProcess, sha256

IDLE_S = 600.0
VISITS = 40
SHAPE = (1, 3, 64, 64)
# The visits are as short as possible, so that the agent's part stands out.
SPEC = VisitSpec(warmup_runs=1, warmup_ns=0, timed_runs=3, timed_ns=0, max_timed_runs=3)


def cpu_ns(pid: int) -> int:
    """Return the CPU time of all living threads."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads)


def rss_bytes(pid: int) -> int:
    [line] = [
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) * 1024


def bare_visit_s(program: Path, cpu: int) -> float:
    """Return the seconds from the runner's start to its end, without an agent."""
    start_s = time.perf_counter()
    bare_wall_ns(program, "x".join(map(str, SHAPE)), cpu, SPEC)
    return time.perf_counter() - start_s


def agent_visit_s(client: AgentClient, run_id: str, program: Program, path: Path) -> float:
    """Return the seconds that a visit takes for the daemon, until it is acknowledged."""
    start_s = time.perf_counter()
    client.run(run_id, Lease("", "", "", 1, 0), program, path, SPEC)
    client.acknowledge(run_id)
    return time.perf_counter() - start_s


def overheads_s(client: AgentClient, folder: Path) -> list[float]:
    """Return the overheads of visits that alternate with bare ones."""
    data = export_network()
    path = folder / "program.pte"
    path.write_bytes(data)
    program = Program(sha256(data), len(data), "xnnpack", (TensorSpec(SHAPE),), (), (), "bench")
    client.upload(program, path)
    cpu = client.describe().core_classes[0].cpus[-1]
    return [
        agent_visit_s(client, f"bench-{index}", program, path) - bare_visit_s(path, cpu)
        for index in range(VISITS)
    ]


def main() -> None:
    idle_s = float(sys.argv[1]) if len(sys.argv) > 1 else IDLE_S
    with tempfile.TemporaryDirectory() as name:
        agent = AgentProcess(Path(name) / "state", RUNNER)
        client = AgentClient(f"127.0.0.1:{agent.port}", agent.token)
        try:
            took_s = overheads_s(client, Path(name))
            rss_mb = rss_bytes(agent.process.pid) / 1e6
            before_ns = cpu_ns(agent.process.pid)
            time.sleep(idle_s)
            idle_pct = (cpu_ns(agent.process.pid) - before_ns) / 1e9 / idle_s * 100
        finally:
            client.close()
            agent.end()
    report("agent.idle_cpu_pct", round(idle_pct, 4), "%", at_most(0.15), idle_s=idle_s)
    report("agent.rss_mb", round(rss_mb, 1), "MB", at_most(60), after_visits=VISITS)
    overhead_ms = statistics.median(took_s) * 1e3
    worst_ms = max(took_s) * 1e3
    report(
        "agent.overhead_ms",
        round(overhead_ms, 2),
        "ms",
        at_most(30),
        visits=VISITS,
        worst_ms=round(worst_ms, 1),
    )


if __name__ == "__main__":
    main()
