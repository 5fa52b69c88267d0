"""programs.hostile: mutated programs that are not answered as they should be.

Each program goes through the agent's runner and must end as a Failure of the program or as a
valid Visit. The benchmark also checks what a program that has taken over the runner can still
do while it is confined.

python -m tests.bench.bench_hostile [PROGRAMS]: by default 10,000, and a tenth with QUICK=1. One
in fifty goes through a whole agent. A program that was not answered as it should be is kept in
build/hostile.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from device_agent.runner_process import Runner, Stop
from latlab.v1 import common_pb2
from latlab.v1.common_pb2 import FailureKind, Shape, TensorSpec
from latlab.v1.device_agent_pb2 import RunRequest, RunResponse
from tests.bench.figures import exactly, quick, report
from tests.device_agent import odd_programs, runner_values
from tests.device_agent.agent_process import REPOSITORY, AgentProcess, sha256, spec
from tests.device_agent.conftest import build_trials, export
from tests.device_agent.runner.test_confinement import LIMIT, attempts

PROGRAMS = 10_000
THROUGH_THE_AGENT = 50  # one program in so many goes through a whole agent
TRIALS = 10
SEED = 13
DEADLINE_S = 10.0
GRACE_S = 10.0  # the time to kill a runner on a busy machine
MEMORY_BYTES = 2 << 30
RUNS = 2
RUNNER = REPOSITORY / "build/runner/latlab-runner"
KEPT = REPOSITORY / "build/hostile"

# The kinds of failure that a program may end with. An agent's error is not among them.
FAILURES = {
    common_pb2.FAILURE_KIND_NOT_A_PROGRAM,
    common_pb2.FAILURE_KIND_BAD_INPUT,
    common_pb2.FAILURE_KIND_UNSUPPORTED,
    common_pb2.FAILURE_KIND_CRASHED,
    common_pb2.FAILURE_KIND_TIMED_OUT,
    common_pb2.FAILURE_KIND_OUT_OF_MEMORY,
    common_pb2.FAILURE_KIND_EXECUTION_ERROR,
    common_pb2.FAILURE_KIND_TRACE_MISMATCH,
}


Mutation = Callable[[bytearray, bytes, np.random.Generator], None]


class Sound(NamedTuple):
    """A program as it was exported."""

    data: bytes
    inputs: tuple[str, ...]


class Mutant(NamedTuple):
    number: int
    data: bytes
    inputs: tuple[str, ...]


def sound_programs() -> list[Sound]:
    """Return small programs, in which a mutation rarely hits only weights."""
    torch.manual_seed(SEED)
    layers = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    small = Sound(export(nn.Sequential(*layers), (1, 3, 8, 8)), ("1x3x8x8",))
    odd = [Sound(make(), inputs) for make, inputs in odd_programs.RUNNABLE.values()]
    return [small, *odd]


def mutate(number: int, sound: Sequence[Sound]) -> Mutant:
    """Return the mutant with this number, which is always the same for the same programs."""
    rng = np.random.default_rng((SEED, number))
    victim = sound[int(rng.integers(len(sound)))]
    data = bytearray(victim.data)
    for _ in range(rng.choice((1, 2, 3), p=(0.8, 0.1, 0.1))):
        mutation = list(MUTATIONS)[rng.choice(len(MUTATIONS), p=list(MUTATIONS.values()))]
        mutation(data, sound[int(rng.integers(len(sound)))].data, rng)
    return Mutant(number, bytes(data), victim.inputs)


def section_of(size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return a section, mostly a short one.

    A long one breaks the program's first table, so that nothing else is reached.
    """
    start = int(rng.integers(size + 1))
    return start, min(size, start + int(rng.geometric(1 / 64)))


def flip_bits(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    for position in rng.integers(max(1, len(data)), size=rng.integers(1, 4)):
        if position < len(data):
            data[position] ^= 1 << rng.integers(8)


def overwrite_words(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    """Set offsets, sizes and counts to extreme values."""
    extremes = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), 2**16, 2**28]
    for _ in range(rng.integers(1, 3)):
        position = 4 * int(rng.integers(max(1, len(data) // 4)))
        value = extremes[rng.integers(len(extremes))] & 0xFFFFFFFF
        data[position : position + 4] = value.to_bytes(4, "little")


def truncate(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    del data[rng.integers(len(data) + 1) :]


def splice(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    """Replace a section by one of the same length from another program or from this one."""
    start, end = section_of(len(other), rng)
    place = int(rng.integers(len(data) + 1))
    replaced = end - start if rng.integers(4) else int(rng.integers(len(data) + 1 - place))
    data[place : place + replaced] = other[start:end]


def clear(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    start, end = section_of(len(data), rng)
    data[start:end] = bytes(end - start)


def move(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    """Move a section to another place, where offsets do not expect it."""
    start, end = section_of(len(data), rng)
    section = data[start:end]
    del data[start:end]
    place = int(rng.integers(len(data) + 1))
    data[place:place] = section


# The mutations and their weights.
MUTATIONS: dict[Mutation, float] = {
    flip_bits: 0.5,
    overwrite_words: 0.2,
    truncate: 0.05,
    splice: 0.15,
    clear: 0.05,
    move: 0.05,
}


def tensors(inputs: tuple[str, ...]) -> list[TensorSpec]:
    return [
        TensorSpec(shape=Shape(dims=given.shape), dtype=given.dtype, low=given.low, high=given.high)
        for given in map(runner_values.parse, inputs)
    ]


def request_of(mutant: Mutant) -> RunRequest:
    visit = spec(
        warmup_runs=1,
        timed_runs=RUNS,
        max_timed_runs=RUNS,
        deadline_ns=round(DEADLINE_S * 1e9),
        traced=mutant.number % 2 == 0,
        threads=1,
    )
    return RunRequest(
        run_id=f"hostile-{mutant.number}",
        lease_token=1,
        program_sha256=sha256(mutant.data),
        inputs=tensors(mutant.inputs),
        spec=visit,
    )


def is_right(response: RunResponse) -> bool:
    if response.WhichOneof("outcome") == "failure":
        return response.failure.kind in FAILURES and bool(response.failure.message)
    visit = response.visit
    series = (visit.wall_ns, visit.cpu_ns, visit.involuntary_switches)
    return (
        {len(samples) for samples in series} == {RUNS}
        and min(visit.wall_ns) > 0
        and max(visit.wall_ns) < DEADLINE_S * 1e9
        and visit.load_ns > 0
        and all(len(trace.durations_ns) == RUNS for trace in visit.kernel_traces)
    )


def word_for(response: RunResponse) -> str:
    if response.WhichOneof("outcome") == "visit":
        return "visit"
    return FailureKind.Name(response.failure.kind).removeprefix("FAILURE_KIND_").lower()


class Trial:
    """Runs mutants and keeps those whose answer is wrong."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner = Runner(RUNNER, MEMORY_BYTES, folder)
        self._cpus = sorted(os.sched_getaffinity(0))
        self.outcomes: Counter[str] = Counter()
        self.wrong = 0

    def run(self, mutant: Mutant) -> None:
        path = self._folder / f"{mutant.number}.pte"
        path.write_bytes(mutant.data)
        cpu = self._cpus[mutant.number % len(self._cpus)]
        start_s = time.monotonic()
        try:
            response = self._runner.run(
                path, request_of(mutant), [cpu], start_s + DEADLINE_S, Stop()
            )
        except Exception as error:  # the agent would have met it too
            self._note(mutant, f"raised {type(error).__name__}", is_right=False)
        else:
            in_time = time.monotonic() - start_s < DEADLINE_S + GRACE_S
            self._note(mutant, word_for(response), in_time and is_right(response))
        path.unlink()

    def run_through(self, agent: AgentProcess, mutant: Mutant) -> None:
        """Upload the program to a whole agent, which must answer and survive."""
        try:
            agent.upload(mutant.data)
            request = request_of(mutant)
            response = agent.stub.Run(request, metadata=agent.metadata, timeout=60)
            agent.acknowledge(request.run_id)
            is_alive = agent.describe().serial != "" and agent.process.poll() is None
        except Exception as error:  # the agent is dead or refuses
            self._note(mutant, f"agent: {type(error).__name__}", is_right=False)
        else:
            self._note(mutant, word_for(response), is_alive and is_right(response))

    def _note(self, mutant: Mutant, outcome: str, is_right: bool) -> None:
        self.outcomes[outcome] += 1
        if not is_right:
            self.wrong += 1
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{mutant.number}.pte").write_bytes(mutant.data)


def run_mutants(count: int, folder: Path) -> tuple[Trial, float]:
    """Return the trial and the programs per second."""
    sound = sound_programs()
    trial = Trial(folder)
    start_s = time.monotonic()
    agent = AgentProcess(folder / "state", RUNNER)
    try:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:

            def run(number: int) -> None:
                mutant = mutate(number, sound)
                # An empty program cannot be uploaded, so only the runner meets it.
                if number % THROUGH_THE_AGENT == 0 and mutant.data:
                    trial.run_through(agent, mutant)
                else:
                    trial.run(mutant)

            list(threads.map(run, range(count)))
    finally:
        agent.end()
    return trial, count / (time.monotonic() - start_s)


def run_attempts(folder: Path) -> tuple[int, int]:
    """Return how many attempts succeeded while confined, of how many that succeed otherwise."""
    trials = build_trials()
    program = folder / "sound.pte"
    program.write_bytes(sound_programs()[0].data)
    free = attempts(trials, program, "free")
    succeeded = sum(
        error == 0
        for _ in range(TRIALS)
        for error in attempts(trials, program, "shut", *LIMIT).values()
    )
    return succeeded, TRIALS * sum(error == 0 for error in free.values())


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else quick(PROGRAMS)
    with tempfile.TemporaryDirectory() as name:
        trial, rate = run_mutants(count, Path(name))
        succeeded, tried = run_attempts(Path(name))
    report(
        "programs.hostile",
        trial.wrong + succeeded,
        "programs",
        exactly(0),
        programs=count,
        outcomes=dict(trial.outcomes.most_common()),
        attempts=tried,
        attempts_succeeded=succeeded,
        programs_a_second=round(rate, 1),
        seed=SEED,
        kept=str(KEPT.relative_to(REPOSITORY)) if trial.wrong else "",
    )


if __name__ == "__main__":
    main()
