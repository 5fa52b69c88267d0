"""Read stored measurements from the database.

Rows may be damaged, written by a newer version, or hold numbers that no network can have taken.
Such a measurement is Unusable. It is logged once, and the others are not affected.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from host.database import summaries as summary_rows
from host.database.jobs import (
    VISIT_COLUMNS,
    failure_from_row,
    outcome_from_row,
    spec_from_text,
    spec_to_text,
)
from host.database.programs import KernelLists
from host.database.raw import reading, unpack_float64
from host.database.schema import (
    failures,
    jobs,
    kernel_timings,
    measurements,
    programs,
    summaries,
    visits,
)
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.checks.visit import visit_fault
from latlab.domain.errors import UnreadableRow
from latlab.domain.failure import Failure, FailureKind
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Measurement, Summary, Unusable, Visit

log = logging.getLogger(__name__)

# Measurements that may be answered again and learned from.
TRUSTED = (
    measurements.c.suspect.is_(False)
    & measurements.c.is_excluded.is_(False)
    & jobs.c.is_sentinel.is_(False)
)

_JOINED = select(
    measurements, jobs.c.target_id, jobs.c.program_sha256, jobs.c.spec, jobs.c.is_sentinel
).join(jobs, measurements.c.job_id == jobs.c.id)

# Kernels and their times are read for so many measurements at a time.
_BATCH = 200
_PAGE = 1_000  # a database limits the parameters of a query


@dataclass(frozen=True)
class UsableMeasurement:
    """A measurement without its visits, but with their summary and the measured network."""

    id: str
    target_id: str
    program_sha256: str
    spec: BenchmarkSpec
    summary: Summary
    network: MeasuredNetwork
    program_bytes: int

    @property
    def untraced(self) -> bool:
        """True if it has no kernel times although they were asked for."""
        return self.spec.traced_visits > 0 and self.network.kernel_ns is None


def get_measurement(connection: Connection, measurement_id: str) -> Measurement | None:
    """Return a measurement with its visits; None if there is none. It need not be usable.

    Raises UnreadableRow.
    """
    row = connection.execute(_JOINED.where(measurements.c.id == measurement_id)).one_or_none()
    return None if row is None else _measurement(connection, row)


def outcome_of(connection: Connection, job_id: str) -> Measurement | Failure:
    """Return how a job ended. A measurement that cannot be read is a Failure that says so."""
    row = connection.execute(_JOINED.where(measurements.c.job_id == job_id)).one_or_none()
    if row is not None:
        try:
            return _measurement(connection, row)
        except UnreadableRow as error:
            return Failure(FailureKind.AGENT_ERROR, str(error))
    failure = connection.execute(select(failures).where(failures.c.job_id == job_id)).one()
    return failure_from_row(failure.kind, failure.message)


def find_measurement(
    connection: Connection, target_id: str, program_sha256: str, spec: BenchmarkSpec
) -> Measurement | None:
    """Return the newest usable measurement of this program, target and spec; None without one.

    It is neither suspect, nor excluded, nor a sentinel's.
    """
    same = (
        jobs.c.target_id == target_id,
        jobs.c.program_sha256 == program_sha256,
        jobs.c.spec == spec_to_text(spec),
    )
    for found in stored(connection, TRUSTED, *same, newest_first=True):
        if isinstance(found, UsableMeasurement):
            try:
                return get_measurement(connection, found.id)
            except UnreadableRow as error:  # its visits were damaged after they were summarised
                found = Unusable(found.id, found.target_id, str(error))
        warn_once(found)
    return None


def trusted_ids(connection: Connection, target_id: str) -> list[str]:
    """Return the ids of the target's measurements that may be learned from, the oldest first."""
    query = select(measurements.c.id).join(jobs, measurements.c.job_id == jobs.c.id)
    query = query.where(jobs.c.target_id == target_id, TRUSTED)
    return list(connection.scalars(query.order_by(measurements.c.unix_ns, measurements.c.id)))


def measured_networks(
    connection: Connection, target_id: str, ids: Sequence[str] | None = None
) -> Iterator[tuple[str, str, MeasuredNetwork]]:
    """Yield (program SHA-256, measurement id, network) of every measurement to learn from.

    The oldest comes first. Left out are measurements that are suspect, excluded, a sentinel's,
    of sustained load, or unusable.

    Args:
        connection: A connection to the database.
        target_id: The target.
        ids: The measurements to look at, the oldest first; None for all.
    """
    kernel_lists = KernelLists(connection)
    for condition in _pages(target_id, ids):
        for found in stored(connection, TRUSTED, condition, kernel_lists=kernel_lists):
            if isinstance(found, Unusable):
                warn_once(found)
            elif found.target_id == target_id and not found.spec.visit.is_sustained:
                yield found.program_sha256, found.id, found.network


def _pages(target_id: str, ids: Sequence[str] | None) -> Iterator[ColumnElement[bool]]:
    """Yield the condition of each page of measurements.

    Pages of ids do not name the target. SQLite would search all its jobs for each page.
    """
    if ids is None:
        yield jobs.c.target_id == target_id
    else:
        for start in range(0, len(ids), _PAGE):
            yield measurements.c.id.in_(ids[start : start + _PAGE])


def look_up(
    connection: Connection, measurement_ids: Sequence[str]
) -> dict[str, UsableMeasurement | Unusable]:
    """Return the measurements with these ids, by id, without those that do not exist."""
    found = stored(connection, measurements.c.id.in_(measurement_ids))
    return {each.measurement_id if isinstance(each, Unusable) else each.id: each for each in found}


def stored(
    connection: Connection,
    *conditions: ColumnElement[bool],
    newest_first: bool = False,
    kernel_lists: KernelLists | None = None,
) -> Iterator[UsableMeasurement | Unusable]:
    """Yield the measurements that meet the SQL conditions, oldest first unless `newest_first`.

    Args:
        connection: A connection to the database.
        conditions: The SQL conditions.
        newest_first: Whether the newest comes first.
        kernel_lists: The programs' kernels that were read before. More are added.
    """
    order = measurements.c.unix_ns
    query = (
        _JOINED.add_columns(
            programs.c.kernel_ids,
            programs.c.size_bytes,
            kernel_timings.c.mean_ns,
            *summary_rows.COLUMNS,
        )
        .outerjoin(summaries, summaries.c.measurement_id == measurements.c.id)
        .join(programs, programs.c.sha256 == jobs.c.program_sha256)
        .outerjoin(kernel_timings, kernel_timings.c.measurement_id == measurements.c.id)
        .where(*conditions)
        .order_by(order.desc() if newest_first else order)
    )
    kernel_lists = kernel_lists or KernelLists(connection)
    for rows in connection.execute(query).partitions(_BATCH):
        kernel_lists.read(row.kernel_ids for row in rows)
        for row in rows:
            try:
                yield _usable(row, kernel_lists)
            except UnreadableRow as error:
                yield Unusable(row.id, row.target_id, str(error))


@functools.lru_cache(maxsize=10_000)
def warn_once(unusable: Unusable) -> None:
    """Log that a measurement is unusable, once for each measurement and reason."""
    log.warning(
        "measurement %s of target %s is set aside: %s",
        unusable.measurement_id,
        unusable.target_id,
        unusable.why,
    )


def _usable(row: Row[Any], kernel_lists: KernelLists) -> UsableMeasurement:
    """Read a measurement with its summary and network. Raises UnreadableRow."""
    unix_ns, spec = _unix_ns(row), spec_from_text(row.spec)
    summary = summary_rows.summary_from_row(row)
    its_kernels = kernel_lists.get(row.kernel_ids)
    with reading("its kernels' times"):
        kernel_ns = None if row.mean_ns is None else tuple(unpack_float64(row.mean_ns).tolist())
    with reading("its latency"):
        network = MeasuredNetwork.of(its_kernels, kernel_ns, summary, unix_ns)
    return UsableMeasurement(
        row.id, row.target_id, row.program_sha256, spec, summary, network, row.size_bytes
    )


def _measurement(connection: Connection, row: Row[Any]) -> Measurement:
    """Read a measurement with its visits. Raises UnreadableRow."""
    return Measurement(
        id=row.id,
        target_id=row.target_id,
        program_sha256=row.program_sha256,
        spec=spec_from_text(row.spec),
        unix_ns=_unix_ns(row),
        visits=tuple(_visits(connection, row)),
        suspect=row.suspect,
        traces_removed_unix_ns=row.traces_removed_unix_ns,
        samples_removed_unix_ns=row.samples_removed_unix_ns,
    )


def _unix_ns(row: Row[Any]) -> int:
    """Read when it was measured. Raises UnreadableRow."""
    if not isinstance(row.unix_ns, int):
        raise UnreadableRow(f"the measurement's time is not a number: {row.unix_ns!r}")
    return row.unix_ns


def _visits(connection: Connection, row: Row[Any]) -> list[Visit]:
    """Return the visits of a measurement's job that brought samples, also if they were removed.

    Raises UnreadableRow, also for a visit that makes no sense.
    """
    query = (
        select(*VISIT_COLUMNS)
        .where(visits.c.job_id == row.job_id, visits.c.wall_ns.is_not(None))
        .order_by(visits.c.id)
    )
    found = []
    for outcome in map(outcome_from_row, connection.execute(query)):
        if isinstance(outcome, Visit):
            fault = visit_fault(
                outcome,
                traces_removed=row.traces_removed_unix_ns is not None,
                samples_removed=row.samples_removed_unix_ns is not None,
            )
            if fault:
                raise UnreadableRow(f"visit {outcome.run_id} makes no sense: {fault}")
            found.append(outcome)
    return found
