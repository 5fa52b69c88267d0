"""Stored measurements, visits, samples and conditions, page by page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from host.database.device_history import find_device
from host.database.engine import Database
from host.database.listing.measurement_pages import Key, MeasurementQuery, measurement_page
from host.database.listing.visit_pages import (
    ConditionsKey,
    Period,
    conditions_page,
    find_visit,
    samples_removed_unix_ns,
    visit_page,
)
from latlab.domain.errors import NotFound
from latlab.domain.measurement import Conditions, KernelTrace
from latlab.domain.records.measurements import MeasurementSummary, VisitSummary

# A page of samples holds at most so many numbers.
MAX_NUMBERS = 200_000


@dataclass(frozen=True, slots=True)
class SamplesPage:
    """The runs of a visit from one on.

    Attributes:
        wall_ns: (runs,) their times.
        cpu_ns: (runs,) their processor times.
        involuntary_switches: (runs,) how often others took the processor.
        kernel_traces: The traced kernels, with their durations in these runs.
        next_run: The first run of the next page; None if this is the last page.
    """

    wall_ns: Sequence[int]
    cpu_ns: Sequence[int]
    involuntary_switches: Sequence[int]
    kernel_traces: Sequence[KernelTrace]
    next_run: int | None


class LabLists:
    """Lists what is stored, by page. Every method raises StorageError. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def measurements(
        self, query: MeasurementQuery, size: int, behind: Key | None
    ) -> list[tuple[MeasurementSummary, Key]]:
        """Return a page of stored measurements, each with its key."""
        with self._database.reading() as connection:
            return measurement_page(connection, query, size, behind)

    def visits(self, measurement_id: str, size: int, behind: int) -> list[tuple[VisitSummary, int]]:
        """Return a page of a measurement's visits, each with its key. Raises NotFound."""
        with self._database.reading() as connection:
            found = visit_page(connection, measurement_id, size, behind)
        if found is None:
            raise NotFound(f"no measurement {measurement_id!r}: QueryMeasurements lists them")
        return found

    def samples(self, measurement_id: str, run_id: str, first_run: int, size: int) -> SamplesPage:
        """Return the runs of a visit from one on, at most `size`.

        Raises NotFound, also if `latlab db compact` has removed the samples.
        """
        with self._database.reading() as connection:
            visit = find_visit(connection, measurement_id, run_id)
            removed_unix_ns = samples_removed_unix_ns(connection, measurement_id)
        if removed_unix_ns is not None:
            day = time.strftime("%Y-%m-%d", time.gmtime(removed_unix_ns / 1e9))
            raise NotFound(
                f"the samples of measurement {measurement_id} were removed on {day}: measure the"
                " program again with `fresh` to have some"
            )
        if visit is None:
            raise NotFound(
                f"measurement {measurement_id!r} has no visit {run_id!r}: ListVisits lists them"
            )
        kernels = len(visit.kernel_traces)
        end = first_run + max(1, min(size, MAX_NUMBERS // (3 + kernels)))
        return SamplesPage(
            wall_ns=visit.wall_ns[first_run:end],
            cpu_ns=visit.cpu_ns[first_run:end],
            involuntary_switches=visit.involuntary_switches[first_run:end],
            kernel_traces=[
                KernelTrace(trace.name, trace.durations_ns[first_run:end], trace.instruction)
                for trace in visit.kernel_traces
            ],
            next_run=end if end < len(visit.wall_ns) else None,
        )

    def conditions(
        self, device: str, period: Period, visits: int, behind: ConditionsKey | None
    ) -> Sequence[tuple[list[Conditions], ConditionsKey]]:
        """Return the conditions around a device's visits, each with its key. Raises NotFound."""
        with self._database.reading() as connection:
            serial = find_device(connection, device)
            if serial is None:
                raise NotFound(f"no device {device!r}: ListDevices lists them")
            return conditions_page(connection, serial, period, visits, behind)
