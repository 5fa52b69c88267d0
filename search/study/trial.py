"""The trial of an architecture in one round of a search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from latlab.domain.estimate import LatencyEstimate
from search.space.architecture import Architecture
from search.study.settings import StudySettings

# A network whose measurement was disturbed is measured again, at most this many times. If it is
# disturbed once more, its measurement has failed.
MAX_DISTURBED = 2


@dataclass(frozen=True)
class Trial:
    """A search's findings about one architecture in one round.

    Attributes:
        architecture: The network.
        round: Index of the study's round.
        accuracy: Accuracy from 0 to 1 that the network is judged by; None if its evaluation
            failed. Where there are several `accuracies`, it is their mean before it is smoothed.
        latency: The latency that the reward was computed from, whose source says whether it was
            measured; None if there is none.
        reward: The reward; None if the accuracy or the latency is missing, or if the network
            failed. Studies of older versions hold rewards of networks that failed, which
            `without_undue_reward` takes away.
        predicted: What was predicted before the measurement; None unless it was measured.
        measurement_id: Id of the measurement; None unless it was measured.
        failure: Why the accuracy or the measurement failed, in one line.
        device_s: Seconds for which the measurement kept the device.
        disturbed: Number of measurements that other work on the device disturbed. The network
            can be measured again afterwards.
        accuracies: The accuracy of each evaluation, the first one first, if the network was
            evaluated again with other seeds; empty if it was not.
        repeats: Number of evaluations after the first, including those that failed.
        trained_accuracy: Mean accuracy of the network's own evaluations where a surrogate has
            smoothed `accuracy`; None where it has not.
    """

    architecture: Architecture
    round: int
    accuracy: float | None
    latency: LatencyEstimate | None
    reward: float | None
    predicted: LatencyEstimate | None = None
    measurement_id: str | None = None
    failure: str | None = None
    device_s: float = 0.0
    disturbed: int = 0
    accuracies: tuple[float, ...] = ()
    repeats: int = 0
    trained_accuracy: float | None = None


def own_accuracy(trial: Trial) -> float | None:
    """Return the accuracy of the network's own evaluation, before any smoothing."""
    return trial.accuracy if trial.trained_accuracy is None else trial.trained_accuracy


def own_accuracies(trials: Iterable[Trial]) -> dict[Architecture, float]:
    """Return the accuracy of each network's own evaluation, without those that have none."""
    own = ((trial.architecture, own_accuracy(trial)) for trial in trials)
    return {architecture: accuracy for architecture, accuracy in own if accuracy is not None}


def has_failed(trial: Trial) -> bool:
    """Return whether the network failed by its own fault, in its evaluation or measurement.

    A measurement that was given up because other work disturbed it is not the network's fault.
    """
    return trial.failure is not None and (trial.reward is None or trial.disturbed < MAX_DISTURBED)


def without_undue_reward(trial: Trial) -> Trial:
    """Return the trial without a reward if its network failed, as an older version left it."""
    if trial.reward is not None and has_failed(trial):
        return replace(trial, reward=None)
    return trial


def rewarded(trial: Trial, settings: StudySettings) -> Trial:
    """Return the trial with the reward for its accuracy and latency.

    It has none if one of the two is missing, or if the network failed.
    """
    reward = None
    if trial.accuracy is not None and trial.latency is not None and not has_failed(trial):
        latency_ns = trial.latency.latency_ns
        reward = settings.reward.value(trial.accuracy, latency_ns, settings.target_ns)
    return replace(trial, reward=reward)


def is_measured(trial: Trial) -> bool:
    """Return whether the trial's network was measured."""
    return trial.measurement_id is not None


def is_settled(trial: Trial) -> bool:
    """Return whether the network was measured or its measurement failed for good.

    It is not settled where the accuracy failed, for then no measurement was tried, nor where
    the target was away.
    """
    return is_measured(trial) or (trial.failure is not None and trial.accuracy is not None)


def attempts(trial: Trial) -> int:
    """Return how many measurements of the network were made, disturbed ones included."""
    return trial.disturbed + is_settled(trial)


def is_open(trial: Trial) -> bool:
    """Return whether measuring the network can still help: its reward rests on a prediction."""
    return trial.reward is not None and not is_settled(trial)


def best_by_reward(trials: Iterable[Trial], count: int) -> list[Trial]:
    """Return the trials of the highest rewards, at most `count`, the best first.

    Trials without a reward are left out, and of equal rewards the first trial comes first.
    """
    rewarded = [(trial.reward, trial) for trial in trials if trial.reward is not None]
    return [trial for _, trial in sorted(rewarded, key=lambda pair: -pair[0])[:count]]
