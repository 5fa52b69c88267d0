"""The search: ask, evaluate, predict, measure what matters, tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

from search.accuracy.accuracy import Accuracy
from search.judge import Judge, Trials
from search.latency.lab import Lab
from search.latency.selection import affordable, allowance, choose, contenders, split
from search.space.architecture import Architecture
from search.strategies.strategy import Strategy
from search.study.front import front
from search.study.settings import StudyError
from search.study.study import OpenStudy, Study
from search.study.trial import Trial, attempts, is_measured, is_open

INTERVAL_LEVEL = 0.9  # of the lab's estimates
MIN_AT_ONCE = 4  # measurements at the end: fewer cost a device hardly less time


@dataclass(frozen=True)
class Progress:
    """`round` counts from 1; 0 is the warm start; None at the end, when the front is measured.
    `activity` is "evaluating" or "measuring"."""

    round: int | None
    activity: str
    done: int
    total: int


@dataclass(frozen=True)
class LoopSettings:
    """How far to search and how much to measure; a study may be resumed with others.

    rounds: of searching, those of a resumed study included.
    max_measured_share: of all candidates, at most so many are measured, failures included, and
    what was disturbed each time.
    final_share: of these, so many are kept for the front at the end; half as many while the
    predictions are less certain than they say.
    max_measurements: of candidates, in all, failures included; None for no such limit.
    max_device_minutes: so long the measurements that the study rests on may have kept the
    device, those included that the lab held already. Checked before measuring, at their mean
    cost so far: exceeded by no more than what is measured next costs beyond it.

    Both are spread over the rounds: the best candidates come late.
    """

    rounds: int = 4
    max_measured_share: float = 1 / 3
    final_share: float = 1 / 2
    max_measurements: int | None = None
    max_device_minutes: float | None = None

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"a search has at least one round, not {self.rounds}")
        for name in ("max_measured_share", "final_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        if self.max_measurements is not None and self.max_measurements < 0:
            raise ValueError(f"max_measurements is 0 or more, not {self.max_measurements}")
        if self.max_device_minutes is not None and self.max_device_minutes < 0:
            raise ValueError(f"max_device_minutes is 0 or more, not {self.max_device_minutes}")

    def allowance(
        self, trials: Collection[Trial], kept_share: float = 0.0, progress: float = 1.0
    ) -> int:
        """How many more of these may be measured now, `kept_share` of all kept for later, and
        of what is not, in `progress` (0 to 1) of the search, so much of the budgets spent."""
        now = 1 - kept_share
        due = now * progress
        budget = math.inf if self.max_measurements is None else self.max_measurements * due
        allowed = allowance(trials, self.max_measured_share * now, budget)
        if self.max_device_minutes is None:
            return allowed
        return min(allowed, affordable(trials, self.max_device_minutes * 60 * due))


def run_search(
    study: OpenStudy,
    strategy: Strategy,
    accuracy: Accuracy,
    lab: Lab,
    settings: LoopSettings,
    *,
    warm_start: Sequence[Architecture] = (),
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
) -> list[Trial]:
    """Search, or go on where the study stands, and return its front, of measurements alone.

    `strategy` is a new one: it is first told the finished rounds. `warm_start` are networks
    that come before the first round, where none has finished yet; the strategy learns of them.
    `on_note` is given a line after each round, and one where something is odd. Interrupted
    anywhere, the study can be resumed after its last finished round.

    While the target is away, or other work disturbs it, it goes on with predictions, and ends
    without those measurements of the front; the study, resumed later, makes up for them.
    """

    def next_judge(number: int | None) -> Judge:
        def report(activity: str, done: int, total: int) -> None:
            on_progress(Progress(number, activity, done, total))

        return Judge(accuracy, lab, study.settings, len(study.rounds), report)

    presence = _Presence(on_note)

    def judged(architectures: Sequence[Architecture], number: int) -> list[Trial]:
        judge, known = next_judge(number), study.latest()
        trials = judge.evaluate(architectures, known)
        trials |= judge.predict(trials.values())
        rng = np.random.default_rng([study.settings.seed, judge.round])
        measured, away = judge.measure(_chosen(study, settings, trials, number, rng))
        presence.heard(measured, away)
        trials |= measured
        return [trials[architecture] for architecture in architectures]

    searched = _replay(study, strategy)
    if warm_start and not study.rounds:
        learned = judged(warm_start, 0)
        strategy.learn(learned)
        study.append(learned, asked=False)
        on_note(f"warm start: {_summary(study)}")
    for number in range(searched + 1, settings.rounds + 1):
        told = judged(strategy.ask(study.settings.round_size), number)
        strategy.tell(told)
        study.append(told)
        on_note(f"round {number} of {settings.rounds}: {_summary(study)}")
        if disagreement := _disagreement(study):
            on_note(disagreement)
    _measure_front(study, next_judge, settings, presence, on_note)
    return measured_front(study.latest().values())


def measured_front(trials: Iterable[Trial]) -> list[Trial]:
    """The front drawn from measurements alone, fastest first."""
    return front(trial for trial in trials if is_measured(trial))


def _chosen(
    study: OpenStudy,
    settings: LoopSettings,
    trials: Trials,
    number: int,
    rng: np.random.Generator,
) -> list[Trial]:
    """Those of a round's new trials that are worth a measurement now."""
    known = study.latest()
    kept_share = settings.final_share / (2 if _disagreement(study) else 1)
    progress = max(1, number) / settings.rounds
    top_k, uncertain_k, random_k = split(
        settings.allowance((known | trials).values(), kept_share, progress)
    )
    return choose(
        trials.values(),
        known.values(),
        top_k=top_k,
        uncertain_k=uncertain_k,
        random_k=random_k,
        rng=rng,
    )


def _replay(study: Study, strategy: Strategy) -> int:
    """Bring a new strategy to where the study stands; returns the rounds it was asked for."""
    if study.rounds and not study.rounds[0].asked:
        strategy.learn(study.rounds[0].trials)
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


def _measure_front(
    study: OpenStudy,
    next_judge: Callable[[None], Judge],
    settings: LoopSettings,
    presence: _Presence,
    on_note: Callable[[str], None],
) -> None:
    """Measure the contenders for the front until none is left, no more may be measured, or a
    pass settles none: the target is away or disturbed. Each time half of what may be, for the
    predictions learn from it; and each that settles any uses up a part of the allowance, so it
    ends."""
    while True:
        judge, latest = next_judge(None), study.latest()
        latest |= judge.predict(filter(is_open, latest.values()))
        wanted = contenders(latest.values())
        allowed = settings.allowance(latest.values())
        chosen = wanted[: max(MIN_AT_ONCE, math.ceil(allowed / 2))][:allowed]
        if not chosen:
            break
        measured, away = judge.measure(chosen)
        presence.heard(measured, away)
        if measured:
            study.append(list(measured.values()), asked=False)
            on_note(f"at the end: {_summary(study)}")
            if disagreement := _disagreement(study):
                on_note(disagreement)
        if all(map(is_open, measured.values())):
            why, until = ("disturbed", "quiet") if measured else ("away", "back")
            on_note(
                f"{len(wanted)} candidates that may be on the front stay unmeasured while the "
                f"target is {why}: the same command goes on when it is {until}"
            )
            return
    if wanted:
        on_note(
            f"{len(wanted)} candidates that may be on the front stay unmeasured: "
            f"{sum(map(attempts, latest.values()))} of {len(latest)} have been, as many as may"
        )


class _Presence:
    """Says when the target goes away and when it is back, each once."""

    def __init__(self, on_note: Callable[[str], None]) -> None:
        self._on_note = on_note
        self._is_away = False

    def heard(self, measured: Trials, away: str) -> None:
        """What became of a batch, as `Judge.measure` says it."""
        if away and not self._is_away:
            self._on_note(f"the target is away, the search goes on with predictions: {away}")
        if measured and not away and self._is_away:
            self._on_note("the target is back, and measured again")
        self._is_away = bool(away) or (self._is_away and not measured)


def _summary(study: Study) -> str:
    trials = study.latest().values()
    measured = sum(map(is_measured, trials))
    best = max((trial.reward for trial in trials if trial.reward is not None), default=math.nan)
    return f"{len(trials)} candidates, {measured} measured, best reward {best:.4f}"


def _disagreement(study: Study) -> str | None:
    """Says so where measurements fall outside the predicted intervals more often than chance
    explains (one-sided binomial test at 5 %)."""
    inside = [
        trial.predicted.lower_ns <= trial.latency.latency_ns <= trial.predicted.upper_ns
        for trial in study.latest().values()
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
