"""programs.hostile_commands: commands that are called with absurd arguments.

An answer is wrong if it is a traceback, an exit code that the command's help does not name, or a
file in the wrong folder.

python -m tests.bench.bench_hostile_commands       QUICK=1: a tenth of the cases
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench.figures import exactly, quick, report
from tests.device_agent.agent_process import REPOSITORY
from tests.search.cli.hostile_lab import (
    HOME,
    Case,
    Command,
    commands,
    refusing_lab,
    wrong,
    wrong_end,
)
from tests.search.cli.hostile_values import Scratch, hostile_values, stays_inside

VALUES, PROCESSES = 500, 300
WORKERS = 2
PROCESS_TIMEOUT_S = 120
SHOWN = 100
RUN = "from search.cli import app; app(prog_name='latlab')"
# Without a lab that refuses them, these would export, serve or train for real.
NO_PROCESS = {("lab", "up"), ("dashboard",), ("train",)}
MAX_ARGUMENT = 100_000  # bytes; Linux allows 128 KiB


def main() -> None:
    start_s = time.perf_counter()
    # Each part has a fresh process, because the cases change its folder and its alarm.
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(run_part, range(WORKERS)))
    seconds = time.perf_counter() - start_s
    runs = sum(count for count, _ in parts)
    found = sum((counter for _, counter in parts), Counter[str]())
    processes = run_processes(found)
    report(
        "programs.hostile_commands",
        found.total(),
        "runs that end wrongly",
        exactly(0),
        runs=runs,
        runs_per_s=round(runs / seconds, 1),
        processes=processes,
        **found,
    )


def run_part(part: int) -> tuple[int, Counter[str]]:
    """Run every case of this part in this process; return how many there are and what was wrong."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        scratch = Scratch(Path(folder) / "top")
        cases = drawn_cases(scratch, quick(VALUES))[part::WORKERS]
        with refusing_lab(scratch) as lab:
            for number, (command, case) in enumerate(cases):
                lab(number % 2 == 0)
                note(found, case, wrong(command, case, scratch))
    return len(cases), found


def run_processes(found: Counter[str]) -> int:
    """Run some of the cases as real processes; return how many."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        scratch = Scratch(Path(folder) / "top")
        cases = drawn_cases(scratch, quick(VALUES))
        fit = [pair for pair in cases if may_be_a_process(pair[1])]
        processes = random.Random(1).sample(fit, quick(PROCESSES))
        for command, case in processes:
            note(found, case, wrong_process(command, case, scratch))
    return len(processes)


def drawn_cases(scratch: Scratch, count: int) -> list[tuple[Command, Case]]:
    """Draw values for each parameter of each command and for LATLAB_HOME."""
    drawn: list[tuple[Command, Case]] = []
    rng = random.Random(0)
    for command in commands():
        for parameter in (*(each.name for each in command.parameters), HOME):

            def is_sound(value: str, path: bool = command.is_path(parameter)) -> bool:
                return stays_inside(scratch, value) or not (path or value.startswith("/"))

            values = hostile_values(scratch, count, rng, is_sound)
            drawn += [(command, command.case(scratch, parameter, value)) for value in values]
    return drawn


def may_be_a_process(case: Case) -> bool:
    words = (case.value, *case.arguments)
    return case.command not in NO_PROCESS and not any(
        "\0" in word or len(os.fsencode(word)) > MAX_ARGUMENT for word in words
    )


def wrong_process(command: Command, case: Case, scratch: Scratch) -> str | None:
    environment = {
        **os.environ,
        "HOME": str(scratch.user),
        HOME: case.value if case.parameter == HOME else str(scratch.home),
        "PYTHONPATH": str(REPOSITORY),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *case.command, *case.arguments],
        cwd=scratch.work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        output, errors = process.communicate(timeout=PROCESS_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return f"it takes more than {PROCESS_TIMEOUT_S} s"
    return wrong_end(command, case, scratch, process.returncode, output, errors)


def note(found: Counter[str], case: Case, problem: str | None) -> None:
    if problem is not None:
        found[problem.split(":")[0].split(" ")[0]] += 1
        if found.total() <= SHOWN:
            print(f"{case}: {problem}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
