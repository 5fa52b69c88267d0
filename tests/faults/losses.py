"""What was lost and what was counted twice: the agent's ledger against the lab's database.

The agent of `tests.faults.recording_agent` is the witness. It knows nothing of the database, and
the lab knows nothing of the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from host.database.engine import Database
from host.database.jobs import spec_from_text
from host.database.raw import unpack_int64
from host.database.schema import failures, jobs, measurements, visits
from host.home.paths import LabHome
from tests.faults.ledger import NO_SAMPLES, Entry, digest


@dataclass(frozen=True)
class Losses:
    """How many of a lab's jobs and visits were lost and doubled.

    Attributes:
        jobs_lost: Jobs without a measurement.
        jobs_doubled: Ends of jobs beyond the first, and jobs that nobody has asked for.
        visits_lost: Visits whose samples the agent kept, and which are not stored under their
            run; and visits that a measurement lacks.
        visits_doubled: Runs that the agent made again, samples that are stored under a second
            run, and visits that a measurement has too many of.
    """

    jobs_lost: int = 0
    jobs_doubled: int = 0
    visits_lost: int = 0
    visits_doubled: int = 0


def losses(home: LabHome, ledger: Sequence[Entry], asked_jobs: int) -> Losses:
    """Compare the ledger with the database, once every job has ended and the device is idle.

    Args:
        home: The lab's folder.
        ledger: What the agent has kept.
        asked_jobs: How many jobs clients have asked for.
    """
    database = Database(home.database_url)
    with database.reading() as connection:
        specs = {
            row.id: spec_from_text(row.spec)
            for row in connection.execute(select(jobs.c.id, jobs.c.spec))
        }
        measured = connection.scalars(select(measurements.c.job_id)).all()
        failed = connection.scalars(select(failures.c.job_id)).all()
        stored = {
            row.run_id: (row.job_id, digest(unpack_int64(row.wall_ns).tolist()))
            for row in connection.execute(select(visits).where(visits.c.wall_ns.is_not(None)))
        }
    database.close()

    kept = defaultdict(list)
    for entry in ledger:
        if entry.event == "kept" and entry.digest != NO_SAMPLES:
            kept[entry.run_id].append(entry.digest)
    unstored = [
        run_id
        for run_id, digests in kept.items()
        if run_id not in stored or stored[run_id][1] not in digests
    ]
    ends = Counter([*measured, *failed])
    counts = Counter(job for job, _ in stored.values())
    samples = {digest for _, digest in stored.values()}
    lacking = (specs[job].min_visits - counts[job] for job in measured)
    too_many = (counts[job] - specs[job].max_visits for job in measured)
    made_again = sum(len(digests) - 1 for digests in kept.values())
    return Losses(
        jobs_lost=max(asked_jobs - len(set(measured)), 0),
        jobs_doubled=max(len(specs) - asked_jobs, 0) + sum(count - 1 for count in ends.values()),
        visits_lost=len(unstored) + sum(max(count, 0) for count in lacking),
        visits_doubled=made_again
        + len(stored)
        - len(samples)
        + sum(max(count, 0) for count in too_many),
    )
