"""train.top2_ok: `latlab train` on a real lab, killed once on its way.

python -m tests.bench.bench_train
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.estimate import LatencyEstimate, Source
from search.accuracy.checkpoint import load_checkpoint
from search.space.space import mnasnet_space
from search.study.settings import (
    SearchTarget,
    StrategyName,
    StudySettings,
    TrainingSource,
)
from search.study.study import open_study
from search.study.trial import Trial
from tests.bench.figures import exactly, report

EPOCHS = 6
DEADLINE_S = 1800.0
OPTIONS = f"train --study digits --top 2 --dataset digits --resolution 32 --epochs {EPOCHS}"
LATLAB = (sys.executable, "-c", "from search.cli import app; app()")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="latlab-train-") as name:
        home = LabHome(Path(name) / "home")
        lab_process.up(home)
        try:
            with LatencyClient.connect(home.root) as client:
                write_study(Path(name) / "runs" / "digits", client.default_target().id)
            killed_at_step = train_until_killed(Path(name), home)
            start_s = time.monotonic()
            resumed = train(Path(name), home)
            code = resumed.wait(DEADLINE_S)
            wall_s = time.monotonic() - start_s
        finally:
            lab_process.down(home)
        results = json.loads(
            (Path(name) / "runs" / "digits" / "trained" / "results.json").read_text()
        )["results"]
    sound = [result for result in results if is_sound(result)]
    report(
        "train.top2_ok",
        int(code == 0 and len(sound) == 4),
        "0 or 1",
        exactly(1),
        epochs=EPOCHS,
        killed_at_step=killed_at_step,
        resumed_s=round(wall_s),
        results=[
            {
                "precision": result["precision"],
                "accuracy": round(result["accuracy"], 3),
                "latency_ms": round(result["latency"]["latency_ns"] / 1e6, 3),
                "size_bytes": result["program"]["size_bytes"],
            }
            for result in sound
        ],
    )


def is_sound(result: dict[str, Any]) -> bool:
    """Return whether every result exists."""
    return result["failure"] is None and None not in (
        result["accuracy"],
        result["program"],
        result["latency"],
        result["measurement_id"],
    )


def write_study(directory: Path, target_id: str) -> None:
    """Write a study of three random networks, two of which are the best."""
    space, rng = mnasnet_space(), random.Random(0)
    settings = StudySettings(
        "mnasnet",
        StrategyName.RANDOM,
        (SearchTarget(target_id, 10**7),),
        TrainingSource("digits"),
    )
    latency = LatencyEstimate(10**7, 10**7, 10**7, Source.LOOKUP, 1.0, 1, 0.0)
    with open_study(directory, settings) as study:
        study.append(
            [
                Trial(space.resolve(space.sample(rng)), 0, accuracy, latency, reward=accuracy)
                for accuracy in (0.7, 0.8, 0.9)
            ]
        )


def train(folder: Path, home: LabHome) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "LATLAB_HOME": str(home.root)}
    command = [*LATLAB, *OPTIONS.split(), "--runs", str(folder / "runs")]
    return subprocess.Popen(command, env=environment, stdout=sys.stderr)


def train_until_killed(folder: Path, home: LabHome) -> int:
    """Kill the training after its first epoch; return the step that it resumes from."""
    process = train(folder, home)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            for path in folder.glob("runs/digits/trained/*/checkpoint.safetensors"):
                found = load_checkpoint(path)
                if found is not None:
                    return int(found[1]["step"])
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("`latlab train` left no checkpoint")
            time.sleep(0.2)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
