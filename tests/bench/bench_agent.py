"""agent.ratio: the latency that the agent reports over that of the bare runner.

Visits of both alternate.

python -m tests.bench.bench_agent [PROGRAM SHAPE]: SHAPE is written as 1x3x224x224. By default a
small convolutional network is exported.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from latlab.domain.benchmark_spec import VisitSpec
from latlab.v1 import common_pb2
from tests.bench.figures import report, within
from tests.device_agent.agent_process import REPOSITORY, AgentProcess, sha256, spec
from tests.device_agent.conftest import export

VISITS = 40
RUNNER = REPOSITORY / "build/runner/latlab-runner"
SPEC = spec(
    warmup_runs=10,
    warmup_ns=200_000_000,
    timed_runs=10,
    timed_ns=300_000_000,
    max_timed_runs=2_000,
)


def export_network() -> bytes:
    """Export a network that takes about a millisecond."""
    from torch import nn

    layers = [nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()]
    return export(nn.Sequential(*layers), (1, 3, 64, 64))


def bare_wall_ns(
    program: Path, shape: str, cpu: int, spec: common_pb2.VisitSpec | VisitSpec
) -> list[int]:
    """Return the samples of one visit without an agent, with the arguments that the agent uses."""
    options = {
        "--program": program,
        "--input": shape,
        "--cpus": cpu,
        "--threads": spec.threads,
        "--seed": spec.seed,
        "--warmup-runs": spec.warmup_runs,
        "--warmup-ns": spec.warmup_ns,
        "--timed-runs": spec.timed_runs,
        "--timed-ns": spec.timed_ns,
        "--max-timed-runs": spec.max_timed_runs,
    }
    command = [str(RUNNER), *(str(word) for option in options.items() for word in option)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    wall_ns: list[int] = json.loads(done.stdout)["wall_ns"]
    return wall_ns


def bare_visit_ns(program: Path, shape: str, cpu: int) -> float:
    """Return the median of one visit of SPEC without an agent."""
    return statistics.median(bare_wall_ns(program, shape, cpu, SPEC))


def measure(program: bytes, shape: str, folder: Path) -> tuple[float, float]:
    """Return the medians over visits of the visits' medians, with and without the agent."""
    program_file = folder / "program.pte"
    program_file.write_bytes(program)
    dims = [int(size) for size in shape.split("x")]
    agent = AgentProcess(folder / "state", RUNNER)
    with_agent, bare = [], []
    try:
        agent.upload(
            program, [program[i : i + 1_000_000] for i in range(0, len(program), 1_000_000)]
        )
        cpu = agent.describe().core_classes[0].cpus[-1]
        for index in range(VISITS):
            visit = agent.run(f"bench-{index}", program, shapes=[dims], spec=SPEC).visit
            with_agent.append(statistics.median(visit.wall_ns))
            bare.append(bare_visit_ns(program_file, shape, cpu))
    finally:
        agent.end()
    return statistics.median(with_agent), statistics.median(bare)


def main() -> None:
    if len(sys.argv) == 3:
        program, shape = Path(sys.argv[1]).read_bytes(), sys.argv[2]
    else:
        program, shape = export_network(), "1x3x64x64"
    load_1min = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        with_agent_ns, bare_ns = measure(program, shape, Path(folder))
    report(
        "agent.ratio",
        round(with_agent_ns / bare_ns, 4),
        "ratio",
        within(1, 0.02),
        visits=VISITS,
        agent_ns=round(with_agent_ns),
        bare_ns=round(bare_ns),
        program=sha256(program)[:12],
        seed=SPEC.seed,
        load_1min_before=load_1min,
    )


if __name__ == "__main__":
    main()
