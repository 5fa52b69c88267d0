"""The data of a report, as plain values that need neither a study's folder nor a lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from latlab.domain.estimate import LatencyEstimate
from latlab.domain.measurement import Measurement
from latlab.domain.precision import Precision
from latlab.domain.target import Target
from search.report.drawing.arrays import FloatArray
from search.space.architecture import Architecture
from search.space.counts import Counts
from search.space.deployment import Deployment
from search.space.zoo import PublishedResult
from search.study.front import front
from search.study.noise import AccuracyNoise, accuracy_noise, within_noise
from search.study.renewal import measurement_ids
from search.study.trial import Trial, best_by_reward, is_measured


@dataclass(frozen=True, eq=False)
class PredictorEvaluation:
    """Measured and predicted latencies of held-out networks, as parallel arrays.

    Attributes:
        scores: Scores of the predictor, label to text.
        repeat_noise: Relative standard error of a measurement, which no predictor can beat.
    """

    measured_ns: FloatArray
    predicted_ns: FloatArray
    lower_ns: FloatArray
    upper_ns: FloatArray
    scores: Mapping[str, str] = field(default_factory=dict)
    repeat_noise: float | None = None


@dataclass(frozen=True)
class ZooRow:
    """A published network with its latency on the study's target, if that is known."""

    name: str
    architecture: Architecture
    latency: LatencyEstimate | None = None


@dataclass(frozen=True)
class Result:
    """A row of the table of results: a network as found here and as published.

    Attributes:
        model: The network's name, and after a comma what distinguishes it.
        searched: Whether a search found the network, which the MnasNet paper calls "auto".
        size: The network's size, if it can be built here.
        accuracy: Its accuracy here.
        latency: Its latency on the target.
        published: What was published about it.
        precision: The precision of a network that was trained in full; None for others.
        verdict: Whether the search has beaten this network, in a sentence; empty if the two were
            not trained side by side.
    """

    model: str
    searched: bool
    size: Counts | None = None
    accuracy: float | None = None
    latency: LatencyEstimate | None = None
    published: PublishedResult | None = None
    precision: Precision | None = None
    verdict: str = ""

    @property
    def name(self) -> str:
        return self.model.partition(", ")[0]

    @property
    def detail(self) -> str:
        return self.model.partition(", ")[2]

    @property
    def kind(self) -> str:
        return "auto" if self.searched else "manual"


@dataclass(frozen=True, eq=False)
class ReportData:
    """The data of one study's report.

    Attributes:
        study: The study's name.
        settings: The settings of the search, label to text.
        trials: The trials of all rounds, in order; an architecture's last trial counts.
        target: The name of the target, or a description of several.
        measurements: Number of networks that the search measured.
        calibration: Number of networks that were measured before the search.
        accuracy: The source of the accuracies, as in "the proxy task on digits".
        trained: Networks of the study that were trained in full.
        targets: The names of the targets, in the order of the parts of each latency, if there
            are several.
        devices: The targets themselves, in the same order; none without a lab.
        front_measurements: Measurements of networks on the front, by their ids.
        deployment: The form in which networks are deployed, which their sizes depend on.
        separate_targets: Whether the front is that of the latencies on each target, in place of
            the combined one.
        statistics: What the strategy reported about its learning, by the index of the round;
            only rounds about which it reported something.
    """

    study: str
    settings: Mapping[str, str]
    trials: Sequence[Trial]
    target: str
    target_latency_ns: int
    measurements: int
    calibration: int
    evaluation: PredictorEvaluation | None = None
    zoo: Sequence[ZooRow] = ()
    accuracy: str = "the proxy task"
    trained: Sequence[Result] = ()
    targets: Sequence[str] = ()
    devices: Sequence[Target] = ()
    front_measurements: Mapping[str, Measurement] = field(default_factory=dict)
    deployment: Deployment = field(default_factory=Deployment)
    separate_targets: bool = False
    statistics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target_latency_ns <= 0:
            raise ValueError(f"the target latency must be above 0 ns, not {self.target_latency_ns}")

    def latest(self) -> list[Trial]:
        """Return the newest trial of each architecture, in order of first appearance."""
        return list({trial.architecture: trial for trial in self.trials}.values())

    def measured_front(self) -> list[Trial]:
        """Return the front of the measured networks, fastest first."""
        return front(filter(is_measured, self.latest()), separate_targets=self.separate_targets)

    def combined_front(self) -> list[Trial]:
        """Return the front of the measured networks by the combined latency, fastest first."""
        return front(filter(is_measured, self.latest()))

    def numbers_by_combined_latency(self) -> list[int]:
        """Return which networks of the front, from 1, are on that by the combined latency too."""
        combined = {trial.architecture for trial in self.combined_front()}
        front = enumerate(self.measured_front(), 1)
        return [number for number, trial in front if trial.architecture in combined]

    def noise(self) -> AccuracyNoise | None:
        """Return the noise of the study's accuracies; None if it is not known."""
        return accuracy_noise(self.latest())

    def within_noise(self) -> list[bool]:
        """Return for each trial on the measured front whether noise explains how it got there."""
        return within_noise(
            self.measured_front(), self.noise(), separate_targets=self.separate_targets
        )

    def best(self) -> Trial | None:
        """Return the trial on the measured front with the best reward."""
        return next(iter(best_by_reward(self.measured_front(), 1)), None)

    def within_target(self) -> Trial | None:
        """Return the most accurate trial on the measured front within the target latency."""
        trials = [t for t in self.combined_front() if exceeds(t, self.target_latency_ns) <= 0]
        return trials[-1] if trials else None

    def measurements_of(self, trial: Trial) -> list[Measurement | None]:
        """Return the trial's measurement on each target; None where it is not known."""
        return list(map(self.front_measurements.get, measurement_ids(trial)))


def exceeds(trial: Trial, target_ns: int) -> float:
    """Return by which share the trial's latency exceeds the target; below 0 within it."""
    assert trial.latency is not None
    return trial.latency.latency_ns / target_ns - 1
