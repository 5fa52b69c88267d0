"""Modules are measured and predicted in one line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn

from host.database.engine import Database
from host.home.paths import sqlite_url
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import ExportError
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.program import Program, ProgramFile
from latlab.profiling.profile import Profile
from search.space.network import build_network
from tests.host.fake_lab import TARGET, FakeDevice
from tests.host.stored_lab import SPEC, Stored, stored_lab, write_ordinary

SHAPE = (1, 3, 224, 224)
CONNECTED_WITHIN_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "lab.db"))
    yield database
    database.close()


@pytest.fixture
def stored(database: Database, tmp_path: Path) -> list[Stored]:
    return write_ordinary(database, tmp_path, count=5)


@pytest.fixture
def lab(
    database: Database, stored: list[Stored], tmp_path: Path
) -> Iterator[tuple[LatencyClient, FakeDevice]]:
    with stored_lab(database, tmp_path) as (client, device):
        deadline_s = time.monotonic() + CONNECTED_WITHIN_S
        while not any(status.devices for status in client.targets()):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        yield client, device


def test_a_module_is_measured_and_predicted_in_one_line(
    lab: tuple[LatencyClient, FakeDevice], stored: list[Stored]
) -> None:
    client, device = lab
    module = build_network(stored[0].architecture, seed=0)
    outcome = client.measure(module, SHAPE, SPEC)
    assert isinstance(outcome, MeasuredLatency)
    assert device.ran.count(outcome.program_sha256) == 1
    [expected] = client.predict(TARGET.id, [stored[0].network.kernels])
    for estimate in (
        client.predict(module, SHAPE),
        client.predict(module, [SHAPE], target=TARGET.name),
    ):
        assert replace(estimate, age_s=expected.age_s) == expected
    again = client.measure(module=module, example_inputs=SHAPE, target=TARGET.id, spec=SPEC)
    assert isinstance(again, MeasuredLatency)
    assert again.measurement_id == outcome.measurement_id


def test_a_module_is_profiled_in_one_line(
    lab: tuple[LatencyClient, FakeDevice], stored: list[Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = lab
    paired = BenchmarkSpec.paired
    without_rests = staticmethod(lambda pairs: replace(paired(pairs), spacing_ns=0))
    monkeypatch.setattr(BenchmarkSpec, "paired", without_rests)
    module = build_network(stored[0].architecture, seed=0)
    found = client.profile(module, SHAPE, pairs=5)
    assert isinstance(found, Profile)
    assert (found.network, found.target) == (type(module).__name__, TARGET.name)
    assert found.latency.time_ns == 1_000_000
    again = client.profile(TARGET.id, stored[0].file, pairs=5)
    assert isinstance(again, Profile)
    assert again.latency == found.latency
    with pytest.raises(ValueError, match="visits must be"):
        client.profile(module, SHAPE, pairs=0)


def test_a_program_larger_than_the_memory_is_not_uploaded(
    lab: tuple[LatencyClient, FakeDevice], stored: list[Stored]
) -> None:
    client, _ = lab
    small, large = (
        ProgramFile(Program(digit * 64, size_bytes, "xnnpack", (), (), (), "test"), Path("absent"))
        for digit, size_bytes in (("1", 2 << 30), ("2", 3 << 30))
    )
    outcomes = client.measure(TARGET.id, [small, large], SPEC)
    for outcome, size in zip(outcomes, ("2 GiB", "3 GiB"), strict=True):
        assert isinstance(outcome, Failure)
        assert outcome.kind is FailureKind.OUT_OF_MEMORY
        assert f"{size}, and the device has 1 GiB" in outcome.message


def test_what_is_no_module_is_refused_by_its_type() -> None:
    with LatencyClient("127.0.0.1:1", "token") as client:
        for ask in (client.predict, client.measure):
            with pytest.raises(ExportError, match="Module can be exported, not function"):
                ask(nn.functional.relu, SHAPE)  # type: ignore[call-overload]
