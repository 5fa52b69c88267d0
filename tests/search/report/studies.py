"""Small studies, searched with fakes."""

from __future__ import annotations

from pathlib import Path

from search.loop import run_search
from search.strategies.strategy import make_strategy
from search.study.settings import LoopSettings
from search.study.study import Study, open_study, read_study
from tests.search.fakes import FakeAccuracy, FakeLab, settings, small_space


def searched(
    directory: Path, rounds: int = 3, measured_share: float = 0.5, **changes: object
) -> Study:
    chosen = settings(**changes)
    with open_study(directory, chosen) as study:
        run_search(
            study,
            make_strategy(chosen.strategy, small_space(), chosen.seed),
            FakeAccuracy(),
            FakeLab(),
            LoopSettings(rounds=rounds, max_measured_share=measured_share),
            on_progress=lambda progress: None,
            on_note=lambda note: None,
        )
    return read_study(directory)
