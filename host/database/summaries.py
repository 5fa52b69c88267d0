"""The stored summary of each measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from host.database.raw import pack_float64, reading
from host.database.schema import kernel_timings, measurements, programs, summaries
from latlab.domain.errors import UnreadableRow
from latlab.domain.measurement import Summary, Visit


@dataclass(frozen=True)
class Statistic:
    """How samples become a summary.

    Attributes:
        version: The version of the rules, which is stored with each summary.
        summarize: Returns the summary of the visits of a measurement, or why there is none.
    """

    version: int
    summarize: Callable[[Sequence[Visit]], Summary | str]


FIELDS = (
    "latency_ns",
    "lower_ns",
    "upper_ns",
    "clean_visits",
    "visits",
    "median_ns",
    "p90_ns",
    "p99_ns",
    "runs",
    "memory_probe_ns",
    "traced_memory_probe_ns",
)
# To be joined to measurements from outside: labelled, since others have such columns too.
COLUMNS = [summaries.c[name].label(f"summary_{name}") for name in (*FIELDS, "unusable")]


def put_summary(
    connection: Connection, measurement_id: str, version: int, summary: Summary | str
) -> None:
    """Store a measurement's summary, or why there is none, in place of an older version's."""
    connection.execute(summaries.delete().where(summaries.c.measurement_id == measurement_id))
    values: dict[str, Any]
    if isinstance(summary, str):
        values = {"unusable": summary}
    else:
        values = {name: getattr(summary, name) for name in FIELDS} | {"unusable": ""}
    connection.execute(
        summaries.insert().values(measurement_id=measurement_id, version=version, **values)
    )


def put_kernel_times(
    connection: Connection, measurement_id: str, program_sha256: str, kernel_ns: Sequence[float]
) -> None:
    """Store the (kernels,) times of the program's kernels, which a measurement has none of yet."""
    kernel_ids = connection.execute(
        select(programs.c.kernel_ids).where(programs.c.sha256 == program_sha256)
    ).scalar_one()
    connection.execute(
        kernel_timings.insert().values(
            measurement_id=measurement_id,
            kernel_ids=kernel_ids,
            mean_ns=pack_float64(kernel_ns),
        )
    )


def has_kernel_times(connection: Connection, measurement_id: str) -> bool:
    """Return whether a measurement has times of its program's kernels."""
    query = select(kernel_timings.c.measurement_id).where(
        kernel_timings.c.measurement_id == measurement_id
    )
    return connection.execute(query).first() is not None


def not_summarized(connection: Connection, version: int, limit: int) -> Sequence[str]:
    """Return ids of measurements without a summary by `version`, the newest `limit` of them.

    Measurements whose samples were removed keep the summary that they have.
    """
    query = (
        select(measurements.c.id)
        .outerjoin(summaries, summaries.c.measurement_id == measurements.c.id)
        .where(
            summaries.c.version.is_distinct_from(version),
            measurements.c.samples_removed_unix_ns.is_(None),
        )
        .order_by(measurements.c.unix_ns.desc())
        .limit(limit)
    )
    return connection.scalars(query).all()


def summary_from_row(row: Row[Any]) -> Summary:
    """Read the summary of a row with COLUMNS. Raises UnreadableRow if there is none."""
    if row.summary_unusable:
        raise UnreadableRow(row.summary_unusable)
    # Earlier versions stored summaries without the quantiles of all runs.
    if row.summary_unusable is None or row.summary_median_ns is None:
        raise UnreadableRow("the measurement has not been summarised yet: ask again in a minute")
    with reading("its summary"):
        return Summary(*(row._mapping[f"summary_{name}"] for name in FIELDS))
