"""house.predict_*, house.refit_disturbs, house.wire_bytes_per_measurement: what predicting and
measuring cost while other things go on. Part of bench_house."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import grpc
import numpy as np

from host.database import devices, jobs, programs
from host.database.engine import Database
from host.database.summaries import put_summary
from host.home import lab_process
from host.home.paths import LabHome
from host.measuring.comparison import compare
from host.measuring.statistics import VERSION, summarize
from host.predicting.refit_process import FIT_TIMEOUT_S
from latlab.client.client import LatencyClient
from latlab.client.connection.local_lab import find_lab
from latlab.convert.latency import spec_to_message
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import LabError
from latlab.domain.failure import Failure
from latlab.domain.job import Job
from latlab.domain.kernel import Kernel
from latlab.domain.measurement import Visit
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.domain.target import Target
from latlab.export import ExportPool, ProgramCache
from latlab.v1 import latency_pb2
from latlab.v1.latency_pb2_grpc import LatencyServiceStub
from search.latency.networks import export_spec
from search.space.kernels import kernels
from search.space.space import mnasnet_space
from search.space.zoo import ZOO
from tests.bench.figures import at_most, quick, report, within
from tests.host.fake_lab import DEVICE, TARGET
from tests.host.stored_lab import visit
from tests.latency_models.synthetic import Machine

SEED = 20261
CALLS = 1_000
KNOWN = 60  # measurements of the target that is predicted
MANY = 10_000  # measurements of the target that is refitted meanwhile
DISTINCT = 1_000  # networks among them
PAIRS = 20
BUSY = Target("busy", "os", "1", "r", "xnnpack", 1, "all")
ONCE = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0, spacing_ns=0)

Network = tuple[Kernel, ...]


def journeys(folder: Path) -> None:
    """Report the figures, on a lab of this machine that holds made-up measurements too."""
    home = LabHome(folder / "home")
    home.create()
    rng, space = np.random.default_rng(SEED), mnasnet_space()
    networks = [kernels(space.resolve(space.sample(rng))) for _ in range(KNOWN + DISTINCT + CALLS)]
    known, distinct, asked = (
        networks[:KNOWN],
        networks[KNOWN : KNOWN + DISTINCT],
        networks[KNOWN + DISTINCT :],
    )
    database = Database(home.database_url)
    fill(database, TARGET, known, KNOWN)
    fill(database, BUSY, distinct, quick(MANY))
    database.close()
    lab_process.up(home)
    try:
        with (
            LatencyClient.connect(home.root) as client,
            ExportPool(ProgramCache(home.exports)) as pool,
        ):
            [program] = pool.export_all([export_spec(ZOO["mnasnet-a1"])])
            assert isinstance(program, ProgramFile)
            predictions(client, asked, program)
            refits(client, program)
            wire_bytes(home, client, program)
    finally:
        lab_process.down(home)


def fill(database: Database, target: Target, networks: list[Network], count: int) -> None:
    """Store so many measurements of the networks, as the lab would have written them."""
    machine, spec = Machine(seed=SEED), ONCE
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, target)
        for number in range(count):
            network = machine.measure(networks[number % len(networks)], number)
            sha256 = hashlib.sha256(str(network.kernels).encode()).hexdigest()
            inputs = (TensorSpec((1, 3, 224, 224)),)
            program = Program(sha256, 1, "xnnpack", inputs, network.kernels, (), "bench")
            if number < len(networks):
                programs.add_program(connection, program)
            job = Job(uuid.uuid4().hex, target.id, sha256, spec, number)
            jobs.add_job(connection, job)
            latency_ns = round(network.latency_ns)
            visits = [visit(latency_ns), visit(latency_ns, traced=True)]
            for each in visits:
                run_id = uuid.uuid4().hex
                jobs.ask_visit(connection, run_id, job.id, DEVICE.serial, each.traced, number)
                jobs.answer_visit(connection, run_id, each, number)
            id_ = uuid.uuid4().hex
            jobs.end_with_measurement(connection, job, id_, network.kernel_ns, number)
            put_summary(connection, id_, VERSION, summarize(visits) or "no visit is clean")


def predictions(client: LatencyClient, networks: list[Network], program: ProgramFile) -> None:
    """Predict one network a call: idle, during a refit, and during visits."""
    client.predict(TARGET.id, networks[:1])  # the fit is not what is timed
    idle_ms = timed_ms(client, networks[: quick(CALLS)])
    conditions: dict[str, object] = {"calls": len(idle_ms), "seed": SEED}
    conditions["kernels"] = round(float(np.mean(list(map(len, networks)))))
    p50_ms, p99_ms = quantiles(idle_ms)
    report("house.predict_p50_ms", p50_ms, "ms", at_most(2), **conditions)
    report("house.predict_p99_ms", p99_ms, "ms", at_most(6), **conditions)

    with beside(partial(fit_many, client)) as refit:
        busy_ms = timed_while(client, networks, refit)
    p50_ms, p99_ms = quantiles(busy_ms)
    conditions = {"calls": len(busy_ms), "p50_ms": p50_ms, "measurements": quick(MANY)}
    report("house.predict_p99_ms_during_refit", p99_ms, "ms", at_most(20), **conditions)

    target = client.default_target().id
    with (
        beside(lambda: client.measure(target, [program], fresh=True)) as measuring,
        beside(lambda: client.refit(TARGET.id)),
    ):
        busy_ms = timed_while(client, networks, measuring)
    p50_ms, p99_ms = quantiles(busy_ms)
    conditions = {"calls": len(busy_ms), "p50_ms": p50_ms}
    report("house.predict_p99_ms_during_visit", p99_ms, "ms", at_most(20), **conditions)


def fit_many(client: LatencyClient) -> None:
    """Return once the busy target is fitted. That may take longer than a call."""
    deadline_s = time.monotonic() + FIT_TIMEOUT_S
    with suppress(LabError):
        client.refit(BUSY.id)
    while not client.target_status(BUSY).fitted_measurements:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{quick(MANY)} measurements were not fitted in {FIT_TIMEOUT_S:g} s")
        time.sleep(1.0)


def refits(client: LatencyClient, program: ProgramFile) -> None:
    """Measure one program with refits due all the time and without, in turn."""
    target, pairs = client.default_target().id, quick(PAIRS, least=8)
    disturbed: list[Visit] = []
    alone: list[Visit] = []
    for _ in range(pairs):
        going = threading.Event()
        going.set()
        with beside(partial(refit_while, client, going)):
            disturbed.append(one_visit(client, target, program))
            going.clear()
        alone.append(one_visit(client, target, program))
    found = compare(disturbed, alone)
    if isinstance(found, Failure):
        raise SystemExit(f"house.refit_disturbs: {found.message}")
    report(
        "house.refit_disturbs",
        round(found.ratio, 4),
        "ratio",
        within(1, 0.01),
        pairs=found.pairs,
        lower=round(found.lower, 4),
        upper=round(found.upper, 4),
    )


def refit_while(client: LatencyClient, going: threading.Event) -> None:
    while going.is_set():
        client.refit(TARGET.id)


def one_visit(client: LatencyClient, target: str, program: ProgramFile) -> Visit:
    [outcome] = client.measure(target, [program], ONCE, fresh=True)
    if isinstance(outcome, Failure):
        raise SystemExit(f"MnasNet-A1 was not measured: {outcome.message}")
    # A disturbed visit is made again.
    return client.measurement(outcome.measurement_id).visits[-1]


def wire_bytes(home: LabHome, client: LatencyClient, program: ProgramFile) -> None:
    """Count the bytes of the answers that a search needs for one measurement."""
    target = client.default_target().id
    spec = BenchmarkSpec()
    [outcome] = client.measure(target, [program], spec)
    if isinstance(outcome, Failure):
        raise SystemExit(f"MnasNet-A1 was not measured: {outcome.message}")
    address, token = find_lab(home.root)
    metadata = (("authorization", f"Bearer {token}"),)
    sizes = []
    with grpc.insecure_channel(address) as channel:
        stub = LatencyServiceStub(channel)
        for without_visits in (False, True):
            request = latency_pb2.MeasureRequest(
                target=target,
                program_sha256=[outcome.program_sha256],
                spec=spec_to_message(spec),
                without_visits=without_visits,
            )
            events = stub.Measure(iter([request]), metadata=metadata, timeout=60)
            sizes.append(sum(event.ByteSize() for event in events))
        # Before, the search asked for the estimate again.
        ids = latency_pb2.LookUpRequest(measurement_ids=[outcome.measurement_id])
        sizes[0] += stub.LookUp(ids, metadata=metadata, timeout=60).ByteSize()
    before, now = sizes
    name = "house.wire_bytes_per_measurement"
    report(name, now, "bytes", at_most(before / 10), before=before)


def timed_ms(client: LatencyClient, networks: list[Network]) -> list[float]:
    """Time one call for each network."""
    return [timed_call_ms(client, network) for network in networks]


def timed_call_ms(client: LatencyClient, network: Network) -> float:
    start_s = time.perf_counter()
    client.predict(TARGET.id, [network])
    return (time.perf_counter() - start_s) * 1e3


def timed_while(
    client: LatencyClient, networks: list[Network], other: threading.Thread
) -> list[float]:
    """Time calls, one network after another, until the other work has ended."""
    taken_ms: list[float] = []
    while other.is_alive():
        taken_ms.append(timed_call_ms(client, networks[len(taken_ms) % len(networks)]))
        time.sleep(0.005)
    return taken_ms


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Do other work in a thread, and wait for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join()


def quantiles(values_ms: list[float]) -> tuple[float, float]:
    """Return median and 99th percentile."""
    return round(float(np.median(values_ms)), 2), round(float(np.quantile(values_ms, 0.99)), 2)
