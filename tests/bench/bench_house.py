"""house.*, client.*: the state of the sources, the time of the tests, the cost of a client, and
what predicting and measuring take.

python -m tests.bench.bench_house

The tests run in a fresh clone with an environment of its own, and so does the client; installing
takes what pip has to fetch, and is printed beside. BEFORE=COMMIT runs the tests of an older commit
too, in a clone of its own. QUICK=1 leaves the tests out. The other figures need a built runner.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from device_agent.bundle.wheels import client_wheel
from tests import structure
from tests.bench import figures, words
from tests.bench.figures import at_most, exactly, report
from tests.bench.house_journeys import journeys

RUNS = 10
MANY_MODULES = "latency_models"  # one folder of pure modules
MIGRATIONS = "host.database.migrations."  # a record of what was, not to be edited
LIMIT_S = 3600


def main() -> None:
    sources()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        journeys(folder)
        clients(folder)
        if not figures.IS_QUICK:
            suite(folder)


def sources() -> None:
    sizes = structure.folder_sizes()
    many = sizes.pop(MANY_MODULES)
    name, most = max(sizes.items(), key=lambda item: item[1])
    report("house.largest_folder", most, "modules", at_most(12), folder=name)
    report(f"house.largest_folder.{MANY_MODULES}", many, "modules", at_most(20))
    name, lines = max(structure.file_lines().items(), key=lambda item: item[1])
    report("house.largest_file_lines", lines, "lines", at_most(300), module=name)
    functions = [f for f in structure.functions() if not f.name.startswith(MIGRATIONS)]
    plain = [f for f in functions if not f.is_command]
    longest = max(plain, key=lambda function: function.lines)
    report("house.longest_function", longest.lines, "lines", at_most(60), function=longest.name)
    widest = max(plain, key=lambda function: function.parameters)
    most = widest.parameters
    report("house.most_parameters", most, "parameters", at_most(8), function=widest.name)
    command = max((f for f in functions if f.is_command), key=lambda function: function.body_lines)
    lines = command.body_lines
    report("house.longest_command_body", lines, "lines", at_most(14), function=command.name)
    cycles = [*structure.module_cycles(), *structure.folder_cycles()]
    report("house.cycles", len(cycles), "cycles", exactly(0), found=cycles)
    riddles = words.riddles()
    report("house.riddles", len(riddles), "texts", exactly(0), found=riddles[:20])
    lines = len((structure.REPOSITORY / "README.md").read_text().splitlines())
    report("house.readme_lines", lines, "lines", at_most(100))
    wrong = structure.wrong_imports()
    report("house.layering_exceptions", len(wrong), "imports", exactly(0), found=wrong)
    command_path = Path(sys.executable).with_name("latlab")
    taken_s = [timed_s([str(command_path), "--help"]) for _ in range(RUNS)]
    report("house.help_s", round(statistics.median(taken_s), 3), "s", at_most(0.5), runs=RUNS)


def clients(folder: Path) -> None:
    """The `latlab` wheel, alone in an environment of its own."""
    wheel = client_wheel(folder)
    environment = folder / "client"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=LIMIT_S)
    packages = next(environment.glob("lib/python*/site-packages"))
    before = size_bytes(packages)
    pip = [environment / "bin/pip", "install", "--quiet", wheel]
    install_s = timed_s(list(map(str, pip)))
    megabytes = (size_bytes(packages) - before) / 1e6
    report(
        "client.install_mb",
        round(megabytes, 1),
        "MB",
        at_most(40),
        install_s=round(install_s, 1),
    )
    code = (
        "import time; start = time.perf_counter(); import latlab; latlab.LatencyClient;"
        " print((time.perf_counter() - start) * 1e3)"
    )
    python = str(environment / "bin/python")
    taken_ms = [float(output([python, "-c", code])) for _ in range(RUNS + 1)][1:]
    report("client.import_ms", round(statistics.median(taken_ms)), "ms", at_most(300), runs=RUNS)


def suite(folder: Path) -> None:
    seconds, tests = tested(folder / "now", "HEAD", "test")
    conditions: dict[str, object] = {"tests": tests, "install_s": round(installed_s)}
    if before := os.environ.get("BEFORE"):
        before_s, before_tests = tested(folder / "before", before, "test")
        conditions |= {"before": before, "before_s": before_s, "before_tests": before_tests}
    report("house.test_s", seconds, "s", at_most(300), **conditions)
    seconds, tests = tested(folder / "now", "HEAD", "test-fast")
    report("house.test_fast_s", seconds, "s", at_most(60), tests=tests)


installed_s = 0.0  # the installing of the last clone


def tested(clone: Path, commit: str, target: str) -> tuple[int, int]:
    """Seconds that `make TARGET` took in a clone where everything is installed and built, and
    how many tests passed."""
    global installed_s
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", structure.REPOSITORY, clone], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=clone, check=True)
        installed_s = timed_s(["make", "setup", "runner"], clone)
    start_s = time.monotonic()
    said = output(["make", target], clone, check=False)
    taken_s = round(time.monotonic() - start_s)
    if (passed := re.search(r"(\d+) passed", said)) is None or re.search(r"\d+ failed", said):
        raise SystemExit(f"make {target} failed:\n{said[-2_000:]}")
    return taken_s, int(passed[1])


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def timed_s(command: list[str], cwd: Path | None = None) -> float:
    start_s = time.monotonic()
    output(command, cwd)
    return time.monotonic() - start_s


def output(command: list[str], cwd: Path | None = None, check: bool = True) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=cwd,
        check=check,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment,
    )
    return done.stdout


if __name__ == "__main__":
    main()
