from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from latlab.domain.estimate import Source
from search.report.comparison.curves import Box, band, curve, points_of
from search.space.architecture import Architecture
from search.study.journal import Round
from search.study.study import Study
from search.study.trial import Trial
from tests.search.fakes import estimate, settings
from tests.search.report.studies import searched

accuracies = st.integers(1, 9).map(lambda tenths: tenths / 10)
trials = st.builds(
    lambda channels, accuracy, ms, measured: Trial(
        Architecture(channels, (), 8),
        0,
        accuracy,
        estimate(ms * 1_000_000, Source.MEASURED if measured else Source.LOOKUP),
        accuracy,
        measurement_id="m" if measured else None,
    ),
    st.integers(1, 12),
    st.none() | accuracies,
    st.integers(1, 9),
    st.booleans(),
)

unhurried = hypothesis_settings(deadline=None)
rounds = st.lists(st.lists(trials, min_size=1, max_size=5), min_size=1, max_size=5)


def study(rounds_trials: list[list[Trial]]) -> Study:
    numbered = [Round(i, True, tuple(each), duration_s=2.0) for i, each in enumerate(rounds_trials)]
    return Study(Path("made"), settings(), numbered)


def test_what_failed_is_on_no_curve_also_in_a_study_of_an_older_version() -> None:
    sound = Trial(Architecture(1, (), 8), 0, 0.5, estimate(3_000_000), 0.5)
    crashed = Trial(Architecture(2, (), 8), 0, 0.9, estimate(1_000_000), 0.9, failure="it crashed")
    assert Box.around([study([[crashed]])]) is None
    both, alone = study([[sound, crashed]]), study([[sound]])
    box = Box.around([alone])
    assert Box.around([both]) == box
    assert box is not None
    drawn = curve(both, box)
    assert drawn.best_reward[-1] == drawn.recent_reward[-1] == 0.5
    assert drawn.hypervolume[-1] == curve(alone, box).hypervolume[-1]


@unhurried
@given(rounds)
def test_a_curve_ends_where_the_study_stands(drawn_rounds: list[list[Trial]]) -> None:
    made = study(drawn_rounds)
    box = Box.around([made])
    everything = [trial for each in drawn_rounds for trial in each]
    if box is None:
        assert all(trial.accuracy is None for trial in everything)
        return
    drawn = curve(made, box)
    assert drawn.samples[-1] == len(everything)
    assert drawn.time_s[-1] == 2.0 * len(drawn_rounds)
    assert drawn.hypervolume[-1] == box.share(made.latest().values())
    assert ((drawn.hypervolume >= 0) & (drawn.hypervolume <= 1 + 1e-9)).all()
    best = max((t.reward for t in everything if t.reward is not None), default=np.nan)
    assert drawn.best_reward[-1] == pytest.approx(best, nan_ok=True)


@unhurried
@given(rounds)
def test_nothing_lies_beyond_the_ideal(drawn_rounds: list[list[Trial]]) -> None:
    made = study(drawn_rounds)
    box = Box.around([made])
    if box is None:
        return
    points = points_of(made.latest().values(), measured=box.measured)
    assert all(p.accuracy <= box.ideal.accuracy for p in points)
    assert all(p.latency_ns >= box.ideal.latency_ns for p in points)


def test_measurements_alone_count_where_every_study_has_some(tmp_path: Path) -> None:
    measured = searched(tmp_path / "measured")
    predicted = searched(tmp_path / "predicted", measured_share=0)
    one, both = Box.around([measured]), Box.around([measured, predicted])
    assert one is not None
    assert both is not None
    assert one.measured
    assert not both.measured


def test_measurements_and_best_reward_only_grow(tmp_path: Path) -> None:
    made = searched(tmp_path / "made", rounds=5)
    box = Box.around([made])
    assert box is not None
    drawn = curve(made, box)
    assert (np.diff(drawn.measurements) >= 0).all()
    assert (np.diff(drawn.best_reward[1:]) >= 0).all()
    assert (np.diff(drawn.hypervolume) >= -1e-12).all()  # measurements stay


def test_rounds_that_only_measure_are_no_samples() -> None:
    trial = Trial(Architecture(8, (), 8), 0, 0.5, estimate(10**6), 0.5)
    made = study([[trial]])
    made.rounds.append(replace(made.rounds[0], index=1, asked=False))
    box = Box.around([made])
    assert box is not None
    assert curve(made, box).samples.tolist() == [0, 1, 1]


increasing = st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True).map(sorted)
seeds = st.lists(
    increasing.flatmap(
        lambda x: st.tuples(
            st.just(np.array(x, np.float64)),
            st.lists(st.floats(0, 1), min_size=len(x), max_size=len(x)).map(np.array),
        )
    ),
    min_size=1,
    max_size=4,
)


@unhurried
@given(seeds)
def test_a_band_holds_every_seed(values: list[tuple[np.ndarray, np.ndarray]]) -> None:
    drawn = band([x for x, _ in values], [y for _, y in values])
    if drawn is None:
        assert max(x[0] for x, _ in values) > min(x[-1] for x, _ in values)
        return
    assert (drawn.low <= drawn.median).all()
    assert (drawn.median <= drawn.high).all()
    for x, y in values:
        for at, low, high in zip(drawn.x, drawn.low, drawn.high, strict=True):
            assert low <= y[x <= at][-1] <= high


def test_one_seed_is_its_own_median() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([np.nan, 0.4, 0.5])
    drawn = band([x], [y])
    assert drawn is not None
    assert drawn.x.tolist() == [2, 3]
    assert drawn.low.tolist() == drawn.median.tolist() == drawn.high.tolist() == [0.4, 0.5]
    assert band([x], [np.full(3, np.nan)]) is None
