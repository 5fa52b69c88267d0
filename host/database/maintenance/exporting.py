"""Read stored measurements as rows of a table, page by page."""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from host.database import raw
from host.database import summaries as summary_rows
from host.database.engine import Database
from host.database.jobs import spec_from_text
from host.database.programs import get_kernels
from host.database.schema import (
    jobs,
    kernel_timings,
    measurements,
    programs,
    summaries,
    targets,
    visits,
)
from latlab.domain.database.maintenance import (
    ColumnKind,
    ExportBatch,
    ExportColumn,
    ExportedRows,
)
from latlab.domain.errors import UnreadableRow
from latlab.domain.kernel import Kernel

Values = tuple[int | float | str | bool | None, ...]
RowsOf = Callable[[Connection, Sequence[Row[Any]]], Iterator[Values]]

MEASUREMENTS_A_PAGE = 500
# With all their samples these may take tens of megabytes.
MEASUREMENTS_WITH_SAMPLES = 20
ROWS_A_BATCH = 5_000
# Medians over the conditions before and after a measurement's untraced visits.
CONDITIONS = ("temperature_c", "clock_khz", "load_1min", "battery_level")


def _columns(**kinds: str) -> tuple[ExportColumn, ...]:
    return tuple(ExportColumn(name, ColumnKind(kind)) for name, kind in kinds.items())


COLUMNS = {
    ExportedRows.MEASUREMENTS: _columns(
        measurement_id="text",
        unix_ns="integer",
        target_id="text",
        device_model="text",
        os_build="text",
        runtime_version="text",
        runner_build="text",
        backend="text",
        threads="integer",
        core_class="text",
        program_sha256="text",
        program_bytes="integer",
        spec="text",
        latency_ns="number",
        lower_ns="number",
        upper_ns="number",
        median_ns="number",
        p90_ns="number",
        p99_ns="number",
        runs="integer",
        clean_visits="integer",
        visits="integer",
        memory_probe_ns="number",
        temperature_c="number",
        clock_khz="number",
        load_1min="number",
        battery_level="number",
        is_suspect="flag",
        is_excluded="flag",
        is_sentinel="flag",
        is_sustained="flag",
        unusable="text",
        traces_removed_unix_ns="integer",
        samples_removed_unix_ns="integer",
    ),
    ExportedRows.KERNELS: _columns(
        measurement_id="text",
        target_id="text",
        program_sha256="text",
        position="integer",
        kind="text",
        kernel="text",
        mean_ns="number",
    ),
    ExportedRows.SAMPLES: _columns(
        measurement_id="text",
        run_id="text",
        device_serial="text",
        is_traced="flag",
        run="integer",
        wall_ns="integer",
        cpu_ns="integer",
        involuntary_switches="integer",
    ),
}


def export(database: Database, rows: ExportedRows) -> Iterator[ExportBatch]:
    """Yield all measurements as rows, in the order of their ids.

    No transaction is open while a batch waits for its reader. What cannot be read has no values.
    The first batch is empty: it says the columns.

    Args:
        database: The database.
        rows: What a row is.

    Raises:
        StorageError: The database cannot be read.
    """
    columns, rows_of = COLUMNS[rows], _ROWS_OF[rows]
    is_large = rows is ExportedRows.SAMPLES
    size = MEASUREMENTS_WITH_SAMPLES if is_large else MEASUREMENTS_A_PAGE
    yield ExportBatch(columns, [])
    last_id = ""
    while True:
        with database.reading() as connection:
            page = connection.execute(_page(last_id, size)).all()
            found = list(rows_of(connection, page))
        if not page:
            return
        last_id = page[-1].id
        for start in range(0, len(found), ROWS_A_BATCH):
            yield ExportBatch(columns, found[start : start + ROWS_A_BATCH])


def _page(after_id: str, size: int) -> Select[Any]:
    return (
        select(
            measurements,
            jobs.c.target_id,
            jobs.c.program_sha256,
            jobs.c.spec,
            jobs.c.is_sentinel,
            *(targets.c[name] for name in targets.c.keys() if name != "id"),  # noqa: SIM118
            programs.c.size_bytes,
            *summary_rows.COLUMNS,
        )
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .join(targets, targets.c.id == jobs.c.target_id)
        .join(programs, programs.c.sha256 == jobs.c.program_sha256)
        .outerjoin(summaries, summaries.c.measurement_id == measurements.c.id)
        .where(measurements.c.id > after_id)
        .order_by(measurements.c.id)
        .limit(size)
    )


def _measurements(connection: Connection, page: Sequence[Row[Any]]) -> Iterator[Values]:
    conditions = _median_conditions(connection, [row.job_id for row in page])
    for row in page:
        values: dict[str, Any] = dict(row._mapping) | {
            name: row._mapping[f"summary_{name}"] for name in summary_rows.FIELDS
        }
        values |= conditions[row.job_id]
        values |= {
            "measurement_id": row.id,
            "program_bytes": row.size_bytes,
            "is_suspect": row.suspect,
            "is_sustained": _is_sustained(row.spec),
            "unusable": row.summary_unusable or "",
        }
        yield tuple(
            _typed(column.kind, values[column.name])
            for column in COLUMNS[ExportedRows.MEASUREMENTS]
        )


def _kernels(connection: Connection, page: Sequence[Row[Any]]) -> Iterator[Values]:
    query = select(kernel_timings).where(
        kernel_timings.c.measurement_id.in_([row.id for row in page])
    )
    timings = {row.measurement_id: row for row in connection.execute(query)}
    known: dict[int, Kernel] = {}
    for row in page:
        timing = timings.get(row.id)
        if timing is None:
            continue
        with contextlib.suppress(UnreadableRow), raw.reading("its kernels' times"):
            ids = raw.unpack_int64(timing.kernel_ids).tolist()
            means_ns = raw.unpack_float64(timing.mean_ns).tolist()
            known |= get_kernels(connection, set(ids) - known.keys())
            yield from [
                (
                    row.id,
                    row.target_id,
                    row.program_sha256,
                    position,
                    known[id_].kind if id_ in known else None,
                    str(known[id_]) if id_ in known else None,
                    mean_ns,
                )
                for position, (id_, mean_ns) in enumerate(zip(ids, means_ns, strict=True))
            ]


def _samples(connection: Connection, page: Sequence[Row[Any]]) -> Iterator[Values]:
    ids = {row.job_id: row.id for row in page}
    query = (
        select(
            visits.c.job_id,
            visits.c.run_id,
            visits.c.device_serial,
            visits.c.traced,
            visits.c.wall_ns,
            visits.c.cpu_ns,
            visits.c.involuntary_switches,
        )
        .where(visits.c.job_id.in_(list(ids)), visits.c.wall_ns.is_not(None))
        .order_by(visits.c.id)
    )
    by_job: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(query):
        by_job[row.job_id].append(row)
    for job_id, measurement_id in ids.items():
        for visit in by_job[job_id]:
            with contextlib.suppress(UnreadableRow), raw.reading("its samples"):
                series = [
                    raw.unpack_int64(each).tolist()
                    for each in (visit.wall_ns, visit.cpu_ns, visit.involuntary_switches)
                ]
                known = (measurement_id, visit.run_id, visit.device_serial, bool(visit.traced))
                yield from [
                    (*known, run, *values) for run, values in enumerate(zip(*series, strict=True))
                ]


_ROWS_OF: Mapping[ExportedRows, RowsOf] = {
    ExportedRows.MEASUREMENTS: _measurements,
    ExportedRows.KERNELS: _kernels,
    ExportedRows.SAMPLES: _samples,
}


def _median_conditions(
    connection: Connection, job_ids: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return, by job, the median of each condition before and after its untraced visits."""
    columns = {column.name: column for column in raw.columns(visits)}
    query = select(
        visits.c.job_id, columns["conditions_before"], columns["conditions_after"]
    ).where(visits.c.job_id.in_(job_ids), visits.c.wall_ns.is_not(None), visits.c.traced.is_(False))
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in connection.execute(query):
        for text in (row.conditions_before, row.conditions_after):
            with contextlib.suppress(UnreadableRow), raw.reading("its conditions"):
                conditions = raw.parse(text)
                for name in CONDITIONS:
                    if isinstance(value := conditions.get(name), (int, float)):
                        found[row.job_id][name].append(float(value))
    return {
        job_id: {
            name: statistics.median(values) if (values := found[job_id][name]) else None
            for name in CONDITIONS
        }
        for job_id in job_ids
    }


def _is_sustained(spec: str) -> bool | None:
    with contextlib.suppress(UnreadableRow):
        return spec_from_text(spec).visit.is_sustained
    return None


def _typed(kind: ColumnKind, value: Any) -> int | float | str | bool | None:  # noqa: ANN401
    """Return a value of the column's type; None where a damaged row holds another."""
    match kind:
        case ColumnKind.INTEGER:
            is_whole = isinstance(value, int) and -(2**63) <= value < 2**63
            return int(value) if is_whole else None
        case ColumnKind.NUMBER:
            return float(value) if isinstance(value, (int, float)) else None
        case ColumnKind.TEXT:
            return value if isinstance(value, str) else None
        case ColumnKind.FLAG:
            return None if value is None else bool(value)
