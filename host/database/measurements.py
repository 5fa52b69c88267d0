"""Reading what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from host.database.jobs import outcome_from_row, spec_from_text, spec_to_text
from host.database.programs import get_kernels
from host.database.schema import (
    failures,
    jobs,
    kernel_timings,
    measurements,
    programs,
    visits,
)
from host.database.series import unpack_float64, unpack_int64
from host.domain import BenchmarkSpec, Failure, FailureKind, Measurement, Visit
from host.summary import measured_network
from latency_models.observation import MeasuredNetwork

# What may be answered again, and learned from.
TRUSTED = measurements.c.suspect.is_(False) & jobs.c.is_sentinel.is_(False)

_JOINED = select(measurements, jobs.c.target_id, jobs.c.program_sha256, jobs.c.spec).join(
    jobs, measurements.c.job_id == jobs.c.id
)


def get_measurement(connection: Connection, measurement_id: str) -> Measurement | None:
    row = connection.execute(_JOINED.where(measurements.c.id == measurement_id)).one_or_none()
    return None if row is None else _measurement(connection, row)


def outcome_of(connection: Connection, job_id: str) -> Measurement | Failure:
    """Of a job that has ended."""
    row = connection.execute(_JOINED.where(measurements.c.job_id == job_id)).one_or_none()
    if row is not None:
        return _measurement(connection, row)
    failure = connection.execute(select(failures).where(failures.c.job_id == job_id)).one()
    return Failure(FailureKind(failure.kind), failure.message)


def find_measurement(
    connection: Connection, target_id: str, program_sha256: str, spec: BenchmarkSpec
) -> Measurement | None:
    """The newest one of this very program, target and spec that is not suspect."""
    row = connection.execute(
        _JOINED.where(
            TRUSTED,
            jobs.c.target_id == target_id,
            jobs.c.program_sha256 == program_sha256,
            jobs.c.spec == spec_to_text(spec),
        )
        .order_by(measurements.c.unix_ns.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _measurement(connection, row)


def measured_networks(
    connection: Connection, target_id: str
) -> Iterator[tuple[str, str, MeasuredNetwork]]:
    """(program SHA-256, measurement id, network) of every measurement to learn from, the
    oldest first: none that is suspect, a sentinel's, or of sustained load."""
    for row, network in _networks(connection, jobs.c.target_id == target_id, TRUSTED):
        if not spec_from_text(row.spec).visit.is_sustained:
            yield row.program_sha256, row.id, network


def look_up(
    connection: Connection, measurement_ids: Sequence[str]
) -> dict[str, tuple[str, BenchmarkSpec, MeasuredNetwork]]:
    """(target id, spec, network) by measurement id, of those that are there."""
    return {
        row.id: (row.target_id, spec_from_text(row.spec), network)
        for row, network in _networks(connection, measurements.c.id.in_(measurement_ids))
    }


def _networks(
    connection: Connection, *conditions: ColumnElement[bool]
) -> Iterator[tuple[Row[Any], MeasuredNetwork]]:
    """The oldest first."""
    query = (
        _JOINED.add_columns(programs.c.kernel_ids, kernel_timings.c.mean_ns)
        .join(programs, programs.c.sha256 == jobs.c.program_sha256)
        .outerjoin(kernel_timings, kernel_timings.c.measurement_id == measurements.c.id)
        .where(*conditions)
        .order_by(measurements.c.unix_ns)
    )
    rows = connection.execute(query).all()
    ids = [unpack_int64(row.kernel_ids).tolist() for row in rows]
    kernels = get_kernels(connection, {kernel_id for network in ids for kernel_id in network})
    for row, kernel_ids in zip(rows, ids, strict=True):
        network = measured_network(
            tuple(kernels[kernel_id] for kernel_id in kernel_ids),
            None if row.mean_ns is None else tuple(unpack_float64(row.mean_ns).tolist()),
            _visits(connection, row.job_id),
            row.unix_ns,
        )
        if network is not None:  # no measurement is written without a clean visit
            yield row, network


def _measurement(connection: Connection, row: Row[Any]) -> Measurement:
    return Measurement(
        id=row.id,
        target_id=row.target_id,
        program_sha256=row.program_sha256,
        spec=spec_from_text(row.spec),
        unix_ns=row.unix_ns,
        visits=tuple(_visits(connection, row.job_id)),
        suspect=row.suspect,
    )


def _visits(connection: Connection, job_id: str) -> list[Visit]:
    """The job's visits that brought samples; its failed ones stay in the database."""
    query = (
        select(visits)
        .where(visits.c.job_id == job_id, visits.c.wall_ns.is_not(None))
        .order_by(visits.c.id)
    )
    outcomes = map(outcome_from_row, connection.execute(query))
    return [outcome for outcome in outcomes if isinstance(outcome, Visit)]
