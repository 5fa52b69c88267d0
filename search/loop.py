"""The search: ask, evaluate, predict, measure what matters, tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.special import bdtrc

from latency_models.estimate import LatencyEstimate
from search.architecture import Architecture
from search.choose import choose, front, is_unmeasured, may_be_on_front
from search.reward import reward
from search.strategies import Strategy
from search.study import OpenStudy, StudyError
from search.trial import Trial

INTERVAL_LEVEL = 0.9  # of the lab's estimates

OnDone = Callable[[int], None]  # told how many are done, as each one finishes


class Failed(Protocol):
    """An accuracy or a measurement that did not come about; `host.domain.Failure` is one."""

    @property
    def message(self) -> str: ...


class Accuracy(Protocol):
    def evaluate(
        self, architectures: Sequence[Architecture], on_done: OnDone
    ) -> Sequence[float | Failed]:
        """Of each, 0 to 1, in the order given."""
        ...


class Lab(Protocol):
    """Latencies on the study's target, in the order given."""

    def predict(self, architectures: Sequence[Architecture]) -> Sequence[LatencyEstimate]: ...

    def measure(
        self, architectures: Sequence[Architecture], on_done: OnDone
    ) -> Sequence[tuple[LatencyEstimate, str] | Failed]:
        """Of each, its latency (source MEASURED) and the id of its measurement."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """How far to search and how much to measure; a study may be resumed with others.

    rounds: of searching, those of a resumed study included.
    max_measured_share: of all candidates, at most so many are measured, failures included.
    final_share: of these, so many are kept for the front at the end.
    """

    rounds: int = 4
    max_measured_share: float = 1 / 3
    final_share: float = 1 / 3

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"a search has at least one round, not {self.rounds}")
        for name in ("max_measured_share", "final_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class Progress:
    """`round` counts from 1; None at the end, when what may be on the front is measured.
    `activity` is "evaluating" or "measuring"."""

    round: int | None
    activity: str
    done: int
    total: int


def run_search(
    study: OpenStudy,
    strategy: Strategy,
    accuracy: Accuracy,
    lab: Lab,
    settings: LoopSettings,
    *,
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
) -> list[Trial]:
    """Search, or go on where the study stands, and return its front, of measurements alone.

    `strategy` is a new one: it is told the finished rounds first. `on_note` is given a line
    after each round, and where something is odd. Interrupted anywhere, the study can be
    resumed from its last finished round.
    """
    searched = _replay(study, strategy)
    for number in range(searched + 1, settings.rounds + 1):
        architectures = strategy.ask(study.settings.round_size)
        trials = _round(study, architectures, accuracy, lab, settings, number, on_progress)
        strategy.tell(trials)
        study.append(trials)
        on_note(f"round {number} of {settings.rounds}: {summary(study)}")
        _note_disagreement(study, on_note)
    _measure_front(study, lab, settings, on_progress)
    on_note(f"at the end: {summary(study)}")
    _note_disagreement(study, on_note)
    return measured_front(study.latest().values())


def measured_front(trials: Iterable[Trial]) -> list[Trial]:
    """The front drawn from measurements alone, fastest first."""
    return front(trial for trial in trials if _is_measured(trial))


def _replay(study: OpenStudy, strategy: Strategy) -> int:
    """Bring the strategy to where the study stands; the number of rounds it was asked for."""
    asked = [finished for finished in study.rounds if finished.asked]
    for finished in asked:
        architectures = strategy.ask(len(finished.trials))
        if architectures != [trial.architecture for trial in finished.trials]:
            raise StudyError(
                f"round {finished.index} of the study in {study.directory} cannot be replayed: "
                "another version of the software made it. Use another name"
            )
        strategy.tell(finished.trials)
    return len(asked)


def _round(
    study: OpenStudy,
    architectures: Sequence[Architecture],
    accuracy: Accuracy,
    lab: Lab,
    settings: LoopSettings,
    number: int,
    on_progress: Callable[[Progress], None],
) -> list[Trial]:
    """A trial of each architecture, in order. What the study knows is not found out again."""
    index = len(study.rounds)
    known = study.latest()
    trials = {a: replace(known[a], round=index) for a in architectures if a in known}

    new = list(dict.fromkeys(a for a in architectures if a not in known))
    if new:
        on_done = _reporter(on_progress, number, "evaluating", len(new))
        for architecture, outcome in zip(new, accuracy.evaluate(new, on_done), strict=True):
            trials[architecture] = _evaluated(architecture, index, outcome)

    unmeasured = [trial for trial in trials.values() if not _is_measured(trial)]
    trials |= _by_architecture(_predicted(study, unmeasured, lab))

    allowance = _allowance(
        (known | trials).values(), settings.max_measured_share * (1 - settings.final_share)
    )
    chosen = choose(
        list(trials.values()),
        list(known.values()),
        **_split(allowance),
        rng=np.random.default_rng([study.settings.seed, index]),
    )
    on_done = _reporter(on_progress, number, "measuring", len(chosen))
    trials |= _by_architecture(_measured(study, chosen, lab, on_done))
    return [trials[architecture] for architecture in architectures]


def _measure_front(
    study: OpenStudy,
    lab: Lab,
    settings: LoopSettings,
    on_progress: Callable[[Progress], None],
) -> None:
    """Measure what may be on the front until all of it is, or until nothing more may be
    measured: first what is on it by the newest predictions, then what their intervals allow.
    """
    while True:
        latest = study.latest()
        index = len(study.rounds)
        unmeasured = [replace(t, round=index) for t in latest.values() if is_unmeasured(t)]
        latest |= _by_architecture(_predicted(study, unmeasured, lab))
        trials = [trial for trial in latest.values() if trial.failure is None]
        on_front = {trial.architecture for trial in front(trials)}
        contenders = sorted(
            (trial for trial in may_be_on_front(trials) if is_unmeasured(trial)),
            key=lambda trial: (trial.architecture not in on_front, -(trial.reward or 0)),
        )
        chosen = contenders[: _allowance(latest.values(), settings.max_measured_share)]
        if not chosen:
            return
        on_done = _reporter(on_progress, None, "measuring", len(chosen))
        study.append(_measured(study, chosen, lab, on_done), asked=False)


def _evaluated(architecture: Architecture, index: int, outcome: float | Failed) -> Trial:
    if isinstance(outcome, (float, int)):
        return Trial(architecture, index, float(outcome), latency=None, reward=None)
    return Trial(architecture, index, None, None, None, failure=outcome.message)


def _predicted(study: OpenStudy, trials: Sequence[Trial], lab: Lab) -> list[Trial]:
    estimates = lab.predict([trial.architecture for trial in trials]) if trials else []
    return [_at(study, trial, estimate) for trial, estimate in zip(trials, estimates, strict=True)]


def _measured(study: OpenStudy, trials: Sequence[Trial], lab: Lab, on_done: OnDone) -> list[Trial]:
    """A measurement takes the place of its estimate, a failure leaves it."""
    if not trials:
        return []
    measured = []
    outcomes = lab.measure([trial.architecture for trial in trials], on_done)
    for trial, outcome in zip(trials, outcomes, strict=True):
        if isinstance(outcome, tuple):
            latency, measurement_id = outcome
            trial = replace(trial, predicted=trial.latency, measurement_id=measurement_id)
            measured.append(_at(study, trial, latency))
        else:
            measured.append(replace(trial, failure=outcome.message))
    return measured


def _at(study: OpenStudy, trial: Trial, latency: LatencyEstimate) -> Trial:
    """The trial at this latency, with the reward it then has."""
    if trial.accuracy is None:
        return replace(trial, latency=latency)
    s = study.settings
    value = reward(trial.accuracy, latency.latency_ns, s.target_ns, s.alpha, s.beta)
    return replace(trial, latency=latency, reward=value)


def _is_measured(trial: Trial) -> bool:
    return trial.measurement_id is not None


def _was_attempted(trial: Trial) -> bool:
    """Measured, or its measurement failed; where the accuracy failed, none was tried."""
    return _is_measured(trial) or (trial.failure is not None and trial.accuracy is not None)


def _allowance(trials: Iterable[Trial], share: float) -> int:
    """How many more may be measured so that at most `share` of these distinct trials are."""
    attempts = [_was_attempted(trial) for trial in trials]
    return max(0, math.floor(share * len(attempts)) - sum(attempts))


def _split(allowance: int) -> dict[str, int]:
    """Of four measurements two go to the best, one to a doubt and one to chance; the first
    is the best's and the second chance's."""
    uncertain_k = (allowance + 1) // 4
    random_k = (allowance + 2) // 4
    return {
        "top_k": allowance - uncertain_k - random_k,
        "uncertain_k": uncertain_k,
        "random_k": random_k,
    }


def _by_architecture(trials: Iterable[Trial]) -> dict[Architecture, Trial]:
    return {trial.architecture: trial for trial in trials}


def _reporter(
    on_progress: Callable[[Progress], None], number: int | None, activity: str, total: int
) -> OnDone:
    return lambda done: on_progress(Progress(number, activity, done, total))


def summary(study: OpenStudy) -> str:
    trials = study.latest().values()
    measured = sum(map(_is_measured, trials))
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    best = f", best reward {max(rewards):.4f}" if rewards else ""
    return f"{len(trials)} candidates, {measured} measured{best}"


def _note_disagreement(study: OpenStudy, on_note: Callable[[str], None]) -> None:
    """Say so where measurements fall outside the predicted intervals more often than chance
    explains (one-sided binomial test at 5 %)."""
    inside = [
        trial.predicted.lower_ns <= trial.latency.latency_ns <= trial.predicted.upper_ns
        for trial in study.latest().values()
        if trial.predicted is not None and trial.latency is not None
    ]
    missed = inside.count(False)
    if missed and bdtrc(missed - 1, len(inside), 1 - INTERVAL_LEVEL) < 0.05:
        on_note(
            f"{missed} of {len(inside)} measurements lie outside their predicted "
            f"{INTERVAL_LEVEL:.0%} intervals: the predictions are less certain than they say"
        )
