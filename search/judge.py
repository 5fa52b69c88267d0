"""The judge: gets accuracies and latencies of a round's architectures, and makes their trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from latlab.domain.errors import NotFound, StorageError
from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import Failure, FailureKind
from search.accuracy.accuracy import Accuracy, AccuracyFailure
from search.latency.lab import AWAY, Lab, Measured
from search.space.architecture import Architecture
from search.space.limits import excess
from search.study.settings import StudySettings
from search.study.trial import MAX_DISTURBED, Trial, is_measured, rewarded

Trials = dict[Architecture, Trial]


class MeasuredTrials(NamedTuple):
    """The trials that a batch of measurements changed.

    Attributes:
        trials: The trials that were measured, disturbed or failed. Networks for which the
            target was away are not among them, and can be measured later.
        away: Why the target was away; "" if it was there for all measurements.
    """

    trials: Trials
    away: str


@dataclass(frozen=True)
class Judge:
    """Makes the trials of one round.

    Accuracies, measurements and failures that are known are never asked for again. Predictions
    are renewed, because they improve, and disturbed measurements are tried again.

    Attributes:
        accuracy: Where accuracies come from.
        lab: Where latencies come from.
        settings: The study's settings.
        known: The newest trial of each architecture of the study.
        round: Index of the study's round.
        on_progress: Called with the activity ("evaluating" or "measuring"), how many networks
            are done and how many there are.
    """

    accuracy: Accuracy
    lab: Lab
    settings: StudySettings
    known: Mapping[Architecture, Trial]
    round: int
    on_progress: Callable[[str, int, int], None]

    def evaluate(self, architectures: Iterable[Architecture]) -> Trials:
        """Return a trial with an accuracy for each distinct architecture.

        An architecture that exceeds the study's limits gets a failure instead.
        """
        distinct = list(dict.fromkeys(architectures))
        trials = {a: self._first_trial(a) for a in distinct}
        new = [a for a in distinct if a not in self.known and trials[a].failure is None]
        if new:
            outcomes = self.accuracy.evaluate(new, self._on_done("evaluating", len(new)))
            for a, outcome in zip(new, outcomes, strict=True):
                if isinstance(outcome, AccuracyFailure):
                    trials[a] = replace(trials[a], failure=outcome.message)
                else:
                    trials[a] = replace(trials[a], accuracy=float(outcome))
        return trials

    def predict(self, trials: Iterable[Trial]) -> Trials:
        """Return the trials that are not measured, with newly predicted latencies."""
        unmeasured = [trial for trial in trials if not is_measured(trial)]
        if not unmeasured:
            return {}
        estimates = self.lab.predict([trial.architecture for trial in unmeasured])
        return {
            trial.architecture: self._with_latency(trial, estimate)
            for trial, estimate in zip(unmeasured, estimates, strict=True)
        }

    def renew(self, trials: Iterable[Trial]) -> Trials:
        """Return the measured trials whose latencies the lab corrects differently by now.

        They have the latencies, all corrected alike, that the lab gives for their measurements.
        None are returned if the lab no longer has all of the measurements.
        """
        measured = {t.measurement_id: t for t in trials if t.measurement_id is not None}
        try:
            estimates = self.lab.look_up(list(measured))
        except (NotFound, StorageError):
            return {}
        return {
            trial.architecture: self._with_latency(trial, estimate)
            for trial, estimate in zip(measured.values(), estimates, strict=True)
            if trial.latency is None or _bounds_ns(trial.latency) != _bounds_ns(estimate)
        }

    def measure(self, trials: Sequence[Trial]) -> MeasuredTrials:
        """Measure the networks of trials.

        A measurement replaces the estimate. A failure leaves the estimate and takes the reward
        away, for a network that cannot run earns nothing. A disturbed measurement is counted, and
        can be made again `MAX_DISTURBED` times. If it is given up, the network keeps its reward,
        because the failure is not its own.
        """
        return self.ended(trials, self.outcomes(trials))

    def outcomes(self, trials: Sequence[Trial]) -> Sequence[Measured | Failure]:
        """Measure the networks of trials, and return the lab's outcomes in their order.

        Nothing else that a judge does depends on it, so it can run in another thread.
        """
        if not trials:
            return []
        on_done = self._on_done("measuring", len(trials))
        return self.lab.measure([trial.architecture for trial in trials], on_done)

    def ended(
        self, trials: Sequence[Trial], outcomes: Sequence[Measured | Failure]
    ) -> MeasuredTrials:
        """Return the trials as the outcomes of their measurements, in their order, change them."""
        ended: Trials = {}
        away = ""
        for trial, outcome in zip(trials, outcomes, strict=True):
            if isinstance(outcome, Failure) and outcome.kind in AWAY:
                away = away or outcome.message
            else:
                ended[trial.architecture] = self._ended(trial, outcome)
        return MeasuredTrials(ended, away)

    def as_known(self, trials: Trials) -> Trials:
        """Return trials as trials of this round, the newest ones of known architectures."""
        return {
            a: replace(self.known.get(a, trial), round=self.round) for a, trial in trials.items()
        }

    def _first_trial(self, architecture: Architecture) -> Trial:
        """Return what is known about an architecture, as a trial of this round."""
        if architecture in self.known:
            return replace(self.known[architecture], round=self.round)
        settings = self.settings
        too_large = excess(
            architecture, settings.limits.by_quantity(), deployment=settings.deployment
        )
        return Trial(architecture, self.round, None, None, None, failure=too_large or None)

    def _ended(self, trial: Trial, outcome: Measured | Failure) -> Trial:
        if isinstance(outcome, Measured):
            measured = replace(
                trial,
                predicted=trial.latency,
                measurement_id=outcome.measurement_id,
                device_s=outcome.device_s,
            )
            return self._with_latency(measured, outcome.latency)
        if outcome.kind is not FailureKind.DISTURBED:
            return replace(trial, round=self.round, failure=outcome.message, reward=None)
        if trial.disturbed < MAX_DISTURBED:
            return replace(trial, round=self.round, disturbed=trial.disturbed + 1)
        return replace(trial, round=self.round, failure=outcome.message)

    def _with_latency(self, trial: Trial, latency: LatencyEstimate) -> Trial:
        """Return the trial at a latency, with its reward unless its network failed."""
        return rewarded(replace(trial, round=self.round, latency=latency), self.settings)

    def _on_done(self, activity: str, total: int) -> Callable[[int], None]:
        return lambda done: self.on_progress(activity, done, total)


def _bounds_ns(estimate: LatencyEstimate) -> tuple[int, int, int]:
    return estimate.lower_ns, estimate.latency_ns, estimate.upper_ns
