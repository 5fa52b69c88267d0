"""Run benchmarks and print one JSON line for each figure, beside its goal.

python -m tests.bench [GROUP]

Run them on a quiet machine. Groups whose names end in -live measure or search for a long time on
this machine's lab, which keeps the measurements. The exit code is 1 if a figure misses its goal.
A group that was interrupted continues: the figures of finished benchmarks are printed again,
unless the code has changed. QUICK=1 does a tenth of the work where a benchmark can.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable

from tests.bench import figures
from tests.bench.finished import Finished

GROUPS = {
    "first": ("zoo", "kernels", "predict", "agent", "controller"),
    "export": ("export", "pipeline"),
    "latency": ("agent", "public", "transfer"),
    "predict": ("public", "transfer", "predict_speed", "scale_refit"),
    "predict-live": (
        "measure_coverage",
        "predict60",
        "selected",
        "predict_int8",
        "any_predicted",
        "mixed",
        "upgrade",
    ),
    "latency-live": ("measure_coverage", "predict60", "repeat", "other"),
    "lab": ("lab", "agent_cost", "bundle", "scale"),
    "faults": ("faults", "idle_connections", "hostile_requests", "wrong_quarantine"),
    "programs": ("wrong", "hostile_commands", "hostile", "poisoned", "runner"),
    "any": ("reader", "int8", "first_figure", "any", "foreign", "any_predicted"),
    "profile": ("profile_located", "profile_findings", "profile", "compare", "first_value"),
    "house": ("house",),
    "service": ("service", "database_lookup", "wheels", "service_load", "service_jobs"),
    "search": (
        "search",
        "strategies",
        "controller",
        "search_long",
        "uncertain",
        "hybrid",
        "proxy_collisions",
        "repeats",
        "surrogate",
    ),
    "search-live": ("train", "beats", "overlap", "first_report"),
}


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else None
    if wanted is not None and wanted not in GROUPS:
        print(f"no benchmarks {wanted!r}; there are: {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    names = (
        GROUPS[wanted] if wanted else tuple(dict.fromkeys(n for g in GROUPS.values() for n in g))
    )
    sys.argv = sys.argv[:1]
    run(wanted or "all", names)
    missed = [line for line in figures.printed() if line.get("met") is False]
    for line in missed:
        goal = figures.Goal(**line["goal"])
        print(f"missed: {line['name']} is {line['value']}, the goal {goal}", file=sys.stderr)
    return 1 if missed else 0


def run(group: str, names: tuple[str, ...]) -> None:
    """Run the benchmarks and print their figures and how long the group took."""
    finished = Finished(group)
    start_s = time.monotonic()
    for name in names:
        kept = finished.get(name)
        if kept is not None:
            for line in kept:
                figures.print_line(line)
            continue
        before, since_s = len(figures.printed()), time.monotonic()
        _benchmark(name)()
        finished.add(name, figures.printed(before))
        print(f"{name}: {(time.monotonic() - since_s) / 60:.1f} minutes", file=sys.stderr)
    finished.forget()
    print(f"bench-{group}: {(time.monotonic() - start_s) / 60:.1f} minutes", file=sys.stderr)


def _benchmark(name: str) -> Callable[[], None]:
    main: Callable[[], None] = importlib.import_module(f"tests.bench.bench_{name}").main
    return main


if __name__ == "__main__":
    sys.exit(main())
