"""Reports of the commands about the whole database, while they work and at their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a step of the work is.

    Attributes:
        step: What is done, in words for people.
        done: How many pages, rows or measurements are done.
        total: How many there are. It may grow while others write to the database.
    """

    step: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class DatabaseFinding:
    """Something in the database that is not as it should be.

    Attributes:
        kind: A short name of the problem, the same for all findings alike: "open job ended".
        subject: What has the problem: "measurement 3f2a…" or the name of a table.
        problem: What is wrong.
        remedy: What to do.
    """

    kind: str
    subject: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class CompactionPolicy:
    """Which raw samples a compaction removes.

    Attributes:
        before_unix_ns: Only samples of measurements that were finished before this time.
        traces_only: Remove only the kernels' times of each traced run, and keep the series of runs.
        dry_run: Remove nothing, and report what would be removed.
    """

    before_unix_ns: int
    traces_only: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Compaction:
    """The amounts that a compaction has removed, or would remove.

    Attributes:
        measurements: How many measurements lost samples.
        removed_bytes: The bytes of these samples.
        kept: How many measurements of that age kept their samples, by the reason in words.
        returned_bytes: By how much the database's files became smaller. Removed bytes that were not
            returned are used again for new measurements.
        advice: How the rest of the space is given back; empty if all of it was.
    """

    measurements: int
    removed_bytes: int
    kept: Mapping[str, int]
    returned_bytes: int
    advice: str


class ExportedRows(Enum):
    """The kind of an export's rows."""

    MEASUREMENTS = "measurements"
    KERNELS = "kernels"  # a kernel of a measurement
    SAMPLES = "samples"  # a timed run of a visit


class ColumnKind(Enum):
    """The type of a column of an export. Every column may lack values."""

    INTEGER = "integer"  # 64 bits, signed
    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an export. The names of physical quantities end in their unit."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class ExportBatch:
    """Some rows of an export.

    Attributes:
        columns: The columns, the same in each batch.
        rows: The rows. Each has a value, or None, for each column.
    """

    columns: tuple[ExportColumn, ...]
    rows: list[tuple[int | float | str | bool | None, ...]]
