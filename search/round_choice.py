"""Choose which candidates of a round are measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from scipy.special import bdtrc

from search.latency.selection import affordable, allowance, choose, contenders, split
from search.space.architecture import Architecture
from search.study.settings import LoopSettings
from search.study.study import Study
from search.study.trial import Trial, attempts
from search.surrogate.smoothing import smoothed

INTERVAL_LEVEL = 0.9  # of the lab's estimates
# Measurements at the end. Fewer take a device hardly less time: it makes about twelve visits in the
# 5 s between those of one network.
MIN_AT_ONCE = 12


def worth_measuring(
    known: Mapping[Architecture, Trial],
    trials: Mapping[Architecture, Trial],
    settings: LoopSettings,
    number: int,
    seed: Sequence[int],
) -> list[Trial]:
    """Return the new trials of a round that are worth a measurement.

    Args:
        known: The newest trial of each architecture in the rounds before.
        trials: The round's trials.
        settings: How far to search and how much to measure.
        number: Number of the round, from 1; 0 for a warm start.
        seed: Seed of the trials that are drawn.
    """
    kept_share = settings.final_share / (2 if disagreement(known.values()) else 1)
    progress = max(1, number) / settings.rounds
    newest = {**known, **trials}.values()
    top_k, uncertain_k, random_k = split(
        allowed_measurements(settings, newest, kept_share, progress)
    )
    return choose(
        trials.values(),
        known.values(),
        top_k=top_k,
        uncertain_k=uncertain_k,
        random_k=random_k,
        rng=np.random.default_rng(seed),
    )


def left_to_measure(study: Study, settings: LoopSettings) -> tuple[int, list[Trial]]:
    """Return the number of a study's last round, and its trials that are still to be measured.

    They follow from the rounds up to that one, so that a resumed search measures the same ones.
    There are none if measurements do not overlap with evaluations, for the round then holds its
    measurements, and none if some of them were measured since.
    """
    last = _last_round(study)
    if last is None or not settings.overlaps:
        return 0, []
    known = study.latest_before(last)
    trials = {trial.architecture: trial for trial in study.rounds[last].trials}
    number = sum(finished.asked for finished in study.rounds[: last + 1])
    if _tried_since(known, trials.values()):
        return number, []
    seed = [study.settings.seed, last]
    latest = study.latest()
    if _tried_since(trials, (latest[architecture] for architecture in trials)):
        return number, []
    return number, worth_measuring(known, trials, settings, number, seed)


def first_of_front(study: Study, settings: LoopSettings) -> list[Trial]:
    """Return the trials to measure first when the rounds have ended, as contenders for the front.

    They follow from the study as its last round left it, so that a resumed search measures the
    same ones. There are none if measurements do not overlap with evaluations, and none if some of
    them were measured since.
    """
    last = _last_round(study)
    if last is None or not settings.overlaps:
        return []
    known = study.latest_before(last + 1)
    known |= smoothed(known, {}, study.settings)
    wanted = contenders(known.values(), separate_targets=study.settings.separate_targets)
    chosen = wanted[: at_once(allowed_measurements(settings, known.values()))]
    latest = study.latest()
    if _tried_since(known, (latest[trial.architecture] for trial in chosen)):
        return []
    return chosen


def _last_round(study: Study) -> int | None:
    """Return the index of the last round with new candidates; None if there is none yet."""
    return max((r.index for r in study.rounds if r.asked or r.index == 0), default=None)


def _tried_since(known: Mapping[Architecture, Trial], trials: Iterable[Trial]) -> bool:
    """Return whether a measurement of one of the trials' networks is not known of before."""
    return any(
        attempts(trial) > (attempts(known[a]) if (a := trial.architecture) in known else 0)
        for trial in trials
    )


def allowed_measurements(
    settings: LoopSettings,
    trials: Collection[Trial],
    kept_share: float = 0.0,
    progress: float = 1.0,
) -> int:
    """Return how many more of these trials' networks may be measured now.

    Args:
        settings: The limits.
        trials: The newest trial of each architecture.
        kept_share: Share of all measurements that is kept for later.
        progress: How far the search is, from 0 to 1. The same share of the other measurements
            may be used up.
    """
    now = 1 - kept_share
    due = now * progress
    limit = math.inf if settings.max_measurements is None else settings.max_measurements * due
    allowed = allowance(trials, settings.max_measured_share * now, limit)
    if settings.max_device_minutes is None:
        return allowed
    return min(allowed, affordable(trials, settings.max_device_minutes * 60 * due))


def at_once(allowed: int) -> int:
    """Return how many of the allowed measurements a pass at the end makes.

    It makes half of them, because the predictions learn from it, and all if too few would remain
    for another pass.
    """
    half = max(MIN_AT_ONCE, math.ceil(allowed / 2))
    return half if allowed - half >= MIN_AT_ONCE else allowed


def disagreement(trials: Iterable[Trial]) -> str | None:
    """Return a note if measurements disagree with predictions, or None.

    They disagree if more measurements lie outside the predicted intervals than chance explains,
    by a one-sided binomial test at 5 %.
    """
    inside = [
        trial.predicted.lower_ns <= trial.latency.latency_ns <= trial.predicted.upper_ns
        for trial in trials
        if trial.predicted is not None and trial.latency is not None
    ]
    missed = inside.count(False)
    if missed and bdtrc(missed - 1, len(inside), 1 - INTERVAL_LEVEL) < 0.05:
        return (
            f"{missed} of {len(inside)} measurements lie outside their predicted "
            f"{INTERVAL_LEVEL:.0%} intervals: the predictions are less certain than they say, "
            "and rounds measure more while that is so"
        )
    return None
