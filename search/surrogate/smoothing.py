"""Smoothing: judge trained networks by a surrogate beside their own, noisy training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from search.space.architecture import Architecture
from search.space.space import SPACES
from search.study.noise import evaluations
from search.study.settings import StudySettings
from search.study.trial import Trial, own_accuracies, own_accuracy, rewarded
from search.surrogate.regression import AccuracySurrogate, surrogate_features


def smoothed(
    trials: Mapping[Architecture, Trial],
    known: Mapping[Architecture, Trial],
    settings: StudySettings,
) -> dict[Architecture, Trial]:
    """Return those of some trials whose accuracies and rewards change by smoothing.

    Each trial keeps the accuracy of its own training beside the smoothed one. Networks outside
    the study's space are not smoothed, and nothing is before enough networks are trained.

    Args:
        trials: The trials to smooth.
        known: The newest trials of the study. The surrogate is fitted to both.
        settings: The study's settings.
    """
    if settings.surrogate is None:
        return {}
    space = SPACES[settings.space]
    everything = {**known, **trials}
    own = own_accuracies(everything.values())
    trained = {a: accuracy for a, accuracy in own.items() if space.spell(a) is not None}
    if len(trained) < settings.surrogate.min_trained:
        return {}
    features = surrogate_features(space, list(trained))
    surrogate = AccuracySurrogate.fit(features, list(trained.values()))
    smooth = surrogate.smoothed([evaluations(everything[a]) for a in trained])
    accuracies = dict(zip(trained, smooth.tolist(), strict=True))
    judged = {
        architecture: _with_accuracy(trial, accuracies[architecture], settings)
        for architecture, trial in trials.items()
        if architecture in accuracies
    }
    return {a: trial for a, trial in judged.items() if trial != trials[a]}


def _with_accuracy(trial: Trial, accuracy: float, settings: StudySettings) -> Trial:
    judged = replace(trial, accuracy=accuracy, trained_accuracy=own_accuracy(trial))
    return judged if trial.reward is None else rewarded(judged, settings)
