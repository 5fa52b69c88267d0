"""Write a database of many measurements on one target, as a daemon would have stored them.

The networks are random ones of a search space, on the simulated machine of the models' tests.
Measurements have their summaries and kernel times, but no visits: no fit reads those.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from host.database import devices, jobs, schema
from host.database.engine import Database
from host.database.raw import pack_float64, pack_int64
from host.measuring.statistics import VERSION
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.kernel import Kernel
from latlab.domain.target import Target
from tests.latency_models.synthetic import Machine, random_networks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Row = dict[str, object]

TARGET = Target("simulated", "os", "runtime", "runner", "xnnpack", 1, "all")
SPEC_TEXT = jobs.spec_to_text(BenchmarkSpec())
NETWORKS_A_WRITE = 500
MINUTE_NS = 60 * 10**9

VISITS = 5
MOOD = 0.03  # of a visit, as the simulated machine's
NOISE = 0.005  # of a kernel's mean over the traced runs of one measurement
QUIET_PROBE_NS = 3e6
DELAY_NS_PER_BYTE = 0.05  # if the probe takes twice as long


@dataclass(frozen=True)
class Measured:
    """A measurement, whose network is given by rows of a table of kernels.

    Attributes:
        kernel_ns: (kernels,) the time of each kernel.
        visits_ns: (visits,) the latencies of the visits, the fastest first.
        memory_probe_ns: The probe beside the untraced visits.
    """

    kernel_ns: FloatArray
    visits_ns: FloatArray
    memory_probe_ns: float

    @property
    def latency_ns(self) -> float:
        """The median of the visits."""
        return float(self.visits_ns[VISITS // 2])


class ManyNetworks:
    """Random networks, and how long they take.

    Each kernel is timed by the simulated machine once, so that a million measurements take
    seconds.

    Attributes:
        table: The distinct kernels.
        networks: For each network, the (kernels,) rows of its kernels.
    """

    def __init__(self, count: int, seed: int) -> None:
        rows: dict[Kernel, int] = {}
        self.networks: list[IntArray] = []
        for network in random_networks(count, seed):
            indices = [rows.setdefault(kernel, len(rows)) for kernel in network]
            self.networks.append(np.array(indices, dtype=np.int64))
        self.table = list(rows)
        self._rng = np.random.default_rng(seed)
        self._kernel_ns = np.array(list(map(Machine().kernel_ns, self.table)))
        self._moved = np.array([kernel.moved_bytes for kernel in self.table])

    def kernels(self, number: int) -> tuple[Kernel, ...]:
        """Return the kernels of a network."""
        return tuple(self.table[row] for row in self.networks[number])

    def true_ns(self, number: int) -> float:
        """Return the latency of a network on a quiet machine."""
        return 30_000 + 0.97 * float(self._kernel_ns[self.networks[number]].sum())

    def measure(self, number: int) -> Measured:
        """Measure a network once, beside memory that is busy now and then."""
        rows, rng = self.networks[number], self._rng
        probe_ns = QUIET_PROBE_NS * rng.uniform(1.0, 1.4)
        delay_ns = DELAY_NS_PER_BYTE * self._moved[rows].sum() * (probe_ns / QUIET_PROBE_NS - 1)
        visits_ns = self.true_ns(number) * rng.lognormal(0, MOOD, VISITS) + delay_ns
        mood = rng.lognormal(0, MOOD / np.sqrt(2))  # of two traced visits
        kernel_ns = self._kernel_ns[rows] * mood * rng.lognormal(0, NOISE, len(rows))
        return Measured(kernel_ns, np.sort(visits_ns), probe_ns)


def write_networks(database: Database, networks: ManyNetworks) -> None:
    """Store the target, the kernels, and a program of each network."""
    with database.writing() as connection:
        devices.register_target(connection, TARGET)
        rows = [
            {"id": row + 1, "text": str(kernel), "fields": asdict(kernel)}
            for row, kernel in enumerate(networks.table)
        ]
        connection.execute(schema.kernels.insert(), rows)
    count = len(networks.networks)
    for start in range(0, count, NETWORKS_A_WRITE):
        with database.writing() as connection:
            numbers = range(start, min(count, start + NETWORKS_A_WRITE))
            connection.execute(
                schema.programs.insert(), [_program_row(networks, number) for number in numbers]
            )


def measure_networks(
    database: Database, networks: ManyNetworks, numbers: range, times: int, since_unix_ns: int
) -> None:
    """Measure each of some networks several times, one minute after the other.

    The measurements of a network are spread over the whole time, as those of a lab are.
    """
    for start in range(0, len(numbers), NETWORKS_A_WRITE):
        rows = _Rows([], [], [], [])
        for place in range(start, min(len(numbers), start + NETWORKS_A_WRITE)):
            for time in range(times):
                unix_ns = since_unix_ns + (time * len(numbers) + place) * MINUTE_NS
                rows.add(networks, numbers[place], unix_ns, time)
        with database.writing() as connection:
            rows.write(connection)


@dataclass(frozen=True)
class _Rows:
    """Rows of tables that measurements take."""

    jobs: list[Row]
    measurements: list[Row]
    summaries: list[Row]
    kernel_timings: list[Row]

    def add(self, networks: ManyNetworks, number: int, unix_ns: int, time: int) -> None:
        """Measure a network and add the rows of the measurement."""
        measured = networks.measure(number)
        id_ = hashlib.sha256(f"{number} {unix_ns} {time}".encode()).hexdigest()[:32]
        self.jobs.append(
            {
                "id": id_,
                "target_id": TARGET.id,
                "program_sha256": _sha256(number),
                "spec": SPEC_TEXT,
                "created_unix_ns": unix_ns,
                "ended_unix_ns": unix_ns,
            }
        )
        self.measurements.append(
            {"id": id_, "job_id": id_, "unix_ns": unix_ns, "learned_target_id": TARGET.id}
        )
        middle_ns, highest_ns = measured.latency_ns, float(measured.visits_ns[-1])
        self.summaries.append(
            {
                "measurement_id": id_,
                "version": VERSION,
                "latency_ns": middle_ns,
                "lower_ns": float(measured.visits_ns[0]),
                "upper_ns": highest_ns,
                "clean_visits": VISITS,
                "visits": VISITS,
                "median_ns": middle_ns,
                "p90_ns": highest_ns,
                "p99_ns": highest_ns,
                "runs": 20 * VISITS,
                "memory_probe_ns": measured.memory_probe_ns,
                "traced_memory_probe_ns": QUIET_PROBE_NS,
                "unusable": "",
            }
        )
        self.kernel_timings.append(
            {
                "measurement_id": id_,
                "kernel_ids": pack_int64((networks.networks[number] + 1).tolist()),
                "mean_ns": pack_float64(measured.kernel_ns.tolist()),
            }
        )

    def write(self, connection: Connection) -> None:
        """Store the rows."""
        for table in (schema.jobs, schema.measurements, schema.summaries, schema.kernel_timings):
            connection.execute(table.insert(), getattr(self, table.name))


def _program_row(networks: ManyNetworks, number: int) -> Row:
    return {
        "sha256": _sha256(number),
        "size_bytes": 1,
        "backend": TARGET.backend,
        "input_shapes": [[1, 3, 224, 224]],
        "kernel_ids": pack_int64((networks.networks[number] + 1).tolist()),
        "undelegated": [],
        "exporter": "synthetic",
    }


def _sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()
