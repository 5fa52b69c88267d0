"""The latency that the agent reports compared with other ways to time the same program.

All use the same ExecuTorch. Visits alternate on one cpu. A figure is the median ratio of the
pairs of visits, each with its median.

runner.confined_ratio    the confined runner over the same runner without confinement
agent.ratio_executorch   the agent over ExecuTorch's own Python runtime
agent.ratio_sdk          the agent over 40 lines of ExecuTorch's SDK (sdk_runner/)

python -m tests.bench.bench_runner [PAIRS]: by default 60, and a tenth with QUICK=1. The program is
MnasNet-A1, which takes about 10 ms. Inputs and seed are the same for all.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from latlab.v1.device_agent_pb2 import DeviceDescription
from search.space.deployment import DEFAULT_DEPLOYMENT
from search.space.zoo import ZOO
from tests.bench.bench_agent import RUNNER
from tests.bench.bench_export import direct
from tests.bench.figures import quick, report, within
from tests.device_agent.agent_process import AgentProcess, spec
from tests.device_agent.conftest import build_trials, compile_with_cmake
from tests.device_agent.runner_values import make_inputs

PAIRS = 60
NETWORK = "mnasnet-a1"
SHAPE = "x".join(map(str, DEFAULT_DEPLOYMENT.input_shape))
SPEC = spec(
    warmup_runs=10,
    warmup_ns=200_000_000,
    timed_runs=10,
    timed_ns=500_000_000,
    max_timed_runs=2_000,
    seed=5,
)
TIMES = (str(SPEC.warmup_ns), str(SPEC.timed_ns))
VISIT_TIMEOUT_S = 60
GOAL = within(1, 0.01)

Visit = Callable[[], float]  # returns its median in ns


def median_ns(samples_ns: list[int]) -> float:
    return statistics.median(samples_ns)


def runner_visit(program: Path, cpu: int, runner: Path, door: str = "") -> float:
    """Run one visit with the arguments that the agent uses.

    Args:
        door: How a trial build (runner_trials) is confined.
    """
    options = {
        "--program": program,
        "--input": SHAPE,
        "--cpus": cpu,
        "--seed": SPEC.seed,
        "--warmup-runs": SPEC.warmup_runs,
        "--warmup-ns": SPEC.warmup_ns,
        "--timed-runs": SPEC.timed_runs,
        "--timed-ns": SPEC.timed_ns,
        "--max-timed-runs": SPEC.max_timed_runs,
    }
    words = [str(word) for option in options.items() for word in option]
    return median_ns(json.loads(output_of([str(runner), *words], door))["wall_ns"])


def output_of(command: list[str], door: str = "") -> str:
    environment = {**os.environ, "DOOR": door, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=VISIT_TIMEOUT_S,
    ).stdout.splitlines()[-1]


@contextlib.contextmanager
def on_cpu(cpu: int) -> Iterator[None]:
    """Run everything that is started meanwhile on one cpu."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class AgentVisits:
    """Visits of one program by a whole agent."""

    def __init__(self, agent: AgentProcess, program: bytes) -> None:
        self._agent = agent
        self._program = program
        self._count = 0
        chunks = [program[start : start + 1_000_000] for start in range(0, len(program), 1_000_000)]
        agent.upload(program, chunks)

    def visit(self) -> float:
        self._count += 1
        run_id = f"visit-{self._count}"
        answer = self._agent.run(
            run_id, self._program, shapes=[DEFAULT_DEPLOYMENT.input_shape], spec=SPEC
        )
        self._agent.acknowledge(run_id)
        return statistics.median(answer.visit.wall_ns)


def in_turn(first: Visit, second: Visit, pairs: int) -> list[tuple[float, float]]:
    """Alternate the order within pairs, so that a drift affects both alike."""
    visits = []
    for index in range(pairs):
        if index % 2:
            second_ns = second()
            visits.append((first(), second_ns))
        else:
            visits.append((first(), second()))
    return visits


def report_ratio(
    name: str, visits: list[tuple[float, float]], device: DeviceDescription, **conditions: object
) -> None:
    ratios = sorted(first / second for first, second in visits)
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    report(
        name,
        round(statistics.median(ratios), 4),
        "ratio",
        GOAL,
        pairs=len(visits),
        quartiles=[round(quartiles[0], 4), round(quartiles[2], 4)],
        median_ns=[round(statistics.median(side)) for side in zip(*visits, strict=True)],
        network=NETWORK,
        confinement=list(device.confinement),
        runner=device.runner_build,
        **conditions,
    )


def measure(pairs: int, folder: Path) -> None:
    program = direct(ZOO[NETWORK])
    program_file, inputs_file = folder / "program.pte", folder / "inputs"
    program_file.write_bytes(program)
    make_inputs((SHAPE,), SPEC.seed)[0].tofile(inputs_file)
    given = (str(program_file), str(inputs_file), SHAPE, *TIMES)
    trial = build_trials() / "runner-trial"
    sdk_runner = compile_with_cmake(Path(__file__).with_name("sdk_runner"), "sdk_runner")
    agent = AgentProcess(folder / "state", RUNNER)
    try:
        device = agent.describe()
        cpu = device.core_classes[0].cpus[-1]
        by_agent = AgentVisits(agent, program).visit
        call_ns: list[float] = []

        def by_executorch() -> float:
            with on_cpu(cpu):
                command = [sys.executable, "-m", "tests.bench.executorch_visit", *given]
                told = json.loads(output_of(command))
            call_ns.append(median_ns(told["call_ns"]))
            return median_ns(told["execute_ns"])

        def by_sdk() -> float:
            with on_cpu(cpu):
                command = [str(sdk_runner / "sdk-runner"), *given]
                return median_ns(json.loads(output_of(command)))

        visits = in_turn(
            lambda: runner_visit(program_file, cpu, RUNNER),
            lambda: runner_visit(program_file, cpu, trial, "open"),
            pairs,
        )
        report_ratio("runner.confined_ratio", visits, device)
        visits = in_turn(by_agent, by_executorch, pairs)
        with_the_call = [first / call for (first, _), call in zip(visits, call_ns, strict=True)]
        report_ratio(
            "agent.ratio_executorch",
            visits,
            device,
            ratio_to_the_public_call=round(statistics.median(with_the_call), 4),
        )
        report_ratio("agent.ratio_sdk", in_turn(by_agent, by_sdk, pairs), device)
    finally:
        agent.end()


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else quick(PAIRS)
    with tempfile.TemporaryDirectory() as name:
        measure(pairs, Path(name))


if __name__ == "__main__":
    main()
