"""The sentinel in a real lab, over the API, and the reference network itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from host.home import lab_process
from host.home.paths import LabHome
from latlab.client.client import LatencyClient
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.errors import NotFound
from latlab.domain.estimate import MeasuredLatency
from latlab.domain.program import ProgramFile
from latlab.export import export_program
from latlab.export.reference import REFERENCE

SPEC = BenchmarkSpec(
    visit=VisitSpec(warmup_runs=2, warmup_ns=0, timed_runs=5, timed_ns=0),
    min_visits=1,
    max_visits=1,
    traced_visits=0,
    spacing_ns=0,
)


@pytest.fixture
def client(tmp_path: Path, runner: Path) -> Iterator[LatencyClient]:
    home = LabHome(tmp_path / "home")
    lab_process.up(home)
    with LatencyClient.connect(home.root) as client:
        yield client
    lab_process.down(home)


def test_a_pinned_program_is_measured_before_the_next_job(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    def drift() -> float | None:
        [status] = [s for s in client.targets() if s.target == target]
        assert not status.drifted
        return status.sentinel_drift

    target = client.default_target()
    client.measure(target.id, small_programs[1:2], SPEC)
    client.pin_sentinel(small_programs[0])
    assert drift() is None
    [outcome] = client.measure(target.id, small_programs[1:2], SPEC, fresh=True)
    assert isinstance(outcome, MeasuredLatency)
    assert not client.measurement(outcome.measurement_id).suspect
    assert drift() == 0
    assert len(client.measured_networks(target.id)) == 2
    client.renew_baseline(target.name)
    assert drift() is None


def test_what_does_not_exist_cannot_be_pinned_or_renewed(
    client: LatencyClient, small_programs: list[ProgramFile], tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="target"):
        client.renew_baseline("nowhere")
    changed = replace(small_programs[0].program, sha256="00" * 32)
    with pytest.raises(Exception, match="hashes to"):
        client.pin_sentinel(ProgramFile(changed, small_programs[0].path))


def test_the_reference_is_the_same_program_every_time() -> None:
    random_state = torch.random.get_rng_state()
    first, _ = export_program(*REFERENCE.make())
    second, _ = export_program(*REFERENCE.make())
    assert first == second
    assert first.undelegated == ()
    assert {"conv2d", "depthwise_conv2d"} <= {kernel.kind for kernel in first.kernels}
    assert torch.equal(torch.random.get_rng_state(), random_state)
