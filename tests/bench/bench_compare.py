"""compare.*: does `latlab compare OLD NEW --max-ratio 1.03` decide, rightly and soon?

compare.slower_at_limit_slower   at a ratio of exactly 1.03, how often it says slower
compare.slower_at_limit_passes   and how often it says not slower
compare.equal_resampled          how often equal programs pass, in resampled pairs
compare.equal_passes             how often they pass, live
compare.found                    how often slow-downs of 6 to 10 % are found, live
compare.minutes_equal            median device time of live comparisons of equal programs
compare.minutes_slower           median device time of live slow-downs

Equal programs are one network with two sets of random weights. Their pairs of visits are recorded
on this machine's lab, in batches as the command makes them. A comparison is then resampled from
blocks of consecutive batches. Each block is turned round or not by chance, as if the programs had
been exchanged, so that the true ratio is exactly 1, and all ratios are multiplied by 1.03 or 1.06.
A slow-down is planted by extra convolutions in the network, as many as take 6 to 10 % of its time.

python -m tests.bench.bench_compare records for 15 minutes and compares live for 90, on a machine
that must be left alone. Pairs and comparisons are kept in build/bench under the name of the seed.
An interrupted run is continued, and a whole one is only evaluated again. QUICK=1 does a tenth, into
files of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import numpy as np

from host.measuring.sequential import BATCH, SequentialTest, Verdict
from host.measuring.statistics import visit_latency_ns
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.program import ProgramFile
from search.latency.gate import PAIRS, GateResult, Limits, run_gate
from search.space.architecture import Architecture
from search.space.deployment import DEFAULT_DEPLOYMENT
from tests.bench.bench_measure_coverage import networks
from tests.bench.figures import IS_QUICK, at_least, at_most, quick, report
from tests.bench.finished import REPOSITORY
from tests.bench.real_lab import RealLab, real_lab

if TYPE_CHECKING:
    from torch import nn

SEED = 20_301
NETWORKS = quick(4, 2)
RECORDED_BATCHES = quick(25, 5)  # of each network
BLOCK = 5 if not IS_QUICK else 2  # consecutive batches
RESAMPLED = quick(10_000, 1_000)
LIVE_EQUAL, LIVE_SLOWER = quick(40, 2), quick(20, 2)
LIMITS = Limits(max_ratio=1.03, max_minutes=5.0)
SLOW_DOWNS = (1.06, 1.07, 1.08, 1.09, 1.10)
TRIAL_KERNELS = 8  # extra ones, from which the time of one is known
SUFFIX = "_quick" if IS_QUICK else ""
PAIRS_FILE = REPOSITORY / "build/bench" / f"compare_pairs_{SEED}{SUFFIX}.jsonl"
LIVE_FILE = REPOSITORY / "build/bench" / f"compare_live_{SEED}{SUFFIX}.jsonl"

Batches = list[list[float]]


def main() -> None:
    PAIRS_FILE.parent.mkdir(parents=True, exist_ok=True)
    with real_lab() as opened, tempfile.TemporaryDirectory() as folder:
        programs = {
            name: (export(network, 0, 0, folder), export(network, 1, 0, folder))
            for name, network in networks(NETWORKS, SEED).items()
        }
        record(opened, programs)
        compare_live(opened, programs, folder)
    report_resampled()
    report_live()


def export(network: Architecture, seed: int, extra: int, folder: str) -> ProgramFile:
    """Return the program of a network, with extra convolutions at 56x56 if there are any."""
    from latlab.export import export_program
    from search.space.network import build_network

    module: nn.Module = build_network(network, classes=DEFAULT_DEPLOYMENT.classes, seed=seed)
    if extra:
        module = with_extra(module, extra)
    program, data = export_program(module.eval(), DEFAULT_DEPLOYMENT.input_shape)
    path = Path(folder, f"{program.sha256}.pte")
    path.write_bytes(data)
    return ProgramFile(program, path)


def with_extra(network: nn.Module, count: int) -> nn.Module:
    """Return the network with a branch of so many 3x3 convolutions of 16 channels."""
    import torch
    from torch import nn

    torch.manual_seed(SEED)

    class Slower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            extra = [nn.Conv2d(16, 16, 3, padding=1) for _ in range(count)]
            self.branch = nn.Sequential(
                nn.AvgPool2d(4), nn.Conv2d(3, 16, 1), *extra, nn.AdaptiveAvgPool2d(1), nn.Flatten()
            )
            self.head = nn.Linear(16, DEFAULT_DEPLOYMENT.classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(x) + self.head(self.branch(x))
            return logits

    return Slower()


# ---------------------------------------------------------------- recorded pairs


def record(opened: RealLab, programs: Mapping[str, tuple[ProgramFile, ProgramFile]]) -> None:
    """Record pairs of equal programs until each network has as many as there shall be."""
    known = lines(PAIRS_FILE)
    for name, pair in programs.items():
        done = sum(line["network"] == name for line in known)
        for number in range(done, RECORDED_BATCHES):
            print(f"\r{name}: batch {number + 1} of {RECORDED_BATCHES}", end="", file=sys.stderr)
            start_s = time.monotonic()
            ratios, device_s = batch(opened, pair, new_first=number % 2 == 1)
            line = {"network": name, "ratios": ratios, "device_s": device_s}
            add_line(PAIRS_FILE, line | {"elapsed_s": time.monotonic() - start_s})
        print(file=sys.stderr)


def batch(
    opened: RealLab, pair: tuple[ProgramFile, ProgramFile], *, new_first: bool
) -> tuple[list[float], float]:
    """Measure a batch of pairs; return the ratios of the clean ones and the device time in s."""
    order = pair[::-1] if new_first else pair
    outcomes = opened.client.measure(opened.target.id, order, PAIRS, fresh=True)
    latencies_ns: dict[str, list[float | None]] = {}
    device_s = 0.0
    for outcome in outcomes:
        assert isinstance(outcome, MeasuredLatency), outcome
        visits = opened.client.measurement(outcome.measurement_id).visits
        latencies_ns[outcome.program_sha256] = list(map(visit_latency_ns, visits[:BATCH]))
        device_s += outcome.device_s
    old, new = (latencies_ns[file.program.sha256] for file in pair)
    ratios = [b / a for a, b in zip(old, new, strict=True) if a is not None and b is not None]
    return ratios, device_s


def report_resampled() -> None:
    recorded: dict[str, Batches] = {}
    known = lines(PAIRS_FILE)
    for line in known:
        recorded.setdefault(line["network"], []).append(line["ratios"])
    elapsed_s = median(line["elapsed_s"] for line in known)
    device_s = median(line["device_s"] for line in known)
    most = int(LIMITS.max_minutes * 60 / elapsed_s)
    logs = np.concatenate([np.log(np.concatenate(batches)) for batches in recorded.values()])
    conditions = {
        "resampled": RESAMPLED,
        "networks": len(recorded),
        "recorded_pairs": sum(len(line["ratios"]) for line in known),
        "spread_of_pairs": round(float(np.subtract(*np.quantile(logs, (0.84, 0.16))) / 2), 4),
        "batches_in_budget": most,
        "block_of_batches": BLOCK,
        "device_s_per_batch": round(device_s, 2),
        "seed": SEED,
    }

    def resampled(ratio: float) -> list[tuple[str, Verdict, int]]:
        rng = np.random.default_rng(SEED)
        names = list(recorded)
        found = []
        for number in range(RESAMPLED):
            name = names[number % len(names)]
            # At the limit, giving up early would only make wrong answers rarer, and takes long.
            batches = drawn(recorded[name], most, rng)
            gives_up = ratio != LIMITS.max_ratio
            found.append((name, *decided(batches, ratio, most if gives_up else None)))
        return found

    at_limit, equal, slower = map(resampled, (LIMITS.max_ratio, 1.0, 1.06))
    for verdict, what in ((Verdict.SLOWER, "slower"), (Verdict.NOT_SLOWER, "passes")):
        each = by_network(at_limit, verdict)
        value = round(share(at_limit, verdict), 4)
        name = f"compare.slower_at_limit_{what}"
        report(name, value, "share", at_most(0.05), each=each, **conditions)
    report(
        "compare.equal_resampled",
        round(share(equal, Verdict.NOT_SLOWER), 4),
        "share",
        at_least(0.95),
        each=by_network(equal, Verdict.NOT_SLOWER),
        median_device_minutes=round(median(n for *_, n in equal) * device_s / 60, 2),
        found_at_6_pct=round(share(slower, Verdict.SLOWER), 4),
        median_device_minutes_at_6_pct=round(median(n for *_, n in slower) * device_s / 60, 2),
        **conditions,
    )


def drawn(batches: Batches, most: int, rng: np.random.Generator) -> Iterator[list[float]]:
    """Yield batches, from blocks of consecutive ones that are turned round by chance."""
    for number in range(most):
        place = number % BLOCK
        if place == 0:
            start = rng.integers(0, len(batches) - BLOCK + 1)
            sign = rng.choice((-1, 1))
        yield [ratio**sign for ratio in batches[start + place]]


def decided(batches: Iterator[list[float]], ratio: float, most: int | None) -> tuple[Verdict, int]:
    """Return the verdict and how many batches it took.

    Args:
        batches: The ratios of equal programs.
        ratio: What they are multiplied by.
        most: How many batches fit into the budget, to give up where that is hopeless; None not to.
    """
    test, count = SequentialTest(LIMITS.max_ratio), 0
    for ratios in batches:
        test.add([ratio * each for each in ratios])
        count += 1
        is_hopeless = most is not None and test.is_hopeless(most)
        if test.verdict() is not Verdict.UNDECIDED or is_hopeless:
            break
    return test.verdict(), count


def share(found: Sequence[tuple[str, Verdict, int]], verdict: Verdict) -> float:
    return fmean(each is verdict for _, each, _ in found)


def by_network(found: Sequence[tuple[str, Verdict, int]], verdict: Verdict) -> list[float]:
    names = dict.fromkeys(name for name, _, _ in found)
    return [round(share([each for each in found if each[0] == n], verdict), 4) for n in names]


# ---------------------------------------------------------------- live comparisons


@dataclass(frozen=True)
class Case:
    """A live comparison: `name` is its own; `planted` the ratio that was aimed at."""

    name: str
    network: str
    planted: float


def cases() -> list[Case]:
    names = list(networks(NETWORKS, SEED))
    equal = [Case(f"equal {n}", names[n % len(names)], 1.0) for n in range(LIVE_EQUAL)]
    slower = [
        Case(f"slower {n}", names[n % len(names)], SLOW_DOWNS[n // len(names) % len(SLOW_DOWNS)])
        for n in range(LIVE_SLOWER)
    ]
    return equal + slower


def compare_live(
    opened: RealLab, programs: Mapping[str, tuple[ProgramFile, ProgramFile]], folder: str
) -> None:
    """Make the live comparisons that were not made yet."""
    done = {line["case"] for line in lines(LIVE_FILE)}
    ratio_of_one: dict[str, float] = {}
    for case in cases():
        if case.name in done:
            continue
        old, new = programs[case.network]
        extra = 0
        if case.planted > 1:
            network = networks(NETWORKS, SEED)[case.network]
            if case.network not in ratio_of_one:
                trial = export(network, 1, TRIAL_KERNELS, folder)
                ratio_of_one[case.network] = time_of_one(opened, (old, trial))
            extra = max(1, round((case.planted - 1) / ratio_of_one[case.network]))
            new = export(network, 1, extra, folder)
        result = run_gate(opened.client, opened.target, (old, new), LIMITS)
        assert isinstance(result, GateResult), result
        add_line(LIVE_FILE, live_line(case, extra, result))
        print(f"{case.name}: {result.verdict.value}", file=sys.stderr)


def time_of_one(opened: RealLab, pair: tuple[ProgramFile, ProgramFile]) -> float:
    """Return the time of one extra convolution as a share of the network's."""
    ratios = [r for number in range(4) for r in batch(opened, pair, new_first=number % 2 == 1)[0]]
    return (median(ratios) - 1) / TRIAL_KERNELS


def live_line(case: Case, extra: int, result: GateResult) -> dict[str, Any]:
    return {
        "case": case.name,
        "network": case.network,
        "planted": case.planted,
        "extra_kernels": extra,
        "verdict": result.verdict.value,
        "ratio": result.estimate.ratio,
        "pairs": result.pairs,
        "device_s": result.device_s,
        "first_kernel": result.kernels[0].text if result.kernels else "",
    }


def report_live() -> None:
    found = lines(LIVE_FILE)
    equal = [line for line in found if line["planted"] == 1]
    slower = [line for line in found if line["planted"] > 1]
    show = live_figures(equal, Verdict.NOT_SLOWER)
    report("compare.equal_passes", show["share"], "share", at_least(0.95), **show)
    show = live_figures(slower, Verdict.SLOWER)
    report("compare.found", show["share"], "share", at_least(0.95), **show)
    for name, some in (("equal", equal), ("slower", slower)):
        minutes = [line["device_s"] / 60 for line in some]
        value, longest = round(median(minutes), 2), round(max(minutes), 2)
        report(f"compare.minutes_{name}", value, "minutes", at_most(2), longest=longest)


def live_figures(found: Sequence[dict[str, Any]], right: Verdict) -> dict[str, Any]:
    verdicts = [line["verdict"] for line in found]
    return {
        "share": round(fmean(verdict == right.value for verdict in verdicts), 4),
        "comparisons": len(found),
        "undecided": verdicts.count(Verdict.UNDECIDED.value),
        "ratios": [round(line["ratio"], 3) for line in found],
        "median_pairs": median(line["pairs"] for line in found),
        "seed": SEED,
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def add_line(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        print(json.dumps(line), file=file, flush=True)


if __name__ == "__main__":
    main()
