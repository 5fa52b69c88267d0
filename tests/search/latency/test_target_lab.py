"""TargetLab between an exporter and a lab that only note what they are asked for."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import torch

from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import ExportError
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency, Source
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.kernel import Kernel
from latlab.domain.precision import Precision
from latlab.domain.program import Program, ProgramFile
from latlab.domain.target import Target, TargetStatus
from latlab.export import ExportPool, ExportSpec
from search.latency.lab import Measured
from search.latency.networks import export_spec
from search.latency.target_lab import AWAY_PATIENCE_S, TURN_SIZE, TargetLab
from search.space.deployment import Deployment
from search.space.space import mnasnet_space
from search.space.zoo import ZOO

TARGET = Target("board", "os", "1", "r", "xnnpack", 1, "all")
ESTIMATE = LatencyEstimate(10**7, 10**7, 10**7, Source.MEASURED, 1, 1, 0)
SPACE = mnasnet_space()
ARCHITECTURES = list(ZOO.values())[:3]


class NotingPool:
    def __init__(self, log: list[str], refused: str | None = None) -> None:
        self.log = log
        self.refused = refused

    def export_each(
        self, specs: Iterable[ExportSpec]
    ) -> Iterator[tuple[ExportSpec, ProgramFile | ExportError]]:
        for spec in specs:
            self.log.append("export")
            if spec.key == self.refused:
                yield spec, ExportError("no such operator")
                continue
            program = Program(str(spec.key), 1, "xnnpack", (), (), (), "test")
            yield spec, ProgramFile(program, Path("none"))

    def export_all(self, specs: Sequence[ExportSpec]) -> list[ProgramFile | ExportError]:
        return [outcome for _, outcome in self.export_each(specs)]


class NotingClient:
    """`answers`: how many programs it measures before nothing comes any more."""

    def __init__(self, log: list[str], shares_host: bool, answers: int = 1000) -> None:
        self.log = log
        self.is_shared = shares_host
        self.answers = answers
        self.waited_s: list[float] = []
        self.known: list[int] = []

    def memory_bytes(self, target: str) -> None:
        return None

    def shares_host(self, target: Target) -> bool:
        return self.is_shared

    def measure(
        self,
        target: str,
        programs: Iterable[ProgramFile],
        spec: BenchmarkSpec,
        *,
        fresh: bool,
        priority: int,
        patience_s: float,
        pause_when_left: bool,
        on_progress: Callable[[int, int], None],
        on_estimate: Callable[[str, LatencyEstimate], None],
    ) -> list[Outcome]:
        self.waited_s.append(patience_s)
        outcomes: list[Outcome] = []
        for file in programs:
            if self.answers == len(outcomes):
                return [*outcomes, Failure(FailureKind.DEVICE_LOST, "nothing came")]
            self.log.append("measure")
            sha256 = file.program.sha256
            on_estimate(sha256, ESTIMATE)
            outcomes.append(MeasuredLatency(f"of {sha256}", sha256, ESTIMATE, 5, 0, 10.0))
            on_progress(5, len(outcomes))
        return outcomes

    def target_status(self, target: Target) -> TargetStatus:
        return TargetStatus(target, 1, self.log.count("measure"), 0, self.is_shared)

    def predict(
        self,
        target: str,
        networks: Sequence[Sequence[Kernel]],
        *,
        min_measurements: int,
        strict: bool,
    ) -> list[LatencyEstimate]:
        self.known.append(min_measurements)
        return [ESTIMATE] * len(networks)


def target_lab(
    log: list[str], *, shares_host: bool, refused: str | None = None, answers: int = 1000
) -> TargetLab:
    client = cast(LatencyClient, NotingClient(log, shares_host, answers))
    return TargetLab(client, TARGET, cast(ExportPool, NotingPool(log, refused)))


def test_beside_a_remote_device_exporting_and_measuring_overlap() -> None:
    log: list[str] = []
    done: list[int] = []
    outcomes = target_lab(log, shares_host=False).measure(ARCHITECTURES, done.append)
    assert log == ["export", "measure"] * 3
    assert done == [1, 2, 3]
    assert [outcome[1] for outcome in outcomes if not isinstance(outcome, Failure)] == [
        f"of {export_spec(architecture).key}" for architecture in ARCHITECTURES
    ]


def test_on_the_labs_own_machine_they_take_turns() -> None:
    rng = random.Random(0)
    architectures = [SPACE.resolve(SPACE.sample(rng)) for _ in range(TURN_SIZE + 2)]
    log: list[str] = []
    done: list[int] = []
    target_lab(log, shares_host=True).measure(architectures, done.append)
    assert (
        log == ["export"] * TURN_SIZE + ["measure"] * TURN_SIZE + ["export"] * 2 + ["measure"] * 2
    )
    assert done == list(range(1, TURN_SIZE + 3))


def test_each_architecture_has_its_outcome_whatever_becomes_of_others() -> None:
    first, second, third = ARCHITECTURES
    refused = str(export_spec(second).key)
    for shares_host in (True, False):
        lab = target_lab([], shares_host=shares_host, refused=refused)
        outcomes = lab.measure([third, second, first, third])
        assert outcomes[1] == Failure(FailureKind.UNSUPPORTED, "no such operator")
        ids = [outcome[1] for outcome in outcomes if not isinstance(outcome, Failure)]
        assert ids == [f"of {export_spec(a).key}" for a in (third, first, third)]


def test_what_has_no_answer_is_lost_with_the_device() -> None:
    outcomes = target_lab([], shares_host=False, answers=1).measure(ARCHITECTURES)
    assert isinstance(outcomes[0], Measured)
    kinds = [outcome.kind for outcome in outcomes[1:] if isinstance(outcome, Failure)]
    assert kinds == [FailureKind.DEVICE_LOST] * 2


def test_while_the_target_is_away_it_is_waited_for_more_shortly() -> None:
    client = NotingClient([], shares_host=False, answers=0)
    pool = cast(ExportPool, NotingPool([]))
    lab = TargetLab(cast(LatencyClient, client), TARGET, pool, patience_s=600.0)
    lab.measure(ARCHITECTURES)
    lab.measure(ARCHITECTURES)
    client.answers = 1
    lab.measure(ARCHITECTURES)
    lab.measure(ARCHITECTURES)
    assert client.waited_s == [600.0, AWAY_PATIENCE_S, AWAY_PATIENCE_S, 600.0]


def test_a_measurement_comes_with_its_estimate_and_the_time_it_kept_the_device() -> None:
    [outcome] = target_lab([], shares_host=False).measure(ARCHITECTURES[:1])
    assert isinstance(outcome, Measured)
    assert (outcome.latency, outcome.device_s) == (ESTIMATE, 10.0)


def test_a_predictor_must_know_what_was_measured_before() -> None:
    client = NotingClient([], shares_host=False)
    lab = TargetLab(cast(LatencyClient, client), TARGET, cast(ExportPool, NotingPool([])))
    lab.predict(ARCHITECTURES)
    lab.measure(ARCHITECTURES)
    lab.predict(ARCHITECTURES)
    assert client.known == [0, len(ARCHITECTURES)]


def test_exporting_alone_tells_what_cannot_be() -> None:
    log: list[str] = []
    lab = target_lab(log, shares_host=True, refused=str(export_spec(ARCHITECTURES[1]).key))
    failure = Failure(FailureKind.UNSUPPORTED, "no such operator")
    assert lab.export(ARCHITECTURES) == {ARCHITECTURES[1]: failure}
    assert log == ["export"] * len(ARCHITECTURES)


def test_networks_are_exported_as_they_are_deployed() -> None:
    deployment = Deployment(resolution=64, classes=10)
    architecture = ARCHITECTURES[0]
    spec = export_spec(architecture, deployment)
    network, shape = spec.make()
    assert shape == (1, 3, 64, 64)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    assert spec.key != export_spec(architecture).key
    log: list[str] = []
    pool = cast(ExportPool, NotingPool(log))
    client = cast(LatencyClient, NotingClient(log, shares_host=False))
    [outcome] = TargetLab(client, TARGET, pool, deployment=deployment).measure([architecture])
    assert isinstance(outcome, Measured)
    assert outcome.measurement_id == f"of {spec.key}"


def test_a_network_in_int8_is_another_program() -> None:
    spec = export_spec(ARCHITECTURES[0], Deployment(precision=Precision.INT8))
    assert spec.key == f"{export_spec(ARCHITECTURES[0]).key} in int8"
    assert spec.precision is Precision.INT8


def test_programs_of_earlier_versions_are_found_again() -> None:
    """The cache of exported programs is looked up by these keys."""
    key = "architecture bd7f4b99d56f, 1000 classes, input (1, 3, 224, 224)"
    assert export_spec(ZOO["mnasnet-a1"]).key == key


def test_provisional_latencies_come_with_the_positions_of_their_networks() -> None:
    seen: list[int] = []
    first, second, _ = ARCHITECTURES
    target_lab([], shares_host=True).measure(
        [first, second, first], on_estimate=lambda position, estimate: seen.append(position)
    )
    assert seen == [0, 2, 1]
