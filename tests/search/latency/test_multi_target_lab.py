"""MultiTargetLab over devices that only pretend to measure, some slower than others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latlab.domain.errors import Unavailable
from latlab.domain.estimate import LatencyEstimate, Source
from latlab.domain.failure import Failure, FailureKind
from search.latency.lab import Measured
from search.latency.multi_target_lab import MultiTargetLab, NamedLab
from search.latency.target_lab import TURN_SIZE
from search.loop import run_search
from search.space.architecture import Architecture
from search.strategies.strategy import make_strategy
from search.study.combined_latency import Combination
from search.study.front import front
from search.study.settings import LoopSettings, SearchTarget, StrategyName
from search.study.study import open_study, read_study
from search.study.trial import Trial, is_measured
from tests.search.fakes import (
    DEVICE_S,
    TARGET_ID,
    TARGET_NS,
    FakeAccuracy,
    FakeLab,
    never,
    settings,
    small_space,
    true_latency_ns,
)

DEADLINE_S = 30.0
# Each is twice as slow as the one before, and the third has ten times as long.
TARGETS_NS = (TARGET_NS, TARGET_NS, 10 * TARGET_NS)


def network(number: int) -> Architecture:
    return Architecture(stem_channels=number, blocks=(), head_channels=8)


NETWORKS = list(map(network, range(1, 6)))


@dataclass
class Device(FakeLab):
    """`slowness` times as slow as a FakeLab. before: called when it starts to measure."""

    slowness: int = 1
    before: Callable[[], object] = lambda: None

    def predict(self, architectures: Sequence[Architecture]) -> list[LatencyEstimate]:
        return [self._slowed(latency) for latency in super().predict(architectures)]

    def measure(
        self,
        architectures: Sequence[Architecture],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> list[Measured | Failure]:
        self.before()
        return [
            outcome
            if isinstance(outcome, Failure)
            else outcome._replace(latency=self._slowed(outcome.latency))
            for outcome in super().measure(architectures, on_done)
        ]

    def look_up(self, measurement_ids: Sequence[str]) -> list[LatencyEstimate]:
        return [self._slowed(latency) for latency in super().look_up(measurement_ids)]

    def _slowed(self, latency: LatencyEstimate) -> LatencyEstimate:
        return replace(
            latency,
            latency_ns=self.slowness * latency.latency_ns,
            lower_ns=self.slowness * latency.lower_ns,
            upper_ns=self.slowness * latency.upper_ns,
        )


def exports_all(architectures: Sequence[Architecture]) -> dict[Architecture, Failure]:
    return {}


def several(
    *devices: FakeLab,
    weights: tuple[float, ...] = (),
    export: Callable[[Sequence[Architecture]], dict[Architecture, Failure]] = exports_all,
) -> MultiTargetLab:
    """The devices' targets are named "phone 1" and so on."""
    labs = [NamedLab(f"phone {number}", device) for number, device in enumerate(devices, 1)]
    targets = tuple(
        SearchTarget(lab.name, latency_ns, weight)
        for lab, latency_ns, weight in zip(
            labs, TARGETS_NS, weights or [None] * len(labs), strict=False
        )
    )
    return MultiTargetLab(labs, Combination(targets), export)


def test_the_worst_counts_and_each_is_told() -> None:
    lab = several(Device(), Device(slowness=2), Device(slowness=4))
    for architecture, outcome in zip(NETWORKS, lab.measure(NETWORKS), strict=True):
        true_ns = true_latency_ns(architecture)
        assert isinstance(outcome, Measured)
        assert outcome.latency.latency_ns == 2 * true_ns
        assert outcome.latency.source is Source.MEASURED
        assert [p.latency_ns for p in outcome.latency.parts] == [true_ns, 2 * true_ns, 4 * true_ns]
        assert outcome.measurement_id == "+".join([f"measurement of {architecture.id}"] * 3)
        assert outcome.device_s == 3 * DEVICE_S
    predicted = lab.predict(NETWORKS)
    alone = Device(slowness=2).predict(NETWORKS)
    assert [p.latency_ns for p in predicted] == [p.latency_ns for p in alone]


def test_measurements_are_looked_up_on_all_targets_and_combined() -> None:
    devices = Device(learns=0.1), Device(slowness=2, learns=0.1)
    lab = several(*devices)
    measured = lab.measure(NETWORKS)
    ids = [outcome.measurement_id for outcome in measured if isinstance(outcome, Measured)]
    assert len(ids) == len(NETWORKS)
    lab.measure(NETWORKS[:1])
    for network, latency in zip(NETWORKS, lab.look_up(ids), strict=True):
        slower_ns = 2 * round(1.2 * true_latency_ns(network))
        assert latency.latency_ns == slower_ns == latency.parts[1].latency_ns
    assert lab.look_up([]) == []


def test_with_weights_their_mean_counts() -> None:
    lab = several(Device(), Device(slowness=2), Device(slowness=4), weights=(1, 1, 2))
    for architecture, outcome in zip(NETWORKS, lab.measure(NETWORKS), strict=True):
        assert isinstance(outcome, Measured)
        mean_ns = (1 + 2 + 2 * 0.4) / 4 * true_latency_ns(architecture)
        assert outcome.latency.latency_ns == pytest.approx(mean_ns, abs=1)


@given(st.lists(st.sets(st.integers(1, 5)), min_size=1, max_size=3))
def test_what_fails_on_one_target_has_failed_and_says_where(failing: list[set[int]]) -> None:
    devices = [Device(lambda a, numbers=numbers: a.stem_channels in numbers) for numbers in failing]  # type: ignore[misc]
    outcomes = several(*devices).measure(NETWORKS)
    for architecture, outcome in zip(NETWORKS, outcomes, strict=True):
        on = [i for i, numbers in enumerate(failing, 1) if architecture.stem_channels in numbers]
        if on:
            assert outcome == Failure(FailureKind.CRASHED, f"on phone {on[0]}: no latency")
        else:
            assert isinstance(outcome, Measured)


@pytest.mark.parametrize("crashes_on_the_other", [False, True])
def test_a_target_that_is_away_is_told_from_a_network_that_fails(
    crashes_on_the_other: bool,
) -> None:
    away = Device(is_away=lambda call: True)
    other = Device(lambda a: crashes_on_the_other)
    for outcome in several(away, other).measure(NETWORKS):
        assert outcome == (
            Failure(FailureKind.CRASHED, "on phone 2: no latency")
            if crashes_on_the_other
            else Failure(FailureKind.DEVICE_LOST, "on phone 1: unplugged")
        )


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Device(lambda a: True), Failure(FailureKind.CRASHED, "on phone 2: no latency")),
        (
            Device(is_away=lambda call: True),
            Failure(FailureKind.DISTURBED, "on phone 1: 1 of 9 visits were clean"),
        ),
    ],
)
def test_a_disturbed_target_comes_after_a_network_that_fails_and_before_one_that_is_away(
    other: Device, said: Failure
) -> None:
    disturbed = Device(disturbs=lambda architecture, call: True)
    assert set(several(disturbed, other).measure(NETWORKS)) == {said}


def test_they_measure_at_the_same_time() -> None:
    together = threading.Barrier(3)
    devices = [Device(before=lambda: together.wait(DEADLINE_S)) for _ in range(3)]
    outcomes = several(*devices).measure(NETWORKS)
    assert all(isinstance(outcome, Measured) for outcome in outcomes)


def test_an_error_of_one_does_not_wait_for_the_others() -> None:
    let_go = threading.Event()

    def lost() -> None:
        raise Unavailable("the lab does not answer")

    with pytest.raises(Unavailable, match="does not answer"):
        several(Device(before=lambda: let_go.wait(DEADLINE_S)), Device(before=lost)).measure(
            NETWORKS
        )
    assert not let_go.is_set()
    let_go.set()


def test_everything_is_exported_before_anything_is_measured_and_once() -> None:
    log: list[tuple[str, int]] = []
    refused = Failure(FailureKind.UNSUPPORTED, "no such operator")
    networks = list(map(network, range(1, TURN_SIZE + 3)))

    def export(architectures: Sequence[Architecture]) -> dict[Architecture, Failure]:
        log.append(("export", len(architectures)))
        return {network(2): refused} if network(2) in architectures else {}

    done: list[int] = []
    devices = [Device(before=lambda: log.append(("measure", 0))) for _ in range(2)]
    outcomes = several(*devices, export=export).measure(networks, done.append)
    measure = ("measure", 0)
    assert log == [("export", TURN_SIZE), measure, measure, ("export", 2), measure, measure]
    assert outcomes[1] == refused
    assert all(isinstance(outcome, Measured) for outcome in outcomes[:1] + outcomes[2:])
    for device in devices:
        assert device.asked == [a for a in networks if a != network(2)]
    assert done == sorted(done)
    assert done[-1] == len(networks)


def test_a_search_for_several_keeps_the_latency_on_each(tmp_path: Path) -> None:
    def search() -> list[LatencyEstimate | None]:
        lab = several(Device(), Device(slowness=2))
        made_with = settings(
            targets=(SearchTarget(TARGET_ID, TARGET_NS), SearchTarget("other", TARGET_NS))
        )
        with open_study(tmp_path, made_with) as study:
            front = run_search(
                study,
                make_strategy(StrategyName.RANDOM, small_space(), 0),
                FakeAccuracy(never),
                lab,
                LoopSettings(rounds=3),
                on_progress=lambda progress: None,
                on_note=lambda note: None,
            )
        return [trial.latency for trial in front]

    front = search()
    assert front
    measured = [t for t in read_study(tmp_path).latest().values() if t.measurement_id is not None]
    for trial in measured:
        assert trial.latency is not None
        assert trial.predicted is not None
        assert len(trial.predicted.parts) == 2
        first, second = trial.latency.parts
        assert 2 * first.latency_ns == second.latency_ns == trial.latency.latency_ns
    assert search() == front  # resumed from what was read


class Opposite(Device):
    """The slower a network is elsewhere, the faster it is here."""

    def _slowed(self, latency: LatencyEstimate) -> LatencyEstimate:
        mirror_ns = 4 * TARGET_NS
        return replace(
            latency,
            latency_ns=mirror_ns - latency.latency_ns,
            lower_ns=mirror_ns - latency.upper_ns,
            upper_ns=mirror_ns - latency.lower_ns,
        )


def test_separate_targets_end_with_the_front_of_all_of_them(tmp_path: Path) -> None:
    targets = (SearchTarget(TARGET_ID, TARGET_NS), SearchTarget("other", TARGET_NS))
    made_with = settings(targets=targets, strategy=StrategyName.NSGA2, separate_targets=True)

    def search() -> list[Trial]:
        with open_study(tmp_path, made_with) as study:
            return run_search(
                study,
                make_strategy(StrategyName.NSGA2, small_space(), 0, separate_targets=2),
                FakeAccuracy(never),
                several(Device(), Opposite()),
                LoopSettings(rounds=3, max_measured_share=1),
                on_progress=lambda progress: None,
                on_note=lambda note: None,
            )

    on_all = search()
    latest = read_study(tmp_path).latest().values()
    measured = list(filter(is_measured, latest))
    assert on_all == front(measured, separate_targets=True)
    assert {t.architecture for t in front(measured)} < {t.architecture for t in on_all}
    for trial in latest:  # no network that was not measured would be on the front
        assert is_measured(trial) or trial not in front(latest, separate_targets=True)
    assert search() == on_all
