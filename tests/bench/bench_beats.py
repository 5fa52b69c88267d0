"""search.beats_mobilenetv2: does a search find a network that beats MobileNetV2 where it counts?

A lab with a home of its own searches for an hour on this machine. Candidates are trained at width
0.5 on images of 32 pixels, or of the least size above that the proxy task takes. Their latency is
that of the whole network at 224 pixels. Then the network of the front that is nearest below
MobileNetV2's measured latency and MobileNetV2 are trained with five seeds each, with as many
epochs, and scored on images that the search has not used. Everything lies in build/bench/beats,
from where an interrupted benchmark goes on.

The images are Fashion-MNIST where it is installed, else photographs of clothes where the public
data is there, else digits, which are too easy to tell networks apart.

python -m tests.bench.bench_beats
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.failure import Failure
from latlab.export import ExportPool, ProgramCache
from search.accuracy.accuracy import AccuracyFailure, Score
from search.accuracy.data.datasets import Use, load_dataset
from search.accuracy.data.readers import FASHION_MNIST
from search.accuracy.proxy import ProxyAccuracy
from search.cli.session import EXPORT_WORKERS
from search.latency.calibration import REFERENCE
from search.latency.target_lab import TargetLab
from search.loop import measured_front
from search.rivals import Difference, difference
from search.space.architecture import Architecture
from search.study.settings import ProxyBudget, TrainingSource
from search.study.study import Study, read_study
from tests.bench.figures import IS_QUICK, at_least, report
from tests.bench.finished import REPOSITORY, code_state
from tests.bench.public_data import public_data

SEARCH_S = 180.0 if IS_QUICK else 3600.0
PROBE_ROUNDS = 1 if IS_QUICK else 2  # They tell how long a round takes.
ROUND_SIZE = 8 if IS_QUICK else 16
CALIBRATION = 8 if IS_QUICK else 28
SEEDS = range(2 if IS_QUICK else 5)
EPOCHS = 1 if IS_QUICK else 4
FINAL_TRAIN_IMAGES, FINAL_TEST_IMAGES = (1_000, 500) if IS_QUICK else (10_000, 10_000)
FINAL_LIMIT_S = 3600.0
STUDY = "beats"
LATLAB = (sys.executable, "-c", "from search.cli import app; app()")
FOLDER = REPOSITORY / "build/bench" / ("beats-quick" if IS_QUICK else "beats")


@dataclass(frozen=True)
class Pair:
    """A found network and MobileNetV2, and both latencies.

    Attributes:
        found: The network of the front that is nearest below MobileNetV2's latency.
        found_ns: Its measured latency.
        reference_ns: MobileNetV2's measured latency.
    """

    found: Architecture
    found_ns: int
    reference_ns: int


def main() -> None:
    _keep_only_what_this_code_made()
    home = LabHome(FOLDER / "home")
    lab_process.up(home)
    try:
        study = search_for_an_hour(home)
        pair = nearest_below(home, study)
    finally:
        lab_process.down(home)
    conditions = {**conditions_of(study), "front": len(measured_front(study.latest().values()))}
    if pair is None:
        report("search.beats_mobilenetv2", math.nan, "accuracy", at_least(0), **conditions)
        return
    found, reference = final_scores(study, pair.found)
    by = difference(found, reference)
    conditions |= {
        "found": pair.found.id,
        "found_ms": round(pair.found_ns / 1e6, 3),
        "mobilenetv2_ms": round(pair.reference_ns / 1e6, 3),
        "found_accuracies": [round(score.accuracy, 4) for score in found],
        "mobilenetv2_accuracies": [round(score.accuracy, 4) for score in reference],
        "test_images": found[0].images,
    }
    _report(by, conditions)
    shutil.rmtree(FOLDER)


def _report(by: Difference, conditions: dict[str, Any]) -> None:
    """Report the difference, and the bound of its interval that decides whether it is real."""
    value, lower, upper = (round(each, 4) for each in (by.value, by.lower, by.upper))
    conditions |= {"interval": [lower, upper], "level": 0.9, "method": by.method}
    report("search.beats_mobilenetv2", value, "accuracy", at_least(0), **conditions)
    report("search.beats_mobilenetv2_lower", lower, "accuracy", at_least(0), of=by.method)


def _keep_only_what_this_code_made() -> None:
    """Begin anew if the code has changed since the benchmark was interrupted."""
    state = FOLDER / "code.txt"
    if not state.is_file() or state.read_text() != code_state():
        if (FOLDER / "home").exists():
            lab_process.down(LabHome(FOLDER / "home"))
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        state.write_text(code_state())


def dataset() -> str:
    """Return the images to search and train on, as `--dataset` takes them."""
    if FASHION_MNIST.is_dir():
        return "fashion-mnist"
    clothes = public_data("clothing64.npz")
    return "digits" if clothes is None else str(clothes)


def search_for_an_hour(home: LabHome) -> Study:
    """Search with the product's command and defaults, or go on with an interrupted search.

    A few rounds tell how many fit into the hour. The number is kept for when the benchmark goes on.
    """
    folder, plan = FOLDER / "runs" / STUDY, FOLDER / "rounds.json"
    if not plan.is_file():
        _search(home, PROBE_ROUNDS)
        study = read_study(folder)
        asked_s = [finished.duration_s for finished in study.rounds if finished.asked]
        rounds = max(PROBE_ROUNDS, int(SEARCH_S * len(asked_s) / sum(asked_s)))
        plan.write_text(json.dumps({"rounds": rounds}))
    _search(home, json.loads(plan.read_text())["rounds"])  # The study keeps its strategy.
    return read_study(folder)


def _search(home: LabHome, rounds: int) -> None:
    # The default resolution is the least at which different candidates train as different networks.
    budget = ("--proxy-width", "0.5", "--proxy-epochs", str(EPOCHS))
    command = [
        *(*LATLAB, "search", "--study", STUDY, "--runs", str(FOLDER / "runs")),
        *("--rounds", str(rounds), "--round-size", str(ROUND_SIZE)),
        *("--calibration", str(CALIBRATION), "--dataset", dataset(), *budget),
    ]
    environment = {**os.environ, "LATLAB_HOME": str(home.root)}
    subprocess.run(command, env=environment, stdout=sys.stderr, check=True)


def nearest_below(home: LabHome, study: Study) -> Pair | None:
    """Return the pair to compare, or None if no network of the front is as fast as MobileNetV2."""
    front = [trial.architecture for trial in measured_front(study.latest().values())]
    with (
        LatencyClient.connect(home.root) as client,
        ExportPool(ProgramCache(home.exports), EXPORT_WORKERS) as pool,
    ):
        target = client.find_target(study.settings.target_ids[0])
        # All were measured before. Asked for together, their latencies are corrected alike.
        outcomes = TargetLab(client, target, pool).measure([REFERENCE, *front])
    latencies_ns = {
        architecture: outcome.latency.latency_ns
        for architecture, outcome in zip([REFERENCE, *front], outcomes, strict=True)
        if not isinstance(outcome, Failure)
    }
    reference_ns = latencies_ns.pop(REFERENCE)
    below = {a: ns for a, ns in latencies_ns.items() if ns <= reference_ns}
    if not below:
        return None
    found = max(below, key=below.__getitem__)
    return Pair(found, below[found], reference_ns)


def final_scores(study: Study, found: Architecture) -> tuple[list[Score], list[Score]]:
    """Train the found network and MobileNetV2 with each seed, and return the scores of both."""
    budget = replace(
        _budget(study),
        train_images=FINAL_TRAIN_IMAGES,
        val_images=FINAL_TEST_IMAGES,
        limit_s=FINAL_LIMIT_S,
    )
    data = load_dataset(
        dataset(),
        resolution=budget.resolution,
        train_images=budget.train_images,
        val_images=budget.val_images,
        use=Use.TEST,
    )
    kept = FOLDER / f"final-{found.id}.json"
    accuracies: dict[str, list[float]] = json.loads(kept.read_text()) if kept.is_file() else {}
    for seed in map(str, SEEDS):
        if seed not in accuracies:
            source = ProxyAccuracy(data, replace(budget, seed=int(seed)))
            accuracies[seed] = _numbers(source.evaluate([found, REFERENCE]))
            kept.write_text(json.dumps(accuracies))
            print(f"seed {seed}: {accuracies[seed]}", file=sys.stderr)
    images = len(data.val_labels)
    of_found, of_reference = zip(*accuracies.values(), strict=True)
    return [Score(each, images) for each in of_found], [Score(e, images) for e in of_reference]


def _budget(study: Study) -> ProxyBudget:
    source = study.settings.accuracy
    assert isinstance(source, TrainingSource)
    return source.budget


def _numbers(outcomes: Sequence[float | AccuracyFailure]) -> list[float]:
    failures = [each.message for each in outcomes if isinstance(each, AccuracyFailure)]
    if failures:
        raise RuntimeError(f"a training failed: {failures[0]}")
    return [each for each in outcomes if not isinstance(each, AccuracyFailure)]


def conditions_of(study: Study) -> dict[str, Any]:
    budget = _budget(study)
    return {
        "images": Path(dataset()).name,
        "width": budget.width_multiplier,
        "resolution": budget.resolution,
        "epochs": budget.epochs,
        "strategy": study.settings.strategy.value,
        "candidates": len(study.latest()),
        "search_s": round(sum(finished.duration_s for finished in study.rounds)),
    }


if __name__ == "__main__":
    main()
