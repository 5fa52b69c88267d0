"""Make the archive of an old lab with the code as it is: `python -m tests.old_lab.make`.

It holds, after a calibration and three rounds of a search on a board:

    home/             LATLAB_HOME: database, programs, exports, the enrolled board, the token
    board/            the state of the board's agent: TLS key, token, lease
    description.json  how the board's agent described its device and runner
    runs/old/         the study

Run it on a quiet machine. An archive, once committed, is never made again.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from google.protobuf.json_format import MessageToDict

from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.program import ProgramFile
from latlab.domain.target import Target
from latlab.export import ExportPool, ExportSpec, ProgramCache
from search.latency.networks import export_spec
from search.latency.target_lab import TargetLab
from search.loop import run_search
from search.space.architecture import Architecture
from search.strategies.strategy import make_strategy
from search.study.settings import (
    LoopSettings,
    OtherSource,
    SearchTarget,
    StrategyName,
    StudySettings,
)
from search.study.study import open_study
from tests.device_agent.agent_process import AgentProcess
from tests.host.board_lab import connected, latlab, running_lab
from tests.old_lab.narrow_space import made_up_accuracy, narrow_space

ADDRESS = "127.77.0.1:7070"  # on loopback, and nobody else's
CALIBRATION = 14
ROUNDS = 3
ROUND_SIZE = 6


class MadeUpAccuracy:
    def evaluate(
        self, architectures: Sequence[Architecture], on_done: Callable[[int], None], /
    ) -> list[float]:
        return list(map(made_up_accuracy, architectures))


def calibration() -> list[ExportSpec]:
    rng = np.random.default_rng(0)
    space = narrow_space()
    networks = dict.fromkeys(space.resolve(space.sample(rng)) for _ in range(2 * CALIBRATION))
    return list(map(export_spec, list(networks)[:CALIBRATION]))


def settings(target: Target) -> StudySettings:
    return StudySettings(
        space="narrow",
        strategy=StrategyName.PPO,
        targets=(SearchTarget(target.id, 500_000),),
        accuracy=OtherSource({"made up": True}),
        round_size=ROUND_SIZE,
    )


def search(client: LatencyClient, target: Target, pool: ExportPool, runs: Path) -> None:
    with open_study(runs / "old", settings(target)) as study:
        run_search(
            study,
            make_strategy(StrategyName.PPO, narrow_space(), seed=0),
            MadeUpAccuracy(),
            TargetLab(client, target, pool),
            LoopSettings(rounds=ROUNDS),
            on_progress=lambda progress: None,
            on_note=print,
        )


def make(root: Path) -> None:
    home = LabHome(root / "home")
    home.create()
    board = AgentProcess(root / "board", LabHome(Path()).runner, ("--listen", ADDRESS))
    with (
        running_lab(home) as client,
        ExportPool(ProgramCache(home.exports)) as pool,
    ):
        latlab(home, "devices", "add", ADDRESS, board.code)
        target = client.find_target(connected(client, boards=1))
        specs = calibration()
        exported = [file for file in pool.export_all(specs) if isinstance(file, ProgramFile)]
        client.pin_sentinel(exported[0])
        TargetLab(client, target, pool).measure_specs(
            specs, lambda done: print(f"{done} of {len(specs)}")
        )
        client.refit(target.id)
        search(client, target, pool, root / "runs")
    board.end()
    on_loopback = AgentProcess(root / "board", LabHome(Path()).runner)
    described = MessageToDict(on_loopback.describe(), preserving_proto_field_name=True)
    on_loopback.end()
    (root / "description.json").write_text(json.dumps(described, indent=2) + "\n")


def main() -> None:
    archive = Path(__file__).with_name(f"lab-{version('latency-lab')}.tar.xz")
    if archive.exists():
        sys.exit(f"{archive} is there: an old lab is never made again")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root)
        for leftover in ("home/daemon.log", "home/daemon.lock", "board/lock", "board/programs"):
            path = root / leftover
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with tarfile.open(archive, "w:xz") as tar:
            for part in ("home", "board", "description.json", "runs"):
                tar.add(root / part, part)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
