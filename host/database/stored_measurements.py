"""Stored measurements: listed for people, chosen for predictors, and excluded by their owner.

Measurements that cannot be used are listed too. An excluded measurement is kept. It is not answered
again, and no predictor learns from it.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from host.database import summaries as summary_rows
from host.database.devices import all_targets
from host.database.jobs import failure_from_row, spec_from_text
from host.database.measurements import TRUSTED, UsableMeasurement, look_up, measured_networks
from host.database.schema import exclusions, jobs, measurements, programs, summaries, visits
from latlab.domain.errors import UnreadableRow
from latlab.domain.estimate import whole_ns
from latlab.domain.failure import Failure
from latlab.domain.measured_network import MeasuredNetwork
from latlab.domain.measurement import Exclusion, StoredMeasurement, Summary, Unusable

MIN_PREFIX = 6
# A predictor hardly improves with more networks than these, and a fit of all would need the
# memory and the time for all.
MAX_LEARNED_PROGRAMS = 4_000
MAX_LEARNED = 20_000
_NEWEST_SHARE = 4  # one in so many of the programs is one of those measured last


def newest_summaries(
    connection: Connection, target_id: str, version: int, limit: int
) -> list[Summary]:
    """Return the summaries of the target's newest measurements that may be learned from.

    Args:
        connection: A connection to the database.
        target_id: The target.
        version: The statistic's version. Summaries by others are left out.
        limit: The most measurements to look at.
    """
    query = (
        select(*summary_rows.COLUMNS)
        .join(measurements, measurements.c.id == summaries.c.measurement_id)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(jobs.c.target_id == target_id, TRUSTED, summaries.c.version == version)
        .where(summaries.c.unusable == "")
        .order_by(measurements.c.unix_ns.desc())
        .limit(limit)
    )
    found = []
    for row in connection.execute(query):
        with contextlib.suppress(UnreadableRow):
            found.append(summary_rows.summary_from_row(row))
    return found


def measurement_ids(connection: Connection, target_id: str = "", prefix: str = "") -> list[str]:
    """Return the ids of stored measurements, the newest first.

    Args:
        connection: A connection to the database.
        target_id: Whose measurements; "" for those of all targets.
        prefix: What their ids begin with; "" for all.
    """
    query = select(measurements.c.id).order_by(measurements.c.unix_ns.desc(), measurements.c.id)
    if target_id:
        query = query.join(jobs, jobs.c.id == measurements.c.job_id)
        query = query.where(jobs.c.target_id == target_id)
    if prefix:
        query = query.where(measurements.c.id.startswith(prefix, autoescape=True))
    return list(connection.scalars(query))


def learned_ids(connection: Connection, target_id: str) -> list[str]:
    """Return the ids of the measurements that a predictor is to learn from, the oldest first.

    They are all that can be learned from, or MAX_LEARNED of at most MAX_LEARNED_PROGRAMS. A
    quarter of these programs are those measured last. The others are those whose SHA-256 is
    lowest: a random choice that stays the same as more is measured. The newest measurement of
    each program comes first, then the second newest of each, and so on.
    """
    program, unix_ns = jobs.c.program_sha256, measurements.c.unix_ns
    joined = (
        select(program)
        .join(measurements, measurements.c.job_id == jobs.c.id)
        .where(jobs.c.target_id == target_id, TRUSTED)
        .where(jobs.c.spec.not_in(_unlearned_specs(connection, target_id)))
    )
    newest_first = joined.group_by(program).order_by(func.max(unix_ns).desc(), program)
    newest = connection.scalars(newest_first.limit(MAX_LEARNED_PROGRAMS // _NEWEST_SHARE)).all()
    others = joined.distinct().where(program.not_in(newest)).order_by(program)
    chosen = [*newest, *connection.scalars(others.limit(MAX_LEARNED_PROGRAMS - len(newest)))]
    newer_of_same = func.row_number().over(
        partition_by=program, order_by=(unix_ns.desc(), measurements.c.id)
    )
    ranked = (
        joined.with_only_columns(measurements.c.id, unix_ns, newer_of_same.label("rank"))
        .where(program.in_(chosen))
        .subquery()
    )
    in_turn = (ranked.c.rank, ranked.c.unix_ns.desc(), ranked.c.id)
    learned = select(ranked).order_by(*in_turn).limit(MAX_LEARNED).subquery()
    return list(connection.scalars(select(learned.c.id).order_by(learned.c.unix_ns, learned.c.id)))


def learned_networks(connection: Connection, target_id: str) -> dict[str, MeasuredNetwork]:
    """Return, by measurement id, the networks that a predictor is to learn from.

    Measurements of `learned_ids` that turn out to be unusable are left out.
    """
    ids = learned_ids(connection, target_id)
    return {id_: network for _, id_, network in measured_networks(connection, target_id, ids)}


def _unlearned_specs(connection: Connection, target_id: str) -> list[str]:
    """Return the texts of the target's specs that no predictor learns from."""
    texts = connection.scalars(select(jobs.c.spec).where(jobs.c.target_id == target_id).distinct())
    return [text for text in texts if not _is_learned(text)]


def _is_learned(spec_text: str) -> bool:
    with contextlib.suppress(UnreadableRow):
        return not spec_from_text(spec_text).visit.is_sustained
    return False


def stored_measurements(connection: Connection, ids: Sequence[str]) -> list[StoredMeasurement]:
    """Return the stored measurements of these ids, in input order."""
    query = (
        select(
            measurements,
            jobs.c.target_id,
            jobs.c.program_sha256,
            jobs.c.is_sentinel,
            programs.c.size_bytes,
        )
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .join(programs, programs.c.sha256 == jobs.c.program_sha256)
        .where(measurements.c.id.in_(ids))
    )
    rows = {row.id: row for row in connection.execute(query)}
    names = {target.id: target.name for target in all_targets(connection)}
    excluded = current_exclusions(connection, ids)
    found = look_up(connection, ids)
    failed = _failed_visits(connection, [row.job_id for row in rows.values()])
    return [
        replace(
            _listed(row, names.get(row.target_id, "?"), found[row.id], excluded.get(row.id)),
            failed_visits=tuple(failed[row.job_id]),
        )
        for row in (rows[id_] for id_ in ids if id_ in rows)
    ]


def find(connection: Connection, prefix: str) -> list[tuple[str, str]]:
    """Return (id, target id) of at most two measurements whose ids begin with the prefix."""
    query = (
        select(measurements.c.id, jobs.c.target_id)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(measurements.c.id.startswith(prefix, autoescape=True))
        .limit(2)
    )
    return [(row.id, row.target_id) for row in connection.execute(query)]


def exclude(connection: Connection, measurement_id: str, why: str, now_unix_ns: int) -> None:
    """Store that a measurement is excluded from now on, and why."""
    _decide(connection, measurement_id, True, why, now_unix_ns)


def include(connection: Connection, measurement_id: str, now_unix_ns: int) -> None:
    """Store that an excluded measurement is used again."""
    _decide(connection, measurement_id, False, "", now_unix_ns)


def current_exclusions(
    connection: Connection, measurement_ids: Iterable[str]
) -> dict[str, Exclusion]:
    """Return, by id, the exclusion of each of the measurements that is excluded now."""
    query = (
        select(exclusions)
        .join(measurements, measurements.c.id == exclusions.c.measurement_id)
        .where(measurements.c.is_excluded, exclusions.c.measurement_id.in_(list(measurement_ids)))
        .order_by(exclusions.c.id)
    )
    return {
        row.measurement_id: Exclusion(row.unix_ns, row.why) for row in connection.execute(query)
    }


def decisions(connection: Connection, target_id: str) -> int:
    """Return how often measurements of the target were excluded or included.

    If a predictor was fitted at another number, other measurements count now than it has learned
    from.
    """
    # A target may have many measurements, and decisions are few: each of them is looked up.
    of_target = (
        select(measurements.c.id)
        .join(jobs, jobs.c.id == measurements.c.job_id)
        .where(measurements.c.id == exclusions.c.measurement_id, jobs.c.target_id == target_id)
    )
    query = select(func.count()).select_from(exclusions).where(of_target.exists())
    return connection.scalars(query).one()


def _failed_visits(connection: Connection, job_ids: list[str]) -> dict[str, list[Failure]]:
    """Return the failures of visits by job, in the order of the requests."""
    query = (
        select(visits.c.job_id, visits.c.failure_kind, visits.c.failure_message)
        .where(visits.c.job_id.in_(job_ids), visits.c.failure_kind.is_not(None))
        .order_by(visits.c.id)
    )
    failed: dict[str, list[Failure]] = defaultdict(list)
    for row in connection.execute(query):
        failed[row.job_id].append(failure_from_row(row.failure_kind, row.failure_message))
    return failed


def _listed(
    row: Row[Any],
    target: str,
    found: UsableMeasurement | Unusable,
    exclusion: Exclusion | None,
) -> StoredMeasurement:
    summary = None if isinstance(found, Unusable) else found.summary
    return StoredMeasurement(
        id=row.id,
        unix_ns=row.unix_ns if isinstance(row.unix_ns, int) else 0,
        target=target,
        target_id=row.target_id,
        program_sha256=row.program_sha256,
        latency_ns=None if summary is None else whole_ns(summary.latency_ns),
        lower_ns=None if summary is None else whole_ns(summary.lower_ns),
        upper_ns=None if summary is None else whole_ns(summary.upper_ns),
        clean_visits=summary.clean_visits if summary else 0,
        visits=summary.visits if summary else 0,
        suspect=row.suspect,
        is_sentinel=row.is_sentinel,
        exclusion=exclusion,
        unusable=found.why if isinstance(found, Unusable) else "",
        untraced=not isinstance(found, Unusable) and found.untraced,
        raw=None if summary is None else summary.raw,
        program_bytes=row.size_bytes,
    )


def _decide(
    connection: Connection, measurement_id: str, is_excluded: bool, why: str, now_unix_ns: int
) -> None:
    connection.execute(
        measurements.update()
        .where(measurements.c.id == measurement_id)
        .values(is_excluded=is_excluded)
    )
    connection.execute(
        exclusions.insert().values(
            measurement_id=measurement_id, unix_ns=now_unix_ns, is_excluded=is_excluded, why=why
        )
    )
