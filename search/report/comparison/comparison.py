"""Several studies beside each other, as the comparison's page is written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from search.report.comparison.curves import Box, Curve, curve, points_of
from search.report.comparison.groups import Group
from search.report.comparison.significance import Against, against_random
from search.report.drawing.arrays import FloatArray
from search.report.study.data import Result, ZooRow
from search.space.architecture import Architecture
from search.study.front import front
from search.study.pareto import pareto_front
from search.study.study import Study
from search.study.trial import Trial, best_by_reward, is_measured

NEAR = 0.1  # of the target latency


@dataclass(frozen=True, eq=False)
class Comparison:
    """groups: as `group_studies` makes them. zoo: the published networks, on their target.
    accuracy: what the accuracies are of, for people. trained: networks trained in full."""

    groups: Sequence[Group]
    target: str
    zoo: Sequence[ZooRow] = ()
    accuracy: str = "the proxy task"
    trained: Sequence[Result] = ()

    @property
    def studies(self) -> list[Study]:
        return [study for group in self.groups for study in group.studies]

    @cached_property
    def box(self) -> Box | None:
        return Box.around(self.studies)

    @cached_property
    def curves(self) -> list[list[Curve]]:
        """Of each group those of its studies."""
        if self.box is None:
            return []
        return [[curve(study, self.box) for study in group.studies] for group in self.groups]

    def front(self, study: Study) -> list[Trial]:
        """Fastest first; from measurements alone where every study has some."""
        measured = self.box is not None and self.box.measured
        latest = study.latest().values()
        return front(trial for trial in latest if is_measured(trial) or not measured)

    @cached_property
    def joint_front(self) -> list[tuple[Group, Study, Trial]]:
        """Of all studies together, fastest first; a network that several found, once each."""
        fronts = [
            (group, study, trial)
            for group in self.groups
            for study in group.studies
            for trial in self.front(study)
        ]
        points = points_of((trial for _, _, trial in fronts), measured=False)
        on_front = pareto_front([p.accuracy for p in points], [p.latency_ns for p in points])
        return [fronts[index] for index in on_front]

    def best(self, group: Group) -> Trial | None:
        """By reward, of the fronts of its studies."""
        trials = [trial for study in group.studies for trial in self.front(study)]
        return next(iter(best_by_reward(trials, 1)), None)

    def front_networks(self, group: Group) -> list[Architecture]:
        """Of the fronts of all its studies."""
        return [trial.architecture for study in group.studies for trial in self.front(study)]

    @property
    def common_samples(self) -> int:
        """So many every study has."""
        return min(sum(len(r.trials) for r in s.rounds if r.asked) for s in self.studies)

    @cached_property
    def against_random(self) -> list[Against]:
        """By the hypervolumes at `common_samples`."""
        hypervolumes = [at(curves, self.common_samples) for curves in self.curves]
        return against_random(self.groups, hypervolumes) if hypervolumes else []


def samples(group: Group) -> list[tuple[Study, Trial]]:
    """What the strategies asked for, as they were told of it, where latency and accuracy are
    known."""
    return [
        (study, trial)
        for study in group.studies
        for finished in study.rounds
        if finished.asked
        for trial in finished.trials
        if trial.accuracy is not None and trial.latency is not None
    ]


def relative_latencies(group: Group) -> FloatArray:
    """Of its `samples`, in multiples of their target latency."""
    return np.array(
        [
            trial.latency.latency_ns / study.settings.target_ns
            for study, trial in samples(group)
            if trial.latency is not None
        ],
        np.float64,
    )


def near_target(group: Group) -> float:
    """The share of its samples within 10 % of their target latency; NaN without any."""
    ratios = relative_latencies(group)
    return float(np.mean(np.abs(ratios - 1) <= NEAR)) if len(ratios) else float("nan")


def at(curves: Sequence[Curve], sample: int) -> FloatArray:
    """The hypervolume of each when so many samples were drawn."""
    return np.array([c.hypervolume[int(np.sum(c.samples <= sample)) - 1] for c in curves])
