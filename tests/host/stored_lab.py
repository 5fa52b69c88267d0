"""A lab that serves what is stored: the real services over gRPC, and a device that answers at
once."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from sqlalchemy import Connection

from host.database import devices, jobs, programs
from host.database.engine import Database
from host.devices.fleet import Fleet
from host.devices.worker import DeviceWorker
from host.home.paths import LabHome
from host.home.result_quarantine import ResultQuarantine
from host.jobs.dispatcher import Dispatcher
from host.predicting.fitting import fit_measured
from host.predicting.predictors import Predictors
from host.predicting.summaries import Summarizer
from host.services.access.access import Access
from host.services.lab import Lab
from host.services.server import serve_lab
from host.services.tls import listen
from latlab.client.client import LatencyClient
from latlab.common.program_store import ProgramStore
from latlab.domain.access.limits import UNLIMITED, OwnerLimits
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.job import Job
from latlab.domain.kernel import Kernel
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Conditions, KernelTrace, Visit
from latlab.domain.program import Program, ProgramFile, TensorSpec
from latlab.export import ExportPool, ExportSpec
from search.latency.networks import export_spec
from search.space.architecture import Architecture
from search.space.kernels import kernels
from search.space.space import Reference, Space
from tests.host.fake_lab import DEVICE, TARGET, FakeDevice
from tests.latency_models.synthetic import Machine

SPEC = BenchmarkSpec(min_visits=1, max_visits=1, traced_visits=0, spacing_ns=0)
RUNS = 10
ORDINARY = 12
TOKEN = "the-token-of-these-tests"

Describe = Callable[[Program, Path], Program]


@dataclass(frozen=True)
class Stored:
    """An ordinary measurement."""

    id: str
    architecture: Architecture
    file: ProgramFile
    network: MeasuredNetwork


def tiny_space() -> Space:
    """Networks of a dozen kernels, which a predictor is fitted on in no time."""
    return Space(
        name="tiny",
        stem_channels=8,
        head_channels=16,
        references=(Reference(8, 2, 1), Reference(16, 2, 1)),
        convolutions=(("dconv", 1),),
        kernel_sizes=(3, 5),
        se_ratios=(0.0,),
        skips=("none",),
        filters=(1.0, 2.0),
        layers=(0,),
    )


def tiny_networks(count: int) -> list[Architecture]:
    rng, space = np.random.default_rng(0), tiny_space()
    found: dict[Architecture, None] = {}
    while len(found) < count:
        found[space.resolve(space.sample(rng))] = None
    return list(found)


def program_file(folder: Path, name: str, of: Sequence[Kernel]) -> ProgramFile:
    """Its bytes are its name."""
    data = name.encode()
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / f"{sha256}.pte"
    path.write_bytes(data)
    return ProgramFile(
        Program(sha256, len(data), "xnnpack", (TensorSpec((1, 8)),), tuple(of), (), "test"), path
    )


def visit(latency_ns: int, *, traced: bool = False, probe_ns: int | None = 3_000_000) -> Visit:
    """As quiet as can be."""
    now = Conditions(unix_ns=1, temperature_c=40.0, memory_probe_ns=probe_ns)
    series = (latency_ns,) * RUNS
    traces = (KernelTrace("Add (ND)", (1_000,) * RUNS),) if traced else ()
    return Visit("", traced, series, series, (0,) * RUNS, 10, 1, 1, now, now, traces)


def write(
    connection: Connection,
    program: Program,
    visits: Iterable[Visit],
    kernel_ns: Sequence[float] | None,
    unix_ns: int,
) -> str:
    """As the lab writes a measurement, unchecked; its id."""
    programs.add_program(connection, program)
    job = Job(uuid.uuid4().hex, TARGET.id, program.sha256, SPEC, unix_ns)
    jobs.add_job(connection, job)
    for one in visits:
        run_id = uuid.uuid4().hex
        jobs.ask_visit(connection, run_id, job.id, DEVICE.serial, one.traced, unix_ns)
        jobs.answer_visit(connection, run_id, replace(one, run_id=run_id), unix_ns)
    measurement_id = uuid.uuid4().hex
    jobs.end_with_measurement(connection, job, measurement_id, kernel_ns, unix_ns)
    return measurement_id


def write_ordinary(database: Database, folder: Path, count: int = ORDINARY) -> list[Stored]:
    """Different networks, measured and traced beside memory that is busy now and then."""
    machine, rng = Machine(seed=0), np.random.default_rng(0)
    found = []
    with database.writing() as connection:
        devices.register(connection, DEVICE, "fake", 1)
        devices.register_target(connection, TARGET)
        for number, architecture in enumerate(tiny_networks(count)):
            network = machine.measure(kernels(architecture), number)
            file = program_file(folder, f"ordinary {number}", network.kernels)
            probe_ns = round(3e6 * rng.uniform(0.9, 1.3))
            visits = [visit(round(network.latency_ns), probe_ns=probe_ns) for _ in range(3)]
            visits.append(visit(round(network.latency_ns), traced=True, probe_ns=probe_ns))
            id_ = write(connection, file.program, visits, network.kernel_ns, number)
            found.append(Stored(id_, architecture, file, network))
    return found


class StoredPool:
    """Exports what was stored, instead of exporting."""

    def __init__(self, stored: Iterable[Stored]) -> None:
        self._files = {export_spec(one.architecture).key: one.file for one in stored}

    def export_each(self, specs: Iterable[ExportSpec]) -> Iterator[tuple[ExportSpec, ProgramFile]]:
        for spec in specs:
            yield spec, self._files[spec.key]

    @classmethod
    def of(cls, stored: Iterable[Stored]) -> ExportPool:
        return cast(ExportPool, cls(stored))


def as_announced(program: Program, path: Path) -> Program:
    """Believes the client, since the bytes of `program_file` say nothing."""
    return program


@contextmanager
def stored_lab(
    database: Database, folder: Path, describe: Describe = as_announced
) -> Iterator[tuple[LatencyClient, FakeDevice]]:
    """A client of what `served` serves."""
    with (
        served(database, folder, describe) as (address, device),
        LatencyClient(address, TOKEN) as client,
    ):
        yield client, device


@contextmanager
def served(
    database: Database,
    folder: Path,
    describe: Describe = as_announced,
    limits: OwnerLimits = UNLIMITED,
    home: LabHome | None = None,
) -> Iterator[tuple[str, FakeDevice]]:
    """Serves the database's target on a device that takes 1 ms for every network. Its
    address. With a home it listens with TLS too, as that says."""
    device, quiet = FakeDevice(), threading.Lock()
    summarizer = Summarizer(database)
    predictors = Predictors(database, summarizer, quiet, fit_measured)
    dispatcher = Dispatcher(database, predictors.measured, limits)
    store = ProgramStore(folder / "programs")
    quarantine = ResultQuarantine(folder / "quarantine")
    fleet = Fleet(
        lambda way: DeviceWorker(way, database, dispatcher, store, quiet, "test", quarantine)
    )
    fleet.add(device)
    predictors.start()
    lab = Lab(
        database, dispatcher, store, summarizer, predictors, fleet, lambda address: None, describe
    )
    access = Access(database, TOKEN, limits)
    server, port = serve_lab(lab, access)
    if home is not None:
        listen(server, home)
    server.start()
    try:
        yield f"127.0.0.1:{port}", device
    finally:
        server.stop(None).wait()
        access.close()
        predictors.stop()
        fleet.stop()
