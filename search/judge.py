"""The judge: finds out what a trial needs, and makes the trial of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from latlab.domain.estimate import LatencyEstimate
from latlab.domain.failure import FailureKind
from search.accuracy.accuracy import Accuracy
from search.latency.lab import AWAY, Lab, Measured
from search.space.architecture import Architecture
from search.space.limits import excess
from search.study.reward import reward
from search.study.settings import StudySettings
from search.study.trial import MAX_DISTURBED, Trial, is_measured

Trials = dict[Architecture, Trial]


@dataclass(frozen=True)
class Judge:
    """Of one round. What is known is never asked for again, be it an accuracy, a measurement
    or the failure of one. Only predictions are renewed, for they improve, and measurements that
    were disturbed tried again.

    round: the index of the study's round that the trials are of.
    report: told of the activity ("evaluating" or "measuring"), how many are done, how many
    there are.
    """

    accuracy: Accuracy
    lab: Lab
    settings: StudySettings
    round: int
    report: Callable[[str, int, int], None]

    def evaluate(
        self, architectures: Iterable[Architecture], known: Mapping[Architecture, Trial]
    ) -> Trials:
        """A trial of each distinct architecture: the known one, or one with its accuracy. What
        exceeds the study's limits has none, and says so."""
        distinct = list(dict.fromkeys(architectures))
        trials = {a: replace(known[a], round=self.round) for a in distinct if a in known}
        new = []
        for a in distinct:
            if a in known:
                continue
            trials[a] = Trial(a, self.round, accuracy=None, latency=None, reward=None)
            if why := excess(a, self.settings.limits):
                trials[a] = replace(trials[a], failure=why)
            else:
                new.append(a)
        if new:
            on_done = self._on_done("evaluating", len(new))
            for a, outcome in zip(new, self.accuracy.evaluate(new, on_done), strict=True):
                if isinstance(outcome, (float, int)):
                    trials[a] = replace(trials[a], accuracy=float(outcome))
                else:
                    trials[a] = replace(trials[a], failure=outcome.message)
        return trials

    def predict(self, trials: Iterable[Trial]) -> Trials:
        """Those that are not measured, at newly predicted latencies."""
        unmeasured = [trial for trial in trials if not is_measured(trial)]
        if not unmeasured:
            return {}
        estimates = self.lab.predict([trial.architecture for trial in unmeasured])
        return {
            trial.architecture: self._at(trial, estimate)
            for trial, estimate in zip(unmeasured, estimates, strict=True)
        }

    def measure(self, trials: Sequence[Trial]) -> tuple[Trials, str]:
        """A measurement takes the place of the estimate; a failure leaves it. A disturbed one
        is counted, and the trial stays open, up to `MAX_DISTURBED` times. Those for which the
        target was away are not among the trials returned: they stay open. With it comes why it
        was, "" where it was there for all."""
        if not trials:
            return {}, ""
        on_done = self._on_done("measuring", len(trials))
        outcomes = self.lab.measure([trial.architecture for trial in trials], on_done)
        measured: Trials = {}
        away = ""
        for trial, outcome in zip(trials, outcomes, strict=True):
            if isinstance(outcome, Measured):
                kept = replace(
                    trial,
                    predicted=trial.latency,
                    measurement_id=outcome.measurement_id,
                    device_s=outcome.device_s,
                )
                measured[trial.architecture] = self._at(kept, outcome.latency)
            elif outcome.kind in AWAY:
                away = away or outcome.message
            elif outcome.kind is FailureKind.DISTURBED and trial.disturbed < MAX_DISTURBED:
                measured[trial.architecture] = replace(
                    trial, round=self.round, disturbed=trial.disturbed + 1
                )
            else:
                measured[trial.architecture] = replace(
                    trial, round=self.round, failure=outcome.message
                )
        return measured, away

    def _at(self, trial: Trial, latency: LatencyEstimate) -> Trial:
        """With the reward that it has at this latency, none where its accuracy failed."""
        value = None
        if trial.accuracy is not None:
            s = self.settings
            value = reward(
                trial.accuracy,
                latency.latency_ns,
                s.target_ns,
                s.alpha,
                s.beta,
                absolute=s.absolute,
            )
        return replace(trial, round=self.round, latency=latency, reward=value)

    def _on_done(self, activity: str, total: int) -> Callable[[int], None]:
        return lambda done: self.report(activity, done, total)
