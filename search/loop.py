"""The search: ask, evaluate, predict, measure the promising candidates, tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from search.accuracy.accuracy import Accuracy, RepeatableAccuracy
from search.background import in_background
from search.judge import Judge, MeasuredTrials, Trials
from search.latency.lab import Lab
from search.latency.selection import contenders
from search.repeats import repeat_near_front
from search.replay import replay
from search.round_choice import (
    allowed_measurements,
    at_once,
    disagreement,
    first_of_front,
    left_to_measure,
    worth_measuring,
)
from search.space.architecture import Architecture
from search.strategies.strategy import Strategy
from search.study.front import front, may_be_on_front
from search.study.settings import LoopSettings
from search.study.study import OpenStudy
from search.study.trial import Trial, attempts, is_measured, is_open
from search.surrogate.smoothing import smoothed

# At the end, most candidates of a long search are far from the front by the predictions of their
# own rounds, in intervals widened by this factor. They are not predicted anew in every pass.
WIDENING = 2.0


@dataclass(frozen=True)
class Progress:
    """The progress of one activity in a round.

    Attributes:
        round: Number of the round, from 1; 0 for the warm start; None at the end of the search.
        activity: "evaluating", "evaluating again" or "measuring".
        done: Number of networks that are done.
        total: Number of networks.
    """

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
    warm_start: Sequence[Architecture] = (),
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
) -> list[Trial]:
    """Search, or resume where the study stands, and return the front of measured networks.

    An interrupted study can be resumed after its last finished round. While the target is away,
    or other work disturbs it, the search goes on with predictions. It then ends without the
    missing measurements of the front, which are made when the study is resumed.

    If the settings say so, a round's promising candidates are measured while the next round's are
    evaluated, and those of the last round with the front. The strategy is then told the predicted
    latencies of all of them, so that what it proposes does not depend on when a measurement ends.
    Contenders for the front are measured while candidates are evaluated again.

    Args:
        study: The study to search for, under its lock.
        strategy: A new strategy. The finished rounds are replayed with it first. Where it
            proposes other networks than the study holds, because this machine rounds otherwise
            than the one that made the study, it goes on from those of the study.
        accuracy: Where accuracies come from.
        lab: Where latencies come from.
        settings: How far to search and how much to measure.
        warm_start: Networks that come before the first round of a new study. The strategy
            learns from them.
        on_progress: Called as evaluations and measurements end.
        on_note: Called with a line after each round, and with a line for each oddity.

    Raises:
        StudyError: The strategy cannot have proposed what the study's rounds hold.
    """
    search = _Search(study, accuracy, lab, settings, on_progress, on_note)
    rounds_before = replay(study, strategy, on_note)
    if warm_start and not study.rounds:
        trials = search.judged(warm_start, number=0)
        strategy.learn(trials)
        study.append(trials, asked=False)
        on_note(f"warm start: {_summary(study.latest().values())}")
    for number in range(rounds_before + 1, settings.rounds + 1):
        architectures = strategy.ask(study.settings.round_size)
        trials = search.judged(architectures, number)
        strategy.tell(trials)
        study.append(trials, statistics=strategy.statistics())
        search.note(f"round {number} of {settings.rounds}")

    search.repeat_near_front()
    search.measure_front()
    search.renew()
    return measured_front(study.latest().values(), study.settings.separate_targets)


def measured_front(trials: Iterable[Trial], separate_targets: bool = False) -> list[Trial]:
    """Return the front of the measured networks, fastest first, as `front` does."""
    return front(filter(is_measured, trials), separate_targets=separate_targets)


class _Search:
    """The parts that all rounds of one search use."""

    def __init__(
        self,
        study: OpenStudy,
        accuracy: Accuracy,
        lab: Lab,
        settings: LoopSettings,
        on_progress: Callable[[Progress], None],
        on_note: Callable[[str], None],
    ) -> None:
        self.study = study
        self.accuracy = accuracy
        self.lab = lab
        self.settings = settings
        self.on_progress = on_progress
        self.on_note = on_note
        self.is_away = False

    def judged(self, architectures: Sequence[Architecture], number: int) -> list[Trial]:
        """Return the trials of architectures, in their order, the promising ones measured."""
        with self.measuring(*left_to_measure(self.study, self.settings)):
            trials = self._judge(number).evaluate(architectures)
        judge = self._judge(number)
        trials = judge.as_known(trials)
        trials |= smoothed(trials, self.study.latest(), self.study.settings)
        trials |= judge.predict(trials.values())
        if not self.settings.overlaps:
            known, index = self.study.latest(), len(self.study.rounds)
            seed = self.study.settings.seed
            chosen = worth_measuring(known, trials, self.settings, number, seed=[seed, index])
            trials |= self._measure(judge, chosen).trials
        return [trials[architecture] for architecture in architectures]

    @contextmanager
    def measuring(self, number: int | None, chosen: Sequence[Trial]) -> Iterator[None]:
        """Measure networks while the block does other work. `number` is that of their round.

        The measurements are a round of their own. An interrupted search makes them again, and the
        lab has those that had ended.
        """
        if not chosen:
            yield
            return
        outcomes = in_background(partial(self._judge(number).outcomes, chosen))
        yield
        judge = self._judge(number)
        trials = [judge.known[trial.architecture] for trial in chosen]
        measured = self._noted(judge.ended(trials, outcomes.result())).trials
        if measured:
            self.study.append(list(measured.values()), asked=False)

    def repeat_near_front(self) -> None:
        """Evaluate candidates near the front again, and measure its first contenders meanwhile."""
        study, share = self.study, self.settings.repeat_share
        if not isinstance(self.accuracy, RepeatableAccuracy) or not share:
            return
        chosen = first_of_front(study, self.settings)
        with self.measuring(None, chosen):
            repeat_near_front(study, self.accuracy, share, self._report(None), self.on_note)
        if chosen:
            self.note("at the end")

    def measure_front(self) -> None:
        """Measure the candidates that may be on the front.

        It ends when none remains, when no more may be measured, or when a pass settles none
        because the target is away or disturbed. Each pass measures half of what may still be
        measured, because the predictions learn from it, and all of it where that is little. Each
        pass that settles some uses up a part of the allowance, so the passes end.
        """
        while True:
            judge, latest = self._judge(None), self._latest()
            allowed = allowed_measurements(self.settings, latest.values())
            near = may_be_on_front(
                latest.values(), WIDENING, separate_targets=self.study.settings.separate_targets
            )
            wanted = self._contenders(judge, latest, near)
            if allowed and not wanted:  # the recorded predictions may hide one
                wanted = self._contenders(judge, latest, latest.values())
            chosen = wanted[: at_once(allowed)]
            if not chosen:
                break
            measured = self._measure(judge, chosen).trials
            if measured:
                self.study.append(list(measured.values()), asked=False)
                self.note("at the end")
            if all(map(is_open, measured.values())):
                why = "disturbed by other work" if measured else "away"
                self.on_note(
                    f"{len(wanted)} candidates that may be on the front are not measured, because "
                    f"the target is {why}: run the same command again later to measure them"
                )
                return
        if wanted:
            self.on_note(
                f"{len(wanted)} candidates that may be on the front are not measured, because "
                f"the limits allow no more: {sum(map(attempts, latest.values()))} of "
                f"{len(latest)} candidates were measured"
            )

    def _contenders(self, judge: Judge, latest: Trials, trials: Collection[Trial]) -> list[Trial]:
        """Return the contenders among the latest trials, some renewed and predicted anew."""
        renewed = latest | judge.renew(trials) | judge.predict(filter(is_open, trials))
        separate_targets = self.study.settings.separate_targets
        return contenders(renewed.values(), separate_targets=separate_targets)

    def renew(self) -> None:
        """Record all measured networks anew whose latency or smoothed accuracy has changed.

        So all latencies are corrected alike, and all accuracies smoothed alike.
        """
        recorded, latest = self.study.latest(), self._latest()
        latest |= self._judge(None).renew(latest.values())
        index = len(self.study.rounds)
        measured = {a: trial for a, trial in latest.items() if is_measured(trial)}
        renewed = [replace(t, round=index) for a, t in measured.items() if t != recorded[a]]
        if renewed:
            self.study.append(renewed, asked=False)

    def _latest(self) -> Trials:
        """Return the newest trial of each architecture, with all accuracies smoothed alike."""
        latest = self.study.latest()
        return latest | smoothed(latest, {}, self.study.settings)

    def note(self, when: str) -> None:
        """Report how the study stands, and whether predictions disagree with measurements."""
        latest = self.study.latest().values()
        self.on_note(f"{when}: {_summary(latest)}")
        if note := disagreement(latest):
            self.on_note(note)

    def _judge(self, number: int | None) -> Judge:
        study, report = self.study, self._report(number)
        return Judge(
            self.accuracy, self.lab, study.settings, study.latest(), len(study.rounds), report
        )

    def _report(self, number: int | None) -> Callable[[str, int, int], None]:
        def report(activity: str, done: int, total: int) -> None:
            self.on_progress(Progress(number, activity, done, total))

        return report

    def _measure(self, judge: Judge, trials: Sequence[Trial]) -> MeasuredTrials:
        """Measure networks, and report once when the target goes away and when it is back."""
        return self._noted(judge.measure(trials))

    def _noted(self, outcome: MeasuredTrials) -> MeasuredTrials:
        measured, away = outcome
        if away and not self.is_away:
            self.on_note(f"the target is away, so the search goes on with predictions: {away}")
        if measured and not away and self.is_away:
            self.on_note("the target is back, and networks are measured again")
        self.is_away = bool(away) or (self.is_away and not measured)
        return outcome


def _summary(trials: Collection[Trial]) -> str:
    measured = sum(map(is_measured, trials))
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    reward = f"best reward {max(rewards):.4f}" if rewards else "no reward yet"
    return f"{len(trials)} candidates, {measured} measured, {reward}"
