"""Find the newest measurement of each of many programs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from host.database.jobs import spec_from_text
from host.database.measurements import TRUSTED
from host.database.schema import jobs, measurements, summaries
from latlab.domain.benchmark_spec import BenchmarkSpec
from latlab.domain.errors import UnreadableRow

_PAGE = 500  # a database limits the parameters of a query


def newest_measurements(
    connection: Connection,
    target_id: str,
    programs: Sequence[str],
    spec: BenchmarkSpec | None = None,
) -> dict[str, str]:
    """Return the id of the newest usable measurement of each program that has one, by SHA-256.

    Args:
        connection: A connection to the database.
        target_id: Where they were measured.
        programs: The SHA-256 of the programs.
        spec: How they were measured; None: in any way but under sustained load.
    """
    found: dict[str, str] = {}
    for sha256, measurement_id, spec_text in _newest_first(connection, target_id, programs):
        if sha256 in found:
            continue
        with contextlib.suppress(UnreadableRow):
            measured = spec_from_text(spec_text)
            if measured == spec or (spec is None and not measured.visit.is_sustained):
                found[sha256] = measurement_id
    return found


def _newest_first(
    connection: Connection, target_id: str, programs: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    for start in range(0, len(programs), _PAGE):
        page = programs[start : start + _PAGE]
        query = (
            select(jobs.c.program_sha256, measurements.c.id, jobs.c.spec)
            .join(measurements, measurements.c.job_id == jobs.c.id)
            .join(summaries, summaries.c.measurement_id == measurements.c.id)
            .where(jobs.c.target_id == target_id, jobs.c.program_sha256.in_(page))
            .where(TRUSTED, summaries.c.unusable == "", summaries.c.median_ns.is_not(None))
            .order_by(measurements.c.unix_ns.desc(), measurements.c.id)
        )
        for row in connection.execute(query):
            yield row.program_sha256, row.id, row.spec
