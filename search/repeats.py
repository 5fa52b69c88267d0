"""Evaluate candidates near the front again with other seeds, so that luck decides less."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from search.accuracy.accuracy import AccuracyFailure, Repeat, RepeatableAccuracy
from search.space.architecture import Architecture
from search.study.front import points_of
from search.study.noise import accuracy_noise
from search.study.settings import StudySettings
from search.study.study import OpenStudy, Study
from search.study.trial import Trial, own_accuracy, rewarded
from search.surrogate.smoothing import smoothed

AT_ONCE = 2  # repeats of a network; the noise is estimated from their difference
LEAST_AT_ONCE = 2 * AT_ONCE  # repeats in all; fewer leave workers idle
# The standard error is then a third of the noise. More repeats would hardly change the front.
MOST_REPEATS = 8  # of a network


def repeat_near_front(
    study: OpenStudy,
    accuracy: RepeatableAccuracy,
    share: float,
    on_progress: Callable[[str, int, int], None],
    on_note: Callable[[str], None],
) -> None:
    """Evaluate the candidates near the front again, until a share of the candidates is used up.

    Each pass uses half of what remains, because the front changes with the accuracies. A pass is
    one round of the study. So an interrupted search goes on as if it had not stopped.

    Args:
        study: The study.
        accuracy: Where accuracies come from.
        share: Number of further evaluations as a share of the study's candidates.
        on_progress: Called with the activity, how many evaluations are done and how many there are.
        on_note: Called with a line about the noise, if something was evaluated.
    """
    rounds_before = len(study.rounds)
    while chosen := _chosen(study, share):
        study.append(_evaluated_again(study, chosen, accuracy, on_progress), asked=False)
    if len(study.rounds) > rounds_before:
        on_note(_note(study.latest().values()))


def _evaluated_again(
    study: Study,
    chosen: Sequence[Architecture],
    accuracy: RepeatableAccuracy,
    on_progress: Callable[[str, int, int], None],
) -> list[Trial]:
    """Return new trials of networks, each with `AT_ONCE` further evaluations."""
    known = study.latest()
    latest = [replace(known[each], round=len(study.rounds)) for each in chosen]
    repeats = [
        Repeat(trial.architecture, trial.repeats + more)
        for trial in latest
        for more in range(1, AT_ONCE + 1)
    ]

    def on_done(done: int) -> None:
        on_progress("evaluating again", done, len(repeats))

    outcomes = accuracy.evaluate_again(repeats, on_done)
    return [
        with_repeats(trial, outcomes[index : index + AT_ONCE], study.settings)
        for index, trial in zip(range(0, len(repeats), AT_ONCE), latest, strict=True)
    ]


def with_repeats(
    trial: Trial, outcomes: Sequence[float | AccuracyFailure], settings: StudySettings
) -> Trial:
    """Return a trial that has an accuracy with further evaluations, and its reward for the mean.

    Evaluations that failed are counted and change nothing else. The mean is not smoothed.
    """
    own = own_accuracy(trial)
    assert own is not None
    more = [float(o) for o in outcomes if not isinstance(o, AccuracyFailure)]
    repeats = trial.repeats + len(outcomes)
    if not more:
        return replace(trial, repeats=repeats)
    accuracies = (*(trial.accuracies or (own,)), *more)
    repeated = replace(
        trial,
        accuracy=fmean(accuracies),
        trained_accuracy=None,  # until it is smoothed anew
        accuracies=accuracies,
        repeats=repeats,
    )
    return repeated if trial.reward is None else rewarded(repeated, settings)


def near_front(trials: Collection[Trial]) -> list[Trial]:
    """Return the trials that are on the front, or are not because of noise, to evaluate again.

    Those with the fewest repeats come first, and of these the ones that are furthest ahead of all
    faster ones.
    """
    noise = accuracy_noise(trials)
    near = [
        (trial.repeats, behind, trial)
        for trial, behind, rival in _behind(trials)
        if behind <= 0
        or (noise is not None and rival is not None and noise.explains(behind, trial, rival))
    ]
    near.sort(key=lambda each: each[:2])
    return [trial for repeats, _, trial in near if repeats < MOST_REPEATS]


def _behind(trials: Collection[Trial]) -> Iterator[tuple[Trial, float, Trial | None]]:
    """Yield each trial, how far it is behind its rival in accuracy, and the rival.

    The rival is the most accurate of the faster trials. The fastest trial has none, and is ahead
    of it by its whole accuracy.
    """
    points = sorted(points_of(trials), key=lambda p: (p.latency.latency_ns, -p.accuracy))
    rival = None
    for point in points:
        behind = (0.0 if rival is None else rival.accuracy) - point.accuracy
        yield point.trial, behind, rival and rival.trial
        if rival is None or point.accuracy > rival.accuracy:
            rival = point


def _chosen(study: Study, share: float) -> list[Architecture]:
    """Return the networks of the next pass; none if the share is used up.

    The choice follows from the rounds that the strategy was asked for, and from the repeats so
    far. Measurements at the end of the search do not change it, so that a search that was
    interrupted there evaluates no more than one that was not.
    """
    asked = max((finished.index for finished in study.rounds if finished.asked), default=-1)
    latest = study.latest()
    trials = {
        architecture: replace(
            trial,
            accuracy=fmean(latest[architecture].accuracies or (own,)),
            trained_accuracy=None,
            accuracies=latest[architecture].accuracies,
            repeats=latest[architecture].repeats,
        )
        for architecture, trial in study.latest_before(asked + 1).items()
        if (own := own_accuracy(trial)) is not None
    }
    trials |= smoothed(trials, {}, study.settings)
    allowed = math.floor(share * len(trials)) - sum(trial.repeats for trial in trials.values())
    count = min(allowed, max(LEAST_AT_ONCE, math.ceil(allowed / 2)))
    near = near_front(trials.values())
    return [trial.architecture for trial in near[: max(0, count // AT_ONCE)]]


def _note(trials: Collection[Trial]) -> str:
    again = [trial for trial in trials if trial.repeats]
    repeats = sum(trial.repeats for trial in again)
    done = f"{len(again)} candidates near the front were evaluated {repeats} more times"
    noise = accuracy_noise(again)
    if noise is None:
        return done
    best = max(trial.accuracy or 0.0 for trial in again)
    return (
        f"{done}: at an accuracy of {best:.1%}, that of one evaluation has a standard deviation of "
        f"{noise.deviation(best):.1%}"
    )
