"""Several studies beside each other: the data of a comparison's page."""

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
from search.space.deployment import Deployment
from search.study.front import front
from search.study.pareto import pareto_front
from search.study.study import Study
from search.study.trial import Trial, best_by_reward, has_failed, is_measured

NEAR = 0.1  # as a share of the target latency


@dataclass(frozen=True, eq=False)
class Comparison:
    """The data of a comparison of studies.

    Attributes:
        groups: The studies, as `group_studies` groups them.
        target: The name of the target, or a description of several.
        zoo: The published networks with their latencies on the target.
        accuracy: The source of the accuracies, as in "the proxy task on digits".
        trained: Networks of the studies that were trained in full.
    """

    groups: Sequence[Group]
    target: str
    zoo: Sequence[ZooRow] = ()
    accuracy: str = "the proxy task"
    trained: Sequence[Result] = ()

    @property
    def studies(self) -> list[Study]:
        """All studies of the comparison, group by group."""
        return [study for group in self.groups for study in group.studies]

    @property
    def target_ns(self) -> int | None:
        """The target latency; None if the studies have different ones."""
        targets_ns = {study.settings.target_ns for study in self.studies}
        return targets_ns.pop() if len(targets_ns) == 1 else None

    @property
    def deployment(self) -> Deployment:
        """The form in which networks are deployed, which all studies share but for precision."""
        return self.studies[0].settings.deployment

    @cached_property
    def box(self) -> Box | None:
        """The rectangle that hypervolumes are a share of; None without any finished trial."""
        return Box.around(self.studies)

    @cached_property
    def curves(self) -> list[list[Curve]]:
        """For each group, its studies' curves over their rounds; empty without finished trials."""
        if self.box is None:
            return []
        return [[curve(study, self.box) for study in group.studies] for group in self.groups]

    def front(self, study: Study) -> list[Trial]:
        """Return the study's front, fastest first.

        It consists of measured networks only if every study has measured some.
        """
        measured = self.box is not None and self.box.measured
        latest = study.latest().values()
        return front(trial for trial in latest if is_measured(trial) or not measured)

    @cached_property
    def joint_front(self) -> list[tuple[Group, Study, Trial]]:
        """The front of all studies together, fastest first.

        A network that several studies found is on it once for each of them.
        """
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
        """Return the trial with the best reward on the fronts of the group's studies."""
        trials = [trial for study in group.studies for trial in self.front(study)]
        return next(iter(best_by_reward(trials, 1)), None)

    def front_networks(self, group: Group) -> list[Architecture]:
        """Return the networks on the fronts of the group's studies."""
        return [trial.architecture for study in group.studies for trial in self.front(study)]

    @property
    def common_samples(self) -> int:
        """The number of samples that every study has drawn."""
        return min(sum(len(r.trials) for r in s.rounds if r.asked) for s in self.studies)

    @cached_property
    def against_random(self) -> list[Against]:
        """Each group's comparison with random search, by hypervolumes at `common_samples`."""
        hypervolumes = [at(curves, self.common_samples) for curves in self.curves]
        return against_random(self.groups, hypervolumes) if hypervolumes else []


def samples(group: Group) -> list[tuple[Study, Trial]]:
    """Return the trials of proposed networks with a latency and an accuracy that did not fail."""
    return [
        (study, trial)
        for study in group.studies
        for finished in study.rounds
        if finished.asked
        for trial in finished.trials
        if trial.accuracy is not None and trial.latency is not None and not has_failed(trial)
    ]


def relative_latencies(group: Group) -> FloatArray:
    """Return the latencies of the group's samples, in multiples of their target latency."""
    return np.array(
        [
            trial.latency.latency_ns / study.settings.target_ns
            for study, trial in samples(group)
            if trial.latency is not None
        ],
        np.float64,
    )


def near_target(group: Group) -> float:
    """Return the share of samples within 10 % of their target latency; NaN without samples."""
    ratios = relative_latencies(group)
    return float(np.mean(np.abs(ratios - 1) <= NEAR)) if len(ratios) else float("nan")


def at(curves: Sequence[Curve], sample: int) -> FloatArray:
    """Return the hypervolume of each curve after `sample` samples."""
    return np.array([c.hypervolume[int(np.sum(c.samples <= sample)) - 1] for c in curves])
