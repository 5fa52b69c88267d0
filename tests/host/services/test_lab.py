"""A real lab: daemon, agent, runner, gRPC and SQLite, on this machine's own processor."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import text

from host.database.engine import Database
from host.home import lab_process
from host.home.paths import LabHome, sqlite_url
from host.home.processes import LockedProcess
from host.measuring.device_time import device_time_s
from host.measuring.statistics import summarize
from latlab.client.client import LatencyClient
from latlab.client.measuring import Outcome
from latlab.common.program_store import MAX_PROGRAM_BYTES
from latlab.convert.latency import measurement_from_message, spec_to_message
from latlab.domain.benchmark_spec import BenchmarkSpec, VisitSpec
from latlab.domain.device import DevicePhase
from latlab.domain.errors import (
    InvalidRequest,
    LabError,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnknownKernelKinds,
)
from latlab.domain.estimate import LatencyEstimate, MeasuredLatency, Source
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import footprint_of
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from tests.device_agent.agent_process import wait_until
from tests.host.jobs.job_ends import ends_of_jobs

# Visits are short: the tests are of the lab, not of the figures.
SPEC = BenchmarkSpec(
    visit=VisitSpec(warmup_runs=2, warmup_ns=0, timed_runs=5, timed_ns=0),
    min_visits=2,
    max_visits=3,
    traced_visits=1,
    spacing_ns=0,
)
# Long enough to be interrupted.
LONG = replace(SPEC, visit=replace(SPEC.visit, timed_ns=500_000_000), min_visits=3)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, runner: Path) -> Iterator[LabHome]:
    home = LabHome(tmp_path_factory.mktemp("lab"))
    assert lab_process.up(home) is True
    yield home
    lab_process.down(home)


@pytest.fixture
def client(home: LabHome) -> Iterator[LatencyClient]:
    lab_process.up(home)
    with LatencyClient.connect(home.root) as client:
        yield client


def junk(tmp_path: Path, data: bytes = b"not a program") -> ProgramFile:
    path = tmp_path / "junk.pte"
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    inputs = (TensorSpec((1, 3)),)
    return ProgramFile(Program(sha256, len(data), "xnnpack", inputs, (), (), "test"), path)


def test_bringing_it_up_again_changes_nothing(home: LabHome, client: LatencyClient) -> None:
    daemon = json.loads(home.daemon_file.read_text())
    assert lab_process.up(home) is False
    assert json.loads(home.daemon_file.read_text()) == daemon
    assert home.token_file.stat().st_mode & 0o777 == 0o600


def test_this_machine_is_a_device_with_targets(client: LatencyClient) -> None:
    [status] = client.devices()
    assert status.device is not None
    assert status.transport == "local"
    default = client.default_target()
    assert default.threads == 1
    assert default.name in status.targets
    assert default in [entry.target for entry in client.targets()]


def test_a_measurement_is_clean_traced_and_remembered(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = client.default_target().id
    seen: list[tuple[int, int]] = []
    [first] = client.measure(
        target, small_programs[:1], SPEC, on_progress=lambda *done: seen.append(done)
    )
    assert isinstance(first, MeasuredLatency)
    whole = client.measurement(first.measurement_id)
    assert (whole.id, whole.program_sha256) == (first.measurement_id, first.program_sha256)
    assert {visit.traced for visit in whole.visits} == {False, True}
    untraced = [visit for visit in whole.visits if not visit.traced]
    assert first.clean_visits + first.disturbed_visits == len(untraced)
    assert first.estimate.source is Source.MEASURED
    assert first.device_s == pytest.approx(device_time_s(whole))
    traced = [visit for visit in whole.visits if visit.traced]
    kernels = small_programs[0].program.kernels
    assert all(len(visit.kernel_traces) == len(kernels) for visit in traced)
    assert all(visit.before.arithmetic_probe_ns for visit in whole.visits)
    assert seen[-1][1] == 1
    [known] = client.measure(target, small_programs[:1], SPEC)
    assert isinstance(known, MeasuredLatency)
    assert known.measurement_id == first.measurement_id
    [again] = client.measure(target, small_programs[:1], SPEC, fresh=True)
    assert isinstance(again, MeasuredLatency)
    assert again.measurement_id != first.measurement_id


def test_provisional_latencies_narrow_down_to_the_final_one(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = client.default_target().id
    seen: list[tuple[str, LatencyEstimate]] = []
    spec = replace(SPEC, min_visits=3)
    [outcome] = client.measure(
        target,
        small_programs[:1],
        spec,
        fresh=True,
        on_estimate=lambda *news: seen.append(news),
    )
    assert isinstance(outcome, MeasuredLatency)
    assert {sha256 for sha256, _ in seen} == {outcome.program_sha256}
    estimates = [estimate for _, estimate in seen]
    raws = [estimate.raw for estimate in estimates if estimate.raw is not None]
    assert len(raws) == len(estimates)
    counts = [raw.clean_visits + raw.disturbed_visits for raw in raws]
    assert counts == sorted(counts)
    assert all(each.lower_ns <= each.latency_ns <= each.upper_ns for each in estimates)
    assert all(each.source is Source.MEASURED for each in estimates)
    assert estimates[-1].raw == outcome.estimate.raw
    whole = client.measurement(outcome.measurement_id)
    size = small_programs[0].program.size_bytes
    assert outcome.footprint == footprint_of(whole.visits, size)
    assert client.stored.find(outcome.measurement_id).program_bytes == size


def test_an_interrupted_call_frees_the_device_and_the_next_one_goes_on(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target, spec = client.default_target().id, replace(SPEC, min_visits=9, max_visits=9)
    seen: list[LatencyEstimate] = []

    def interrupt(sha256: str, estimate: LatencyEstimate) -> None:
        seen.append(estimate)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.measure(
            target, small_programs[5:], spec, pause_when_left=True, on_estimate=interrupt
        )
    wait_until(lambda: client.jobs(10)[0][0].waits_for.endswith("it is paused"))
    [job], _ = client.jobs(10)
    assert 1 <= job.visits_done < 9
    first: list[LatencyEstimate] = []
    [outcome] = client.measure(
        target, small_programs[5:], spec, on_estimate=lambda sha256, each: first.append(each)
    )
    assert isinstance(outcome, MeasuredLatency)
    assert first[0].raw is not None
    assert first[0].raw.clean_visits + first[0].raw.disturbed_visits >= job.visits_done
    assert outcome.clean_visits + outcome.disturbed_visits == 9
    assert client.jobs(10) == ([], 0)


def test_a_client_of_version_0_1_is_answered_with_the_whole_measurement(
    home: LabHome, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = client.default_target().id
    [measured] = client.measure(target, small_programs[:1], SPEC)
    assert isinstance(measured, MeasuredLatency)
    request = latency_pb2.MeasureRequest(
        target=target,
        program_sha256=[measured.program_sha256],
        spec=spec_to_message(SPEC),
    )
    address = json.loads(home.daemon_file.read_text())["address"]
    with grpc.insecure_channel(address) as channel:
        [event] = LatencyServiceStub(channel).Measure(
            iter([request]), metadata=(("authorization", f"Bearer {home.token()}"),), timeout=30
        )
    assert measurement_from_message(event.measurement) == client.measurement(
        measured.measurement_id
    )


def test_programs_may_be_made_while_others_are_measured(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    """The second is not made before the first has ended."""
    first_ended = threading.Event()

    def programs() -> Iterator[ProgramFile]:
        yield small_programs[1]
        assert first_ended.wait(timeout=60)
        yield small_programs[2]
        yield small_programs[1]

    def note(visits: int, ended: int) -> None:
        if ended:
            first_ended.set()

    outcomes = client.measure(
        client.default_target().id, programs(), SPEC, fresh=True, on_progress=note
    )
    assert [
        outcome.program_sha256 for outcome in outcomes if isinstance(outcome, MeasuredLatency)
    ] == [file.program.sha256 for file in (small_programs[1], small_programs[2], small_programs[1])]
    assert outcomes[0] == outcomes[2]
    assert client.measure(client.default_target().id, [], SPEC) == []


def test_what_the_programs_raise_ends_the_campaign(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    def programs() -> Iterator[ProgramFile]:
        yield small_programs[1]
        raise RuntimeError("no second program")

    with pytest.raises(RuntimeError, match="no second program"):
        client.measure(client.default_target().id, programs(), SPEC)


def test_a_measurement_looked_up_says_its_latency_and_whether_it_is_steadied(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = client.default_target().id
    outcomes = client.measure(target, small_programs, SPEC)
    ids = [outcome.measurement_id for outcome in outcomes if isinstance(outcome, MeasuredLatency)]
    client.refit(target)
    estimates = client.look_up(ids[::-1])
    for measurement_id, estimate in zip(ids[::-1], estimates, strict=True):
        summary = summarize(client.measurement(measurement_id).visits)
        assert summary is not None
        assert estimate.source is Source.MEASURED
        assert estimate.steadied
        assert estimate.raw == summary.raw == client.stored.find(measurement_id).raw
        assert 0.5 * summary.latency_ns <= estimate.latency_ns <= 2 * summary.latency_ns
    with pytest.raises(NotFound, match="nothing"):
        client.look_up([*ids, "nothing"])
    assert client.look_up([]) == []


def test_few_programs_are_taken_ahead_of_their_outcomes(
    client: LatencyClient, small_programs: list[ProgramFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latlab.client.upload_window.MAX_AHEAD", 2)
    taken, ended = [0], [0]
    ahead = []

    def programs() -> Iterator[ProgramFile]:
        for file in small_programs:
            taken[0] += 1
            ahead.append(taken[0] - ended[0])
            yield file

    def note(visits: int, done: int) -> None:
        ended[0] = done

    client.measure(client.default_target().id, programs(), SPEC, fresh=True, on_progress=note)
    assert taken[0] == len(small_programs)
    assert max(ahead) <= 4  # the two, the one that waits for room, and one not yet told


def test_predictions_come_from_what_was_measured(
    home: LabHome, client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = client.default_target().id
    client.measure(target, small_programs, SPEC)
    assert client.refit(target)[0] >= len(small_programs)
    [estimate] = client.predict(target, [small_programs[0].program.kernels])
    assert estimate.source is Source.LOOKUP
    assert 0 < estimate.lower_ns <= estimate.latency_ns <= estimate.upper_ns
    unmeasured = next(s.target for s in client.targets() if s.target.threads != 1)
    [transferred] = client.predict(unmeasured.id, [small_programs[0].program.kernels])
    assert (transferred.source, transferred.samples) == (Source.TRANSFER, 0)
    assert transferred.upper_ns / transferred.lower_ns > estimate.upper_ns / estimate.lower_ns
    shape = (1, 64, 64, 64)
    stranger = (*small_programs[0].program.kernels, Kernel("warp", (shape,), shape))
    with pytest.raises(UnknownKernelKinds, match="warp"):
        client.predict(target, [stranger], strict=True)
    [guessed] = client.predict(target, [stranger])
    assert (guessed.source, guessed.unknown_kinds) == (Source.BOUND, ("warp",))
    assert guessed.latency_ns > estimate.latency_ns
    assert guessed.upper_ns > 1.5 * guessed.lower_ns
    # What fits is in a process of its own: the daemon has loaded what predicts, and no more.
    loaded = Path(f"/proc/{_daemon_pid(home)}/maps").read_text()
    assert "scipy" in loaded
    assert "sklearn" not in loaded
    assert "torch" not in loaded
    many = client.predict(target, [small_programs[0].program.kernels] * 10_000)
    assert many == [replace(estimate, age_s=many[0].age_s)] * 10_000
    networks = client.measured_networks(target)
    assert all(network.memory_probe_ns for network in networks)
    assert {network.kernels for network in networks} >= {
        file.program.kernels for file in small_programs
    }
    by_id = client.measured_networks_by_id(target)
    assert list(by_id.values()) == networks
    found = client.look_up(list(by_id))
    assert all(latency.source is Source.MEASURED for latency in found)
    assert client.look_up([]) == []


@pytest.mark.parametrize("wanted", ["nowhere", ""])
def test_an_unknown_target_is_named_and_the_known_ones_listed(
    client: LatencyClient, small_programs: list[ProgramFile], wanted: str
) -> None:
    with pytest.raises(NotFound, match=client.default_target().name):
        client.measure(wanted, small_programs[:1], SPEC)
    with pytest.raises(NotFound):
        client.predict(wanted, [])


def test_what_is_no_program_is_refused(client: LatencyClient, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="not an ExecuTorch program"):
        client.measure(client.default_target().id, [junk(tmp_path)], SPEC)


def test_a_shape_that_the_program_does_not_take_is_refused(
    client: LatencyClient, small_programs: list[ProgramFile], tmp_path: Path
) -> None:
    # The same bytes with another shape are another upload to another lab's eyes, so alter
    # the bytes' tail, which no program reads.
    data = small_programs[0].path.read_bytes() + b"\0" * 16
    program = replace(
        small_programs[0].program,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        inputs=(TensorSpec((1, 3, 7, 7)),),
    )
    (tmp_path / "other.pte").write_bytes(data)
    with pytest.raises(InvalidRequest, match="takes the inputs 1x3x32x32:float32, not 1x3x7x7"):
        client.measure(
            client.default_target().id, [ProgramFile(program, tmp_path / "other.pte")], SPEC
        )


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"sha256": "00" * 32}, InvalidRequest, "hashes to"),
        ({"size_bytes": 20}, InvalidRequest, "ended after 13 of 20"),
        ({"size_bytes": 5}, InvalidRequest, "longer than the 5"),
        ({"size_bytes": MAX_PROGRAM_BYTES + 1}, TooLarge, "limit"),
    ],
)
def test_a_bad_upload_is_refused(
    client: LatencyClient,
    tmp_path: Path,
    changed: dict[str, Any],
    error: type[LabError],
    message: str,
) -> None:
    file = junk(tmp_path)
    bad = replace(file, program=replace(file.program, **changed))
    with pytest.raises(error, match=message):
        client.measure(client.default_target().id, [bad], SPEC)


def test_a_wrong_token_gets_nothing(home: LabHome, client: LatencyClient) -> None:
    address = json.loads(home.daemon_file.read_text())["address"]
    with pytest.raises(Unauthenticated), LatencyClient(address, "wrong") as stranger:
        stranger.targets()


def test_health_is_served(home: LabHome, client: LatencyClient) -> None:
    address = json.loads(home.daemon_file.read_text())["address"]
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="latlab.v1.LatencyService"),
            metadata=(("authorization", f"Bearer {home.token()}"),),
            timeout=10,
        )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_no_lab_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="latlab lab up"):
        LatencyClient.connect(tmp_path)


def test_a_newer_database_stops_the_lab_with_the_reason(tmp_path: Path) -> None:
    home = LabHome(tmp_path / "home")
    home.create()
    database = Database(sqlite_url(home.root / "lab.db"))
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(LabError, match="newer"):
        lab_process.up(home)


def _daemon_pid(home: LabHome) -> int:
    pid: int = json.loads(home.daemon_file.read_text())["pid"]
    return pid


def _agent_pid(home: LabHome) -> int:
    pid: int = json.loads((home.agent / "agent.json").read_text())["pid"]
    return pid


def _runner_pid(home: LabHome) -> int:
    """The agent's child; raises while there is none."""
    children = Path(f"/proc/{_agent_pid(home)}/task")
    for task in children.iterdir():
        for pid in (task / "children").read_text().split():
            return int(pid)
    raise ProcessLookupError


@pytest.mark.parametrize("victim", [_runner_pid, _agent_pid, _daemon_pid])
def test_a_kill_loses_nothing_that_was_measured(
    home: LabHome,
    client: LatencyClient,
    small_programs: list[ProgramFile],
    victim: Callable[[LabHome], int],
) -> None:
    target = client.default_target().id
    programs, progressed = small_programs[:3], threading.Event()

    def measure() -> None:
        with LatencyClient.connect(home.root) as mine, contextlib.suppress(Unavailable):
            mine.measure(
                target, programs, LONG, fresh=True, on_progress=lambda *_: progressed.set()
            )

    measuring = threading.Thread(target=measure)
    measuring.start()
    assert progressed.wait(60)
    _kill(home, victim)
    measuring.join(timeout=120)
    assert not measuring.is_alive()

    answered = _answered_run_ids(home)
    lab_process.up(home)
    with LatencyClient.connect(home.root) as again:
        outcomes = again.measure(target, programs, LONG)
        _wait_for_idle(again)
    assert all(isinstance(outcome, MeasuredLatency) for outcome in outcomes)
    assert answered <= _answered_run_ids(home)
    assert all(count == 1 for count in ends_of_jobs(home).values())


def _wait_for_idle(client: LatencyClient) -> None:
    """Until the jobs that the killed daemon had taken have ended too."""
    deadline_s = time.monotonic() + 120
    while any(status.queued_jobs for status in client.devices()):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def _kill(home: LabHome, victim: Callable[[LabHome], int]) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):
            os.kill(victim(home), signal.SIGKILL)
            return
    raise AssertionError("nothing to kill came up")


def _answered_run_ids(home: LabHome) -> set[str]:
    database = Database(sqlite_url(home.root / "lab.db"))
    with database.reading() as connection:
        rows = connection.execute(text("SELECT run_id FROM visits WHERE wall_ns IS NOT NULL"))
        found = set(rows.scalars())
    database.close()
    return found


def test_a_drained_device_is_shown_and_its_jobs_say_so(
    client: LatencyClient, small_programs: list[ProgramFile]
) -> None:
    target = client.default_target().id
    client.set_note("local", "a note")
    client.set_drained("local", True)
    outcomes: list[Outcome] = []
    measuring = threading.Thread(
        target=lambda: outcomes.extend(
            client.measure(target, small_programs[:1], SPEC, fresh=True, priority=2)
        )
    )
    measuring.start()
    deadline_s = time.monotonic() + 60
    while not (jobs := client.jobs(10)[0]) or jobs[0].waits_for != "local: drained":
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert [job.priority for job in jobs] == [2]
    [status] = client.devices()
    assert (status.state.phase, status.note) == (DevicePhase.DRAINED, "a note")
    [impatient] = client.measure(target, small_programs[:1], SPEC, fresh=True, patience_s=0.5)
    assert isinstance(impatient, Failure)
    assert impatient.kind is FailureKind.DEVICE_LOST
    assert "latlab jobs" in impatient.message
    client.set_drained("local", False)
    measuring.join(timeout=60)
    assert isinstance(outcomes[0], MeasuredLatency)
    past = client.history("local")
    assert past.connected_ns > 0
    assert [event.kind.value for event in past.events][:2] == ["undrained", "drained"]
    with pytest.raises(NotFound, match="status"):
        client.history("nobody")


def test_going_down_ends_daemon_and_agent(home: LabHome, client: LatencyClient) -> None:
    agent = LockedProcess(home.agent / "agent.json", home.agent / "lock")
    assert agent.info() is not None
    assert lab_process.down(home) is True
    assert lab_process.down(home) is False
    assert agent.info() is None
    with pytest.raises(Unavailable):
        LatencyClient.connect(home.root)
